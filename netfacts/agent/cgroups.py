"""Cgroup folders: all that the kernel leaves of a machine's processes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")


def remove(name: str, *, root: Path = ROOT) -> list[Path]:
    """Remove the cgroup folders of this name, in every hierarchy, deepest first. Gives those that were removed.

    A folder that still has processes in it stays: the kernel refuses.
    """
    thaw(name, root=root)
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


def thaw(name: str, *, root: Path = ROOT) -> None:
    """Let go on what is frozen below the cgroup folders of this name, such as a paused container.

    In version 1 nothing ends as long as it is frozen, and no PID namespace whose process it is.
    """
    for top in _tops(root):
        for state in (top / name).rglob("freezer.state"):
            with contextlib.suppress(OSError):
                state.write_text("THAWED")


def sweep(is_dead: Callable[[str], bool], *, root: Path = ROOT) -> list[Path]:
    """Remove the cgroup folders whose names `is_dead` says yes to. Gives those that were removed."""
    return [folder for name in sorted(filter(is_dead, names(root=root))) for folder in remove(name, root=root)]


def names(*, root: Path = ROOT) -> set[str]:
    """Give the names of the uppermost cgroup folders, in whatever hierarchy."""
    return {entry.name for top in _tops(root) for entry in top.iterdir() if entry.is_dir()}


def _tops(root: Path) -> Iterator[Path]:
    """The roots of the cgroup hierarchies: one for cgroup v2, one per controller for v1."""
    if (root / "cgroup.procs").exists():
        yield root
        return
    for entry in sorted(root.iterdir()) if root.is_dir() else ():
        if entry.is_dir() and not entry.is_symlink() and (entry / "cgroup.procs").exists():
            yield entry
