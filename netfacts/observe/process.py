"""Processes, their namespaces, and sockets with their owners."""

from __future__ import annotations

import re
from dataclasses import dataclass

from netfacts.lab import Machine, Vantage
from netfacts.lab.wait import until
from netfacts.model.errors import ProbeError

# A program in a container listens some milliseconds after its start; more only where the machine is busy.
_SERVING_S = 10.0

# By their numbers in the kernel's linux/capability.h.
_CAPABILITIES = {"NET_BIND_SERVICE": 10, "NET_BROADCAST": 11, "NET_ADMIN": 12, "NET_RAW": 13}

Namespaces = dict[str, int]
"""Kind ("net", "mnt", "pid", "ipc", "uts") → inode."""


@dataclass(frozen=True)
class Process:
    """A process of a machine."""

    pid: int
    parent: int
    name: str
    argv: tuple[str, ...]
    namespaces: Namespaces

    def option(self, flag: str) -> str:
        """The value after `flag` on its command line, "" where the flag is not there."""
        words = self.argv
        return words[words.index(flag) + 1] if flag in words[:-1] else ""


@dataclass(frozen=True)
class Socket:
    """A TCP or UDP socket. `state` is the kernel's name for it, such as LISTEN, ESTABLISHED or UNCONN."""

    protocol: str
    family: int
    address: str
    port: int
    peer: str
    peer_port: int
    state: str
    pids: tuple[int, ...]


def memory(machine: Machine) -> float:
    """Give how much memory the processes of a machine take, in MiB: what several share counts in part (PSS).

    Files on its tmpfs, such as what an engine has unpacked, are not in it.
    """
    pids = [name for name in machine.names("/proc") or () if name.isdecimal()]
    return sum(map(parse_pss, machine.read(*(f"/proc/{pid}/smaps_rollup" for pid in pids)))) / 1024


def parse_pss(rollup: str | None) -> int:
    """Read what /proc/PID/smaps_rollup says, in KiB; 0 for a process that has ended."""
    found = re.search(r"^Pss:\s*(\d+) kB$", rollup or "", re.MULTILINE)
    return int(found[1]) if found else 0


def capabilities(machine: Machine, pid: int) -> frozenset[str]:
    """Give those of a process's effective capabilities that are about the network, by their names without CAP_.

    Raises: ProbeError where it has ended.
    """
    (status,) = machine.read(f"/proc/{pid}/status")
    if status is None:
        raise ProbeError(f"process {pid} has ended", where=machine.name)
    return parse_capabilities(status)


def parse_capabilities(status: str) -> frozenset[str]:
    """Read them in what /proc/PID/status says.

    Raises: ProbeError.
    """
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    if found is None:
        raise ProbeError("/proc/PID/status names no effective capabilities", returned=status[-200:])
    return frozenset(name for name, bit in _CAPABILITIES.items() if int(found[1], 16) >> bit & 1)


def processes(machine: Machine, *, name: str = "") -> list[Process]:
    """List the processes of a machine, or those whose program is called `name`.

    Raises: ProbeError.
    """
    found = [
        Process(entry["pid"], entry["parent"], entry["name"], tuple(entry["argv"]), entry["namespaces"])
        for entry in machine.agent.call("processes")
    ]
    wanted = [process for process in found if not name or (process.argv[:1] or ("",))[0].rsplit("/", 1)[-1] == name]
    return sorted(wanted, key=lambda process: process.pid)


def namespaces(machine: Machine, pid: int) -> Namespaces:
    """Give the namespaces of one process.

    Raises: ProbeError where it has ended.
    """
    for process in processes(machine):
        if process.pid == pid:
            return process.namespaces
    raise ProbeError(f"process {pid} has ended", where=machine.name)


def sockets(vantage: Vantage, *, listening: bool = True) -> list[Socket]:
    """List the sockets of a vantage; with `listening` only TCP listeners and unconnected UDP.

    Raises: ProbeError.
    """
    found = [
        Socket(**(entry | {"pids": tuple(entry["pids"])}))
        for entry in vantage.machine.agent.call("sockets", net=vantage.net)
    ]
    return [socket for socket in found if not listening or socket.state in ("LISTEN", "UNCONN")]


def serving(vantage: Vantage, port: int, *, protocol: str = "tcp") -> Socket:
    """Wait until a program listens on a port of a vantage, and give its socket.

    Raises: ProbeError where none does in time.
    """

    def found() -> Socket | None:
        wanted = (protocol, port)
        return next((socket for socket in sockets(vantage) if (socket.protocol, socket.port) == wanted), None)

    return until(
        found, what=f"a listener on {protocol} port {port} of {vantage}", timeout_s=_SERVING_S, error=ProbeError
    )
