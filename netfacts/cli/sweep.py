"""`netfacts sweep`: remove what dead runs left, and nothing else."""

from __future__ import annotations

from netfacts.lab import kept, stamp
from netfacts.lab.kernel import require_root


def sweep() -> None:
    """Remove the cgroup folders of runs that were killed. All else of theirs went with their processes."""
    require_root()
    for note in kept.sweep():
        print(f"removed {note}")
    removed = stamp.sweep()
    for folder in removed:
        print(f"removed {folder}")
    print(f"{len(removed)} cgroup folder{'' if len(removed) == 1 else 's'} of dead runs removed")
