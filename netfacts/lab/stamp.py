"""Stamps: names that say which process owns a thing, so that only what a dead run left is ever swept."""

from __future__ import annotations

import os
import re
from pathlib import Path

from netfacts.agent import cgroups
from netfacts.agent.cgroups import remove as remove_cgroups

__all__ = ["owner_is_dead", "remove_cgroups", "stamp", "start_time", "sweep"]

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


def sweep(*, root: Path = cgroups.ROOT) -> list[Path]:
    """Remove the cgroup folders of dead runs, and nothing else. Gives those that were removed."""
    return cgroups.sweep(owner_is_dead, root=root)
