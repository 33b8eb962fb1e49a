"""What labs use besides engines: unpacked from packages of this machine's own suite, and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from netfacts.engine import cache
from netfacts.engine.cache import Content, Entry
from netfacts.engine.progress import Progress, Step, quiet
from netfacts.engine.source import own_suite
from netfacts.engine.unpack import TOOL, digest_of, unpack
from netfacts.model.errors import EngineError

_ROOT = "root"
# Less than a check may take: it is a check that waits for it.
_UNPACKED_S = 200.0
_LEAST_S = 10.0
# What no program of these packages reads; perl comes with packages' scripts, which are not run.
_WITHOUT = (
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/lintian/*",
    "/usr/share/zoneinfo/*",
    "/usr/share/i18n/*",
    "/usr/share/perl/*",
    "/usr/share/perl5/*",
    "/usr/lib/*/perl/*",
    "/usr/lib/*/perl-base/*",
    "/usr/lib/*/libperl*",
    "/usr/lib/*/gconv/*",
    "/usr/lib/systemd/*",
    "/usr/lib/udev/*",
    "/usr/bin/perl*",
)


@dataclass(frozen=True)
class Packaged(ABC):
    """What is unpacked. `main` is the package whose version it bears, `omitted` are paths that it needs none of."""

    name: str
    main: str
    packages: tuple[str, ...]
    omitted: tuple[str, ...] = ()

    kind: ClassVar[str]
    """Begins the specs of its kind in the cache: `image` those of images, such as `image:mariadb`."""

    @property
    def without(self) -> tuple[str, ...]:
        """The paths that are left out, as dpkg's patterns."""
        return (*_WITHOUT, *self.omitted)

    @property
    def spec(self) -> str:
        """What it is called in the cache."""
        return f"{self.kind}:{self.name}"

    @property
    @abstractmethod
    def recipe(self) -> str:
        """A digest of how it is made: what was made in another way is not taken for it."""

    @abstractmethod
    def complete(self, root: Path) -> None:
        """Do to the unpacked root what the packages' scripts would have done, and add what is to lie beside it.

        Raises: EngineError.
        """


@dataclass(frozen=True)
class Kept:
    """What was unpacked, in the cache."""

    entry: Entry

    @property
    def root(self) -> Path:
        """Its root file system: programs can be run from there."""
        return self.entry.path / _ROOT

    @property
    def version(self) -> str:
        """The version of its main package."""
        return self.entry.manifest.version


def obtain(wanted: Packaged, *, fresh: bool = False, progress: Progress = quiet) -> Entry:
    """Give the cached entry of what is wanted, making it first where there is none like that.

    `fresh`: make it of what the mirror has now in any case; that is added beside, if it is new.

    Raises: EngineError with the end of what the tools said; UsageError where mmdebstrap is missing.
    """
    distribution, _, suite = own_suite().partition(":")
    began = time.monotonic()

    def make(partial: Path) -> Content:
        packages = unpack(
            wanted.packages,
            partial / _ROOT,
            what=wanted.main,
            distribution=distribution,
            suite=suite,
            label=wanted.spec,
            progress=progress,
            without=wanted.without,
            recommended=False,
            # Who has waited for another netfacts, and now finds that this had no success, has waited for the mirror.
            timeout_s=max(_LEAST_S, _UNPACKED_S - (time.monotonic() - began)),
        )
        progress(Step(f"{wanted.spec}: preparing"))
        wanted.complete(partial / _ROOT)
        digest = hashlib.sha256(f"{digest_of(packages)} {wanted.recipe}".encode()).hexdigest()
        return Content(packages.get(wanted.main, "?"), digest, packages, wanted.recipe)

    return cache.obtain(
        wanted.spec,
        make,
        find=lambda: None if fresh else cached(wanted),
        lock=f"{wanted.kind}-{wanted.name}",
        progress=progress,
    )


def held(wanted: Packaged) -> Entry:
    """Give the entry of what is wanted, which can't be removed from the cache until this process ends.

    Raises: EngineError, UsageError where it can't be made.
    """
    while True:
        entry = obtain(wanted)
        # Between finding and holding it another may have removed it.
        if cache.hold(entry):
            return entry


def cached(wanted: Packaged) -> Entry | None:
    """Give the entry that was added last of those made in this way; None where there is none."""
    found = (one for one in cache.entries() if one.manifest.spec == wanted.spec)
    return next((one for one in found if one.manifest.recipe == wanted.recipe), None)


def obstacle(*wanted: Packaged) -> str:
    """Say what would have to be done for these to be had, "" where they are there or nothing is known against it."""
    packages = " and ".join(one.main for one in wanted)
    try:
        if all(map(cached, wanted)):
            return ""
    except EngineError as error:
        return f"{packages} would be in the cache, which can't be read: {error.returned}"
    if os.geteuid() != 0:
        return f"unpacking {packages} needs root: sudo ./toxw, or sudo -E netfacts …"
    if not shutil.which(TOOL):
        return f"apt-get install {TOOL}, which unpacks {packages} (`./toxw` does so)"
    try:
        own_suite()
    except EngineError as error:
        return f"what this machine's suite has is unpacked, {packages} here: {error.returned}"
    return ""
