"""Sites: where agents run, and how this process gets at what is there. `HERE` is the machine that it runs on itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from ipaddress import IPv4Interface, IPv6Interface
from pathlib import Path
from typing import IO, Any, Protocol

from netfacts.lab.forkserver import FORK_SERVER
from netfacts.lab.wire import Netlink, Segment


class Keeper(Protocol):
    """What stands for an agent that runs: its two pipes, and its end."""

    stdin: IO[bytes]
    stdout: IO[bytes]

    @property
    def start_s(self) -> float:
        """How long it may take the agent to say its first line."""
        ...

    @property
    def remedy(self) -> str:
        """What to do where it has said none."""
        ...

    def has_ended(self, timeout_s: float = 0.0) -> bool:
        """Say whether it has ended, or does in this time."""
        ...

    def kill(self) -> None:
        """End it, and wait for that."""
        ...

    def hang_up(self) -> None:
        """Close the agent's standard input: it ends in order."""
        ...

    def close(self) -> None:
        """Let go of it, when it has ended. Again is no error."""
        ...


class Links(Protocol):
    """Gives a machine's links addresses, and the machine its routes."""

    def equip(self, name: str, addresses: Sequence[IPv4Interface | IPv6Interface]) -> None:
        """Give a link its addresses and set it up. Raises: LabError, ProbeError."""
        ...

    def route(self, verb: str, prefix: str, via: str, interface: str = "") -> None:
        """Do `verb` ("add", "replace", "del") to a route; with `via` "" it is to what is beside the interface.

        Raises: LabError, ProbeError.
        """
        ...

    def close(self) -> None:
        """Let go of the machine."""
        ...


class Wire(Protocol):
    """An L2 wire between machines."""

    def plug(self, pid: int, interface: str) -> None:
        """Give the network namespace of process `pid` an `interface` on it, left down. Raises: LabError, ProbeError."""
        ...

    def supports(self, kind: str) -> bool:
        """Say whether the kernel makes links of this kind here."""
        ...

    def close(self) -> None:
        """Take it away."""
        ...


class Resident(Protocol):
    """An agent, as far as its site has to do with it."""

    @property
    def pid(self) -> int:
        """PID 1 of its machine, as processes of the site see it."""
        ...

    def call(self, op: str, *, net: str = "", timeout_s: float = 10.0, **args: Any) -> Any:
        """Send a request and wait for its result. Raises: ProbeError, LabError."""
        ...

    def say_alive(self) -> None:
        """Let it know that somebody is there."""
        ...


class Site(Protocol):
    """A place where agents run: this machine or another one. Paths are those that the agent itself sees."""

    def start(self, name: str, *, guarded: bool, log: IO[bytes]) -> Keeper:
        """Start an agent; its standard error goes to `log`. Raises: LabError."""
        ...

    def watch(self, agent: Resident) -> None:
        """Let an agent know from time to time that somebody is there, where it could be cut off."""
        ...

    def forget(self, agent: Resident) -> None:
        """No longer do so."""
        ...

    def segment(self, name: str) -> Wire:
        """Make an L2 wire. Raises: LabError; BridgeError where the kernel has no bridges."""
        ...

    def links(self, agent: Resident) -> Links:
        """Give what equips the agent's machine with addresses and routes. Raises: LabError."""
        ...

    def inode(self, agent: Resident, path: str) -> int:
        """Give the number of an inode, such as that of a namespace; 0 where there is none."""
        ...

    def text(self, agent: Resident, path: str) -> str | None:
        """Read a file; None where there is none."""
        ...

    def names(self, agent: Resident, path: str) -> list[str] | None:
        """List a folder; None where there is none."""
        ...


class Here:
    """This machine: agents are forked, links are made by netlink, and files are read by way of /proc."""

    def start(self, name: str, *, guarded: bool, log: IO[bytes]) -> Keeper:
        """Have the fork server fork an agent. Raises: LabError."""
        return FORK_SERVER.fork(name, guarded=guarded, log=log)

    def watch(self, agent: Resident) -> None:
        """Nothing: who is hung up on is told by the kernel."""

    forget = watch

    def segment(self, name: str) -> Segment:
        """Make an L2 wire. Raises: LabError."""
        return Segment(name)

    def links(self, agent: Resident) -> Netlink:
        """Open a netlink socket in the agent's network namespace. Raises: LabError."""
        return Netlink(f"/proc/{agent.pid}/ns/net")

    def inode(self, agent: Resident, path: str) -> int:
        """Give the number of an inode; 0 where there is none."""
        try:
            return os.stat(_seen(agent, path)).st_ino
        except OSError:
            return 0

    def text(self, agent: Resident, path: str) -> str | None:
        """Read a file; None where there is none."""
        try:
            return Path(_seen(agent, path)).read_bytes().decode(errors="replace")
        except OSError:
            return None

    def names(self, agent: Resident, path: str) -> list[str] | None:
        """List a folder; None where there is none."""
        try:
            return os.listdir(_seen(agent, path))
        except OSError:
            return None


def _seen(agent: Resident, path: str) -> str:
    return f"/proc/{agent.pid}/root{path}"


HERE = Here()
"""The machine that this process runs on."""
