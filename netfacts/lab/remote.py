"""A VM as a site: its agents travel there as a zipapp, and all that is done there is done by them."""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Sequence
from ipaddress import IPv4Interface, IPv6Interface
from itertools import count
from pathlib import PurePosixPath
from typing import IO, Any

from netfacts.lab.agent import Agent
from netfacts.lab.destination import Destination
from netfacts.lab.site import Keeper, Resident
from netfacts.lab.ssh import Connection, refusal
from netfacts.lab.wire import BridgeError
from netfacts.lab.zipapp import zipapp
from netfacts.model.errors import LabError, UsageError

PATIENCE = "NETFACTS_SSH_PATIENCE_S"
"""The variable that says how long agents go on without a sign of life from here."""

_PATIENCE_S = 60.0
# Of the agents' patience, so that some may come late.
_SHARE = 6
_OPEN_S = 60.0
_MARK = b"netfacts "
# `-I -S`: neither variables nor packages of the VM's own decide what the agent imports.
_PYTHON = "python3 -I -S -X utf8"
# One line, without a single quote in it: whatever the user's login shell is, it hands this on to sh. The folder goes
# with the first agent, which outlives all others, however that ends. It is not in /tmp: machines have one of their own,
# and an agent imports some of what it needs only when it needs it.
_BOOT = (
    "umask 077; folder=$(mktemp -d /var/tmp/netfacts-XXXXXXXXXX) || exit 1; "
    'root=; test $(id -u) = 0 || root="sudo -n"; '
    "head -c {size} >$folder/{program} && echo netfacts $folder $root && "
    "$root {python} $folder/{program} {name} {patience}; "
    "status=$?; rm -rf $folder; exit $status"
)
_PROGRAM = "agent.pyz"
_PORT_INDEX = 1000


class Vm:
    """A VM. `host` is the guarded agent that came first, and all that is done on the VM itself is done by it.

    Undo: `close`, or the end of this process in any way, or of the connection: the agents end by themselves then.
    """

    def __init__(self, destination: Destination, *, config: str = "") -> None:
        """Connect, take the agent there and start it.

        Raises: UsageError where the VM can't be reached, or has no sudo or no Python for it.
        """
        self.destination = destination
        self._patience_s = patience_s()
        self._numbers = count(1)
        self._folder = self._root = ""
        self._agents: list[Resident] = []
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._heart = threading.Thread(target=self._beat, name=f"heart-{destination}", daemon=True)
        self._connection = Connection(destination, config=config)
        try:
            self.host = Agent("vm", guarded=True, site=self)
        except LabError as error:
            self._connection.close()
            raise refusal(destination, error.returned) from None
        except BaseException:
            self._connection.close()
            raise
        self._heart.start()

    @property
    def folder(self) -> str:
        """Where the agent lies on the VM."""
        return self._folder

    def forward(self, path: str) -> str:
        """Give the path of a socket here that leads to a socket of root's there.

        Raises: LabError, ProbeError.
        """
        relay: dict[str, str] = self.host.call("relay", to=path)
        return self._connection.forward(relay["path"])

    def close(self) -> None:
        """End its agents, the first at last, and the connection."""
        self._closed.set()
        self.host.close()
        self._connection.close()

    # -- agents

    def start(self, name: str, *, guarded: bool, log: IO[bytes]) -> Keeper:
        """Start an agent there; the first one comes with the connection.

        Raises: LabError where that is lost; UsageError where it can't be made.
        """
        if not self._folder:
            return self._boot(name, log)
        suffix = "" if guarded else f" machine-{next(self._numbers)}"
        command = f"{self._root} {_PYTHON} {self._folder}/{_PROGRAM} {shlex.quote(name)} {self._patience_s:g}{suffix}"
        return self._connection.session(command.strip(), log=log)

    def _boot(self, name: str, log: IO[bytes]) -> Keeper:
        program = zipapp()
        script = _BOOT.format(
            size=len(program), program=_PROGRAM, python=_PYTHON, name=name, patience=f"{self._patience_s:g}"
        )
        keeper, said = self._connection.open(
            f"sh -c '{script}'", first=program, until=_MARK, timeout_s=_OPEN_S, log=log
        )
        self._folder, _, self._root = said.partition(" ")
        if not PurePosixPath(self._folder).is_absolute():
            raise refusal(self.destination, f"it made no folder: {said}")
        return keeper

    def watch(self, agent: Resident) -> None:
        """Let an agent know from time to time that somebody is there."""
        with self._lock:
            self._agents.append(agent)

    def forget(self, agent: Resident) -> None:
        """No longer do so."""
        with self._lock:
            if agent in self._agents:
                self._agents.remove(agent)

    def _beat(self) -> None:
        while not self._closed.wait(self._patience_s / _SHARE):
            with self._lock:
                agents = list(self._agents)
            for agent in agents:
                agent.say_alive()

    # -- wires

    def segment(self, name: str) -> RemoteSegment:
        """Make an L2 wire there. Raises: LabError."""
        return RemoteSegment(self, name)

    def links(self, agent: Resident) -> RemoteLinks:
        """Give what equips the agent's machine with addresses and routes."""
        return RemoteLinks(agent)

    # -- files

    def inode(self, agent: Resident, path: str) -> int:
        """Give the number of an inode; 0 where there is none."""
        (found,) = agent.call("inodes", paths=[path])
        return int(found)

    def text(self, agent: Resident, path: str) -> str | None:
        """Read a file; None where there is none."""
        text: str | None = agent.call("files", paths=[path])[0].get("text")
        return text

    def names(self, agent: Resident, path: str) -> list[str] | None:
        """List a folder; None where there is none."""
        names: list[str] | None = agent.call("files", paths=[path])[0].get("names")
        return names


class RemoteLinks:
    """What equips a machine on a VM: its agent, with `ip`."""

    def __init__(self, agent: Resident) -> None:
        self._agent = agent

    def equip(self, name: str, addresses: Sequence[IPv4Interface | IPv6Interface]) -> None:
        """Give a link its addresses and set it up. Raises: LabError, ProbeError."""
        self._agent.call("equip", interface=name, addresses=[str(address) for address in addresses])

    def route(self, verb: str, prefix: str, via: str, interface: str = "") -> None:
        """Do `verb` to a route. Raises: LabError, ProbeError."""
        self._agent.call("route", verb=verb, prefix=prefix, via=via, interface=interface)

    def close(self) -> None:
        """Nothing: it goes with the agent."""


class RemoteSegment:
    """A wire on a VM: a bridge in the network namespace of an agent, with which it goes."""

    def __init__(self, vm: Vm, name: str) -> None:
        """Make it. Raises: LabError, ProbeError; BridgeError where the kernel has no bridges."""
        self.name = name
        self._vm = vm
        self._ports = 0
        self._agent = Agent(name, site=vm)
        try:
            self._make_bridge()
            self._ip("link", "set", "segment", "up")
        except BaseException:
            self._agent.close()
            raise

    def _make_bridge(self) -> None:
        """Raises: BridgeError; LabError, ProbeError."""
        words = ("link", "add", "segment", "type", "bridge")
        if refused := self._refusal(*words):
            raise BridgeError(f"could not `ip {' '.join(words)}`", where=self.name, returned=refused)

    def plug(self, pid: int, interface: str) -> None:
        """Give the network namespace of process `pid` an `interface` on this segment; it is left down.

        Raises: LabError, ProbeError.
        """
        self._ports += 1
        port = f"port{self._ports}"
        # Only from outside can both namespaces be seen.
        self._vm.host.call(
            "plug", segment=self._agent.pid, port=port, index=_PORT_INDEX + self._ports, pid=pid, interface=interface
        )
        self._ip("link", "set", port, "master", "segment", "up")

    def supports(self, kind: str) -> bool:
        """Say whether the kernel makes links of this kind there. Raises: LabError, ProbeError."""
        needed = {
            "vxlan": ("id", "1", "dstport", "4789"),
            "vlan": ("id", "1"),
            "ipip": ("local", "198.51.100.1"),
        }
        extra = needed.get(kind, ())
        beneath = ("link", "segment") if kind in ("vlan", "ipvlan") else ()
        if self._refusal("link", "add", *beneath, "trial", "type", kind, *extra):
            return False
        self._ip("link", "del", "trial")
        return True

    def close(self) -> None:
        """End the agent: its bridge and its ends of the wires go with it."""
        self._agent.close()

    def _ip(self, *words: str) -> None:
        """Raises: LabError, ProbeError."""
        if refused := self._refusal(*words):
            raise LabError(f"could not `ip {' '.join(words)}`", where=self.name, returned=refused)

    def _refusal(self, *words: str) -> str:
        """Run `ip`; gives what it said where it failed. Raises: LabError, ProbeError."""
        said: dict[str, Any] = self._agent.call("exec", argv=["ip", *words])
        return said["err"] or f"exit status {said['exit']}" if said["exit"] != 0 else ""


def patience_s() -> float:
    """Give how long agents go on without a sign of life. Raises: UsageError."""
    said = os.environ.get(PATIENCE, "")
    try:
        seconds = float(said or _PATIENCE_S)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= 3600:
        raise UsageError(f"{PATIENCE} is a number of seconds, from 1 to 3600", returned=f"it is {said!r}")
    return seconds
