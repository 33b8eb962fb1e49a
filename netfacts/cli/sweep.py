"""`netfacts sweep`: remove what dead runs left, and nothing else."""

from __future__ import annotations

from netfacts.lab import kept, ssh, stamp
from netfacts.lab.kernel import require_root


def sweep() -> None:
    """Remove the cgroup folders and sockets of runs that were killed. All else of theirs went with their processes."""
    require_root()
    for path in (*kept.sweep(), *ssh.sweep()):
        print(f"removed {path}")
    removed = stamp.sweep()
    for folder in removed:
        print(f"removed {folder}")
    print(f"{len(removed)} cgroup folder{'' if len(removed) == 1 else 's'} of dead runs removed")
