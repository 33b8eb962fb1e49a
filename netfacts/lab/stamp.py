"""Stamps: names that say which process owns a thing, so that only what a dead run left is ever swept."""

from __future__ import annotations

from pathlib import Path

from netfacts.agent import cgroups
from netfacts.agent.cgroups import remove as remove_cgroups
from netfacts.agent.cgroups import thaw as thaw_cgroups
from netfacts.agent.stamp import is_dead as owner_is_dead
from netfacts.agent.stamp import owner
from netfacts.agent.stamp import started as start_time

__all__ = ["owner_is_dead", "remove_cgroups", "stamp", "start_time", "sweep", "thaw_cgroups"]


def stamp(suffix: str = "") -> str:
    """Give a name that carries this process's PID and start time."""
    return f"{owner()}-{suffix}" if suffix else owner()


def sweep(*, root: Path = cgroups.ROOT) -> list[Path]:
    """Remove the cgroup folders of dead runs, and nothing else. Gives those that were removed."""
    return cgroups.sweep(owner_is_dead, root=root)
