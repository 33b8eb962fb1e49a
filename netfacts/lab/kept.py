"""Labs that a process keeps for somebody to look into: who keeps them, and where their machines are.

A lab lives as long as the process that built it: a run, or `netfacts lab up`. What is written here says no more than
how to find it, in a file that bears the process's stamp: one whose process has ended is worth nothing, and is removed
by whoever comes across it.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from netfacts.lab.stamp import owner_is_dead, stamp
from netfacts.lab.wait import until
from netfacts.model.errors import LabError

_FOLDER = Path("/run")
_WHOLE, _PARTIAL = ".json", ".part"
_NAME = "netfacts-*-kept"
_END_S = 30.0


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
    """A kept lab. `pid` is the process that keeps it.

    Where that is a run, `run` is its folder, and `fact`, `case` and `verdict` are what came of the check in it.
    """

    pid: int = 0
    shape: str = ""
    engine: str = ""
    """The version of its engines, where it has but one."""
    run: str = ""
    fact: str = ""
    case: str = ""
    verdict: str = ""
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


def end(lab: KeptLab, *, folder: Path = _FOLDER) -> None:
    """Have the process that keeps a lab end it, and wait until that is gone. One that has gone is success.

    Raises: LabError where it does not end in time.
    """
    try:
        pidfd = os.pidfd_open(lab.pid)
    except ProcessLookupError:
        return
    with os.fdopen(pidfd, "rb", buffering=0) as process:
        # Only now is it sure that the number is not another's: its note is that of a process that lives.
        if lab in kept(folder=folder):
            signal.pidfd_send_signal(process.fileno(), signal.SIGTERM)
            until(lambda: lab not in kept(folder=folder), what=f"process {lab.pid} to end its lab", timeout_s=_END_S)
            watch = select.poll()
            watch.register(process, select.POLLIN)
            if not watch.poll(_END_S * 1000):
                raise LabError(f"process {lab.pid} has not ended within {_END_S:.0f} s", remedy=f"kill {lab.pid}")
