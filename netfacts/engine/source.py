"""Engine specs: from what a user names (`auto`, `debian:trixie`, …) to a root file system with a dockerd in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from netfacts.engine.cache import unpack
from netfacts.model.errors import EngineError, UsageError

_SUITE = re.compile(r"[a-z][a-z0-9.-]{0,60}")
_DISTRIBUTIONS = ("debian", "ubuntu")
_KINDS = "auto, system, debian:SUITE, ubuntu:SUITE or rootfs:PATH"
_PROGRAMS = ("dockerd", "containerd", "runc")

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Installation:
    """An engine on disk. `root` is its own root file system, or None for programs of this machine."""

    spec: str
    root: Path | None


def resolve(
    spec: str, *, progress: Progress = lambda _: None, os_release: Path = Path("/etc/os-release")
) -> Installation:
    """Find the engine that `spec` names, unpacking it where that is needed. `progress` is told what takes long.

    Raises: UsageError for a spec that can't be meant; EngineError where the engine can't be had.
    """
    kind, _, value = spec.partition(":")
    if kind == "auto" and not value:
        if shutil.which("dockerd"):
            return _system()
        return resolve(_own_suite(os_release), progress=progress)
    if kind == "system" and not value:
        return _system()
    if kind in _DISTRIBUTIONS and _SUITE.fullmatch(value):
        return Installation(spec, unpack(kind, value, progress=progress))
    if kind == "rootfs" and value:
        return _rootfs(spec, Path(value))
    raise UsageError(f"{spec!r} names no engine", remedy=f"an engine is {_KINDS}")


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


def _own_suite(os_release: Path) -> str:
    """Give the spec for the suite that this machine runs.

    Raises: EngineError on a distribution without one.
    """
    lines = os_release.read_text().splitlines() if os_release.exists() else []
    fields = dict(line.split("=", 1) for line in lines if "=" in line)
    distribution = fields.get("ID", "").strip('"')
    suite = fields.get("VERSION_CODENAME", "").strip('"')
    if distribution not in _DISTRIBUTIONS or not suite:
        raise EngineError(
            "no engine could be chosen for this machine",
            returned=f"no dockerd on PATH, and {distribution or 'this system'} is neither Debian nor Ubuntu",
            remedy="name one with --engine: " + _KINDS,
        )
    return f"{distribution}:{suite}"
