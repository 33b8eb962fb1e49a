"""Labs that a run keeps for somebody to look into: who keeps them, and where their machines are.

A lab lives as long as the run that built it. What is written here says no more than how to find it, in a file that
bears the run's stamp: one whose run has ended is worth nothing, and is removed by whoever comes across it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from netfacts.lab.stamp import owner_is_dead, stamp

_FOLDER = Path("/run")
_WHOLE, _PARTIAL = ".json", ".part"
_NAME = "netfacts-*-kept"


class KeptMachine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine of a kept lab.

    `pid` is its PID 1 as other processes of this machine see it. `engine` is its engine's PID and `containers` those of
    the containers that the check has built, by name, all as they are in the machine itself; 0 for what does not run.
    """

    name: str
    pid: int
    engine: int = 0
    socket: str = ""
    path: str = ""
    """What PATH is for the engine's programs."""
    containers: dict[str, int] = {}

    def namespace(self, kind: str, pid: int) -> str:
        """Give the path of a namespace ("mnt", "net", …) of a process of the machine, as it is seen from outside."""
        return f"/proc/{self.pid}/root/proc/{pid}/ns/{kind}"


class KeptLab(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A kept lab, and what came of the check in it. `run` is the run's folder."""

    run: str
    fact: str
    case: str
    verdict: str
    since: str
    machines: list[KeptMachine]

    def machine(self, name: str) -> KeptMachine | None:
        """Give the machine of this name, or the first where none is named; None where there is no such machine."""
        return next((machine for machine in self.machines if name in ("", machine.name)), None)


@contextmanager
def announced(lab: KeptLab, *, folder: Path = _FOLDER) -> Iterator[None]:
    """Let others find a lab of this process for the time of a `with` block.

    Raises: OSError where the file can't be written.
    """
    path = folder / f"{stamp('kept')}{_WHOLE}"
    partial = path.with_suffix(_PARTIAL)
    try:
        partial.touch(0o600)
        partial.write_bytes(msgspec.json.encode(lab))
        partial.replace(path)
        yield
    finally:
        for name in (path, partial):
            name.unlink(missing_ok=True)


def kept(*, folder: Path = _FOLDER) -> list[KeptLab]:
    """Give the labs that are kept now, the newest first, and remove what dead runs left."""
    sweep(folder=folder)
    labs = []
    for path in folder.glob(_NAME + _WHOLE):
        # It may have ended since, and another version of netfacts may have written otherwise.
        with contextlib.suppress(OSError, msgspec.DecodeError):
            labs.append(msgspec.json.decode(path.read_bytes(), type=KeptLab))
    return sorted(labs, key=lambda lab: lab.since, reverse=True)


def sweep(*, folder: Path = _FOLDER) -> list[Path]:
    """Remove what dead runs left, and nothing else. Gives what was removed."""
    found = [path for suffix in (_WHOLE, _PARTIAL) for path in folder.glob(_NAME + suffix)]
    removed = [path for path in found if owner_is_dead(path.stem)]
    for path in removed:
        path.unlink(missing_ok=True)
    return removed
