"""Stamps: names that say which process owns a thing, so that only what a dead run left is ever swept."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_STAMP = re.compile(r"netfacts-(\d+)-(\d+)(-[a-z0-9-]+)?")


def start_time(pid: int) -> int | None:
    """Give when a process started, in clock ticks since boot; None where there is none, or none any more.

    One that has ended but whose parent has not been told yet owns nothing: orphans wait for a busy PID 1.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state in ("Z", "X") else int(rest[18])


def stamp(suffix: str = "") -> str:
    """Give a name that carries this process's PID and start time."""
    return f"netfacts-{os.getpid()}-{start_time(os.getpid())}" + (f"-{suffix}" if suffix else "")


def owner_is_dead(name: str) -> bool:
    """Say whether `name` is a stamp whose process has ended. False for anything that is no stamp."""
    match = _STAMP.fullmatch(name)
    return match is not None and start_time(int(match[1])) != int(match[2])


def remove_cgroups(name: str, *, root: Path = _CGROUPS) -> list[Path]:
    """Remove the cgroup folders of this name, in every hierarchy, deepest first. Gives those that were removed.

    A folder that still has processes in it stays: the kernel refuses.
    """
    removed = []
    for top in _tops(root):
        folder = top / name
        if folder.is_dir():
            for path, _, _ in os.walk(folder, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(path)
            if not folder.exists():
                removed.append(folder)
    return removed


def sweep(*, root: Path = _CGROUPS) -> list[Path]:
    """Remove the cgroup folders of dead runs, and nothing else. Gives those that were removed."""
    names = {entry.name for top in _tops(root) for entry in top.iterdir() if entry.is_dir()}
    return [folder for name in sorted(names) if owner_is_dead(name) for folder in remove_cgroups(name, root=root)]


def _tops(root: Path) -> Iterator[Path]:
    """The roots of the cgroup hierarchies: one for cgroup v2, one per controller for v1."""
    if (root / "cgroup.procs").exists():
        yield root
        return
    for entry in sorted(root.iterdir()) if root.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink() and (entry / "cgroup.procs").exists():
            yield entry
