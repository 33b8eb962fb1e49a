"""Stamps on this machine: names that say which process owns a thing, so that only what a dead one left is removed."""

from __future__ import annotations

import os
import re
from pathlib import Path

_OWNER = re.compile(r"netfacts-(\d+)-(\d+)(-[a-z0-9-]+)?")
_STARTED = 19


def owner() -> str:
    """Give the stamp of this process: its PID and when it started, in clock ticks since boot."""
    return f"netfacts-{os.getpid()}-{started(os.getpid())}"


def is_dead(stamp: str) -> bool:
    """Say whether `stamp` is one whose process has ended. False for anything that is no stamp."""
    match = _OWNER.fullmatch(stamp)
    return match is not None and started(int(match[1])) != int(match[2])


def started(pid: int) -> int | None:
    """Give when a process started, in clock ticks since boot; None where there is none, or none any more.

    One that has ended but whose parent has not been told yet owns nothing: orphans wait for a busy PID 1.
    """
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in ("Z", "X") else int(rest[_STARTED - 1])
