"""Images of applications, made of packages of this machine's own suite and kept in the cache: no registry is asked."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from netfacts.engine import cache
from netfacts.engine.answer import answer_of
from netfacts.engine.cache import Content, Entry
from netfacts.engine.engine import Engine
from netfacts.engine.progress import Progress, Step, quiet
from netfacts.engine.recipe import APPLICATIONS, KIND, Application, finish, pack, recipe_of
from netfacts.engine.source import own_suite
from netfacts.engine.unpack import TOOL, digest_of, unpack
from netfacts.model.errors import EngineError

_ROOT, _TAR = "root", "image.tar"
# Less than a check may take: it is a check that waits for it.
_UNPACKED_S = 200.0
_RUN_S = 60.0


@dataclass(frozen=True)
class Image:
    """An application's image in the cache."""

    application: Application
    entry: Entry

    @property
    def root(self) -> Path:
        """Its root file system, unpacked: its clients can be run from there."""
        return self.entry.path / _ROOT

    def load(self, engine: Engine) -> str:
        """Have an engine know the image, unless it does already, and give the name that it has there.

        Raises: EngineError.
        """
        folder, _, tag = engine.image.rpartition(":")
        repository = f"{folder.rpartition('/')[0]}/{self.application.name}"
        name = f"{repository}:{tag}"
        if not answer_of(engine, f"list image {name}", lambda: engine.api.images(name, quiet=True), like=list[str]):
            labels = [f'LABEL {key}="{value}"' for key, value in engine.labels.items()]
            answer_of(
                engine,
                f"import image {name}",
                lambda: engine.api.import_image_from_file(
                    str(self.entry.path / _TAR),
                    repository=repository,
                    tag=tag,
                    changes=[*self.application.changes, *labels],
                ),
            )
        return name


def obtain(application: Application, *, fresh: bool = False, progress: Progress = quiet) -> Entry:
    """Give the cached image of an application, making it first where there is none like that.

    `fresh`: make it of what the mirror has now in any case; that is added beside, if it is new.

    Raises: EngineError with the end of what the tools said; UsageError where mmdebstrap is missing.
    """
    distribution, _, suite = own_suite().partition(":")
    recipe = recipe_of(application)

    def make(partial: Path) -> Content:
        root = partial / _ROOT
        packages = unpack(
            application.packages,
            root,
            what="packages",
            distribution=distribution,
            suite=suite,
            label=application.spec,
            progress=progress,
            without=application.without,
            recommended=False,
            timeout_s=_UNPACKED_S,
        )
        finish(root)
        application.prepare(root)
        progress(Step(f"{application.spec}: packing"))
        pack(root, partial / _TAR)
        digest = hashlib.sha256(f"{digest_of(packages)} {recipe}".encode()).hexdigest()
        return Content(packages.get(application.main, "?"), digest, packages, recipe)

    return cache.obtain(
        application.spec,
        make,
        find=lambda: None if fresh else cached(application),
        lock=f"{KIND}-{application.name}",
        progress=progress,
    )


def ready(application: Application) -> Image:
    """Give an application's image, which can't be removed from the cache until this process ends.

    Raises: EngineError, UsageError where it can't be made.
    """
    while True:
        entry = obtain(application)
        # Between finding and holding it another may have removed it.
        if cache.hold(entry):
            return Image(application, entry)


def cached(application: Application) -> Entry | None:
    """Give the image that was added last of those made in this way; None where there is none."""
    recipe = recipe_of(application)
    found = (one for one in cache.entries() if one.manifest.spec == application.spec)
    return next((one for one in found if one.manifest.recipe == recipe), None)


def obstacle() -> str:
    """Say what would have to be done for images to be had, "" where they are there or nothing is known against it."""
    try:
        if all(map(cached, APPLICATIONS.values())):
            return ""
    except EngineError as error:
        return f"the cache of images can't be read: {error.returned}"
    if os.geteuid() != 0:
        return "unpacking them needs root: sudo ./toxw, or sudo -E netfacts …"
    if not shutil.which(TOOL):
        return f"apt-get install {TOOL} (`./toxw` does so)"
    try:
        own_suite()
    except EngineError as error:
        return f"they are unpacked from packages of this machine's suite: {error.returned}"
    return ""
