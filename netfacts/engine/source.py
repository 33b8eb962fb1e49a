"""Engine specs: from what a user names (`auto`, `debian:trixie`, …) to an engine on disk."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from netfacts.engine import bundle, cache, download, suite
from netfacts.engine.cache import Content, Entry
from netfacts.engine.progress import Progress, Step, quiet
from netfacts.engine.unpack import DISTRIBUTIONS, SUITE
from netfacts.model.errors import EngineError, UsageError
from netfacts.model.fact import engine_version

KINDS = "auto, system, debian:SUITE, ubuntu:SUITE, static:PATH, version:X.Y.Z or rootfs:PATH"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where an engine finds programs."""

_OS_RELEASE = Path("/etc/os-release")
_PROGRAMS = ("dockerd", "containerd", "runc")
_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}(-[a-z0-9.]{1,20})?")


@dataclass(frozen=True)
class Installation:
    """An engine on disk. `root` is its own root file system, or None for programs of this machine.

    `programs`: a folder of programs that come before this machine's; None for none.
    """

    spec: str
    root: Path | None
    programs: Path | None = None

    @property
    def path(self) -> str:
        """Where this engine finds programs."""
        return f"{self.programs}:{PATH}" if self.programs else PATH


def resolve(spec: str, *, progress: Progress = quiet, os_release: Path = _OS_RELEASE) -> Installation:
    """Find the engine that `spec` names, adding it to the cache where that is needed.

    An engine of the cache can't be removed from then on until this process ends. `progress` is told what takes long.

    Raises: UsageError for a spec that can't be meant; EngineError where the engine can't be had.
    """
    kind, _, value = spec.partition(":")
    if kind == "auto" and not value:
        if shutil.which("dockerd"):
            return _system()
        return resolve(own_suite(os_release), progress=progress)
    if kind == "system" and not value:
        return _system()
    if kind == "rootfs" and value:
        return _rootfs(spec, Path(value))
    while True:
        entry = add(spec, fresh=False, progress=progress)
        # Between finding and holding it another may have removed it.
        if cache.hold(entry):
            break
    if kind in DISTRIBUTIONS:
        return Installation(spec, entry.path)
    installation = Installation(spec, None, entry.path)
    _require_iptables(installation)
    return installation


def add(spec: str, *, fresh: bool = True, progress: Progress = quiet) -> Entry:
    """Get what an engine spec names now and add it to the cache beside what is there; the same is not added twice.

    `fresh`: False takes the one that was added last, where there is one.

    Raises: UsageError for a spec that names nothing to add; EngineError where it can't be had.
    """
    kind, _, value = spec.partition(":")
    if kind in DISTRIBUTIONS and SUITE.fullmatch(value):
        suite.adopt()
        return suite.unpacked(kind, value, fresh=fresh, progress=progress)
    if kind == "static" and value and "\0" not in value:
        return _static(Path(value), progress)
    if kind == "version" and _VERSION.fullmatch(value):
        return _version(spec, value, fresh, progress)
    if spec in ("auto", "system") or (kind == "rootfs" and value):
        raise UsageError(f"{kind} is no engine of the cache: there is nothing to add", remedy=f"an engine is {KINDS}")
    raise UsageError(f"{spec!r} names no engine", remedy=f"an engine is {KINDS}")


def cached() -> list[Entry]:
    """Give the engines of the cache, the newest first.

    Raises: EngineError.
    """
    suite.adopt()
    return cache.entries()


# -- bundles


def _static(path: Path, progress: Progress) -> Entry:
    path = path.absolute()
    digest = bundle.digest_of(path)
    spec = f"static:{path}"

    def make(partial: Path) -> Content:
        progress(Step(f"{spec}: unpacking"))
        bundle.unpack(path, partial)
        return bundle.examine(partial, where=str(path), digest=digest)

    def find() -> Entry | None:
        return next((one for one in cache.entries() if one.manifest.digest == digest and _is_static(one)), None)

    return cache.obtain(spec, make, find=find, lock="static", progress=progress)


def _is_static(entry: Entry) -> bool:
    return entry.manifest.spec.startswith("static:")


def _version(spec: str, version: str, fresh: bool, progress: Progress) -> Entry:
    def make(partial: Path) -> Content:
        address = download.address_of(version)
        archive = partial / ".download"
        download.fetch(address, archive, label=spec, progress=progress)
        progress(Step(f"{spec}: unpacking"))
        digest = bundle.digest_of(archive)
        bundle.unpack(archive, partial)
        archive.unlink()
        content = bundle.examine(partial, where=address.url, digest=digest)
        if engine_version(content.version) != engine_version(version):
            raise EngineError(
                f"the bundle is not that of engine {version}",
                where=address.url,
                returned=f"its dockerd says that it is {content.version}",
                remedy="does the address have {version} in the right place?",
            )
        return content

    def find() -> Entry | None:
        return None if fresh else cache.newest(spec)

    return cache.obtain(spec, make, find=find, lock="version", progress=progress)


def _require_iptables(installation: Installation) -> None:
    if not shutil.which("iptables", path=installation.path):
        raise UsageError(
            "an engine of a static bundle needs this machine's iptables",
            returned=f"not found in {installation.path}",
            remedy="apt-get install iptables, or name an engine that has its own, such as --engine debian:bookworm",
        )


# -- what lies elsewhere


def _system() -> Installation:
    missing = [program for program in _PROGRAMS if not shutil.which(program)]
    if missing:
        raise UsageError(
            "there is no Docker Engine on this machine's PATH",
            returned=f"not found: {', '.join(missing)}",
            remedy="use `--engine debian:bookworm` (unpacked beside the machine, not installed) or install docker.io",
        )
    return Installation("system", None)


def _rootfs(spec: str, root: Path) -> Installation:
    if not root.is_dir():
        raise UsageError("the engine's root file system is not there", where=str(root))
    root = root.resolve()
    missing = [name for name in _PROGRAMS if not _has(root, name)]
    if missing:
        raise UsageError(
            "the root file system holds no complete engine",
            where=str(root),
            returned=f"not found in its usr/bin, usr/sbin, usr/local/bin: {', '.join(missing)}",
        )
    return Installation(spec, root)


def _has(root: Path, program: str) -> bool:
    return any((root / folder / program).exists() for folder in ("usr/bin", "usr/sbin", "usr/local/bin", "bin", "sbin"))


def own_suite(os_release: Path = _OS_RELEASE) -> str:
    """Give the spec for the suite that this machine runs.

    Raises: EngineError on a distribution without one.
    """
    lines = os_release.read_text().splitlines() if os_release.exists() else []
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    distribution = fields.get("ID", "").strip('"')
    codename = fields.get("VERSION_CODENAME", "").strip('"')
    if distribution not in DISTRIBUTIONS or not codename:
        raise EngineError(
            "no engine could be chosen for this machine",
            returned=f"no dockerd on PATH, and {distribution or 'this system'} is neither Debian nor Ubuntu",
            remedy="name one with --engine: " + KINDS,
        )
    return f"{distribution}:{codename}"
