"""Vantages: where a probe starts or a listener stands."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Protocol

from netfacts.lab.machine import Machine
from netfacts.model.errors import LabError


class Opened(Protocol):
    """Something that was opened in a vantage and stands only as long as its namespaces do."""

    def reopen(self) -> None:
        """Open it again where the vantage is now."""


@dataclass(eq=False)
class Vantage:
    """A machine, or a container on it. `net` and `mnt` are paths of its namespaces ("" for the machine's own)."""

    machine: Machine
    label: str
    net: str = ""
    mnt: str = ""
    opened: list[Opened] = field(default_factory=list, repr=False)

    def __str__(self) -> str:
        return self.label

    def run(self, command: str, *, text: str = "") -> str:
        """Change something here: run a command, spelled as one types it, with `text` as its input; give what it prints.

        It is a program of the machine's, in the vantage's network namespace. There is no shell: words with blanks are
        to be quoted.

        Raises: LabError where it fails; ProbeError where it can't be started; OffLimits where the machine is
        somebody's, and it would change that.
        """
        done = self.machine.execute(shlex.split(command), net=self.net, text=text)
        return done.checked(f"could not change {self.label}", LabError).out

    def move(self, pid: int) -> None:
        """Follow a container that was started again: its first process is now `pid`. What was opened is opened again.

        Raises: ProbeError where that can't be done.
        """
        self.net, self.mnt = _namespaces(pid)
        for one in self.opened:
            one.reopen()


def of_machine(machine: Machine) -> Vantage:
    """Give the vantage of a machine itself."""
    return Vantage(machine, machine.name)


def of_process(machine: Machine, pid: int, label: str) -> Vantage:
    """Give the vantage of a process, such as a container's first, by its PID in the machine."""
    return Vantage(machine, label, *_namespaces(pid))


def _namespaces(pid: int) -> tuple[str, str]:
    return f"/proc/{pid}/ns/net", f"/proc/{pid}/ns/mnt"
