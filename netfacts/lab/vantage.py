"""Vantages: where a probe starts or a listener stands."""

from __future__ import annotations

from dataclasses import dataclass

from netfacts.lab.machine import Machine


@dataclass(frozen=True)
class Vantage:
    """A machine, or a container on it. `net` and `mnt` are paths of its namespaces ("" for the machine's own)."""

    machine: Machine
    label: str
    net: str = ""
    mnt: str = ""

    def __str__(self) -> str:
        return self.label


def of_machine(machine: Machine) -> Vantage:
    """Give the vantage of a machine itself."""
    return Vantage(machine, machine.name)


def of_process(machine: Machine, pid: int, label: str) -> Vantage:
    """Give the vantage of a process, such as a container's first, by its PID in the machine."""
    return Vantage(machine, label, net=f"/proc/{pid}/ns/net", mnt=f"/proc/{pid}/ns/mnt")
