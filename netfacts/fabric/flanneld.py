"""Flannel's own daemon, where it is installed: it leases subnets and lays the ways in the place of netfacts.

Source: https://github.com/flannel-io/flannel/blob/v0.26.7/Documentation/configuration.md#key-command-line-options
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from functools import cache
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from netfacts.engine.source import PATH
from netfacts.fabric.backend import Backend, Node, has_route
from netfacts.fabric.hostgw import HostGateway, are_neighbours
from netfacts.fabric.lease import Config, Lease
from netfacts.fabric.store import Store
from netfacts.fabric.udp import Udp
from netfacts.fabric.vxlan import Vxlan
from netfacts.lab import Machine
from netfacts.lab.daemon import Daemon
from netfacts.lab.wait import until
from netfacts.model.errors import LabError, NetfactsError
from netfacts.run import run

_EMULATED = {one.name: one for one in (HostGateway, Vxlan, Udp)}
# One that gets no lease asks again and again.
_LEASED_S = 10.0
_KNOWN_S = 20.0
_STOPPED_S = 10.0
_VERSION_S = 10.0


def installed() -> str:
    """Give the path of flanneld on this machine's PATH, "" where there is none."""
    return shutil.which("flanneld") or ""


class Flanneld(Backend):
    """A flanneld on each host, one for each fabric."""

    def __init__(self, name: str) -> None:
        """Take the one on PATH; `name` is a backend that `is_flannels` knows."""
        self.name = name
        self.device = _EMULATED[name].device
        self.maker = f"flanneld {_version(installed())}"
        self._running: dict[str, Daemon] = {}

    def join(self, machine: Machine, config: Config, store: Store) -> Node:
        """See `Backend`. Waits for the daemon to have a lease; where it gets none it is ended."""
        folder = self._folder
        argv = [
            installed(),
            f"-etcd-endpoints={store.endpoint}",
            f"-etcd-prefix={config.prefix}",
            f"-iface={machine.interface()}",
            f"-public-ip={machine.address}",
            f"-subnet-file={folder}/subnet.env",
            # Of containers' packets, and of the rules that let them pass: both are seen to with the engine.
            "-ip-masq=false",
            "-iptables-forward-rules=false",
        ]
        machine.execute(["mkdir", "-p", folder]).checked("could not make a folder for flanneld", LabError)
        try:
            # Nothing of the caller's environment: it may hold options of flanneld's.
            daemon = Daemon(machine, argv, release=self.maker, environment={"PATH": PATH}, log=self._log)
            says = f"{folder}/subnet.env"
            daemon.await_ready(lambda: machine.exists(says), what="flanneld to lease a subnet", timeout_s=_LEASED_S)
            self._running[machine.name] = daemon
            return self._read(machine)
        except NetfactsError:
            # Why it could not join is what is to be told.
            with contextlib.suppress(NetfactsError):
                self._clear(machine)
            raise

    def _read(self, machine: Machine) -> Node:
        """Read what the daemon has leased. Raises: LabError."""
        text = machine.text(f"{self._folder}/subnet.env") or ""
        said = dict(line.partition("=")[::2] for line in text.splitlines())
        try:
            subnet, mtu_bytes = IPv4Interface(said["FLANNEL_SUBNET"]).network, int(said["FLANNEL_MTU"])
        except (KeyError, ValueError):
            raise LabError("what flanneld says of its lease can't be read", where=machine.name, returned=text) from None
        lease = Lease(subnet=subnet, address=IPv4Address(machine.address), backend=self.name)
        return Node(machine, lease, mtu_bytes)

    def connect(self, node: Node, peers: Sequence[Node]) -> None:
        """See `Backend`. Waits until the daemon knows the peers, as far as it can know a way to them."""
        known = [peer for peer in peers if self.name != HostGateway.name or are_neighbours(node, peer)]
        until(
            lambda: all(self._knows(node.machine, peer.lease.subnet) for peer in known),
            what=f"flanneld on {node.name} to know the other hosts",
            timeout_s=_KNOWN_S,
            error=self._running[node.name].failure,
        )

    def _knows(self, machine: Machine, subnet: IPv4Network) -> bool:
        if self.name == Udp.name:
            # All of the network is led to its device at once; the rest it keeps to itself.
            return f"Subnet added: {subnet}" in (machine.text(self._log) or "")
        return has_route(machine, subnet)

    def halt(self, machine: Machine) -> None:
        """See `Backend`."""
        if daemon := self._running.pop(machine.name, None):
            daemon.stop(timeout_s=_STOPPED_S)

    def close(self, node: Node, peers: Sequence[Node]) -> None:
        """See `Backend`. The daemon leaves routes and devices where they are."""
        try:
            self._clear(node.machine)
        finally:
            for peer in peers:
                node.machine.netlink.unroute(str(peer.lease.subnet))

    def _clear(self, machine: Machine) -> None:
        try:
            self.halt(machine)
        finally:
            if self.device:
                machine.netlink.remove(self.device)
            # By a file that is left the next one would seem to have a lease at once.
            done = machine.execute(["rm", "-rf", self._folder, self._log])
            done.checked("could not remove flanneld's files", LabError)

    @property
    def _folder(self) -> str:
        return f"/run/netfacts/flannel-{self.name}"

    @property
    def _log(self) -> str:
        return f"{self._folder}.log"


def is_flannels(name: str) -> bool:
    """Say whether a backend is one that flanneld has, too."""
    return name in _EMULATED


@cache
def _version(path: str) -> str:
    """Raises: LabError where it is no program that says its version."""
    try:
        done = run([path, "--version"], timeout_s=_VERSION_S)
    except OSError as error:
        raise LabError("could not run flanneld", where=path, returned=str(error)) from None
    done.checked("flanneld does not say its version", LabError)
    # v0.26.7 says it on standard error.
    return (done.out or done.err).strip().removeprefix("v") or "?"
