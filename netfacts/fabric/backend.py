"""Backends: how packets for another host's subnet get there."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import ClassVar

import msgspec

from netfacts.fabric.lease import Config, Lease
from netfacts.fabric.store import Store
from netfacts.lab import Machine
from netfacts.model.errors import LabError, NetfactsError


@dataclass(frozen=True)
class Node:
    """A host of a fabric, what it has leased, and the MTU that this leaves to its containers."""

    machine: Machine
    lease: Lease
    mtu_bytes: int

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.machine.name


class Backend(ABC):
    """A way to carry packets between hosts. One object serves all hosts of a fabric."""

    name: str
    """What Flannel or Calico calls it."""
    device: str = ""
    """The interface that each host gets for it, "" for none."""
    maker: str
    """Who carries the packets."""

    @abstractmethod
    def join(self, machine: Machine, config: Config, store: Store) -> Node:
        """Lease a subnet for a host, and make on it what there is besides routes.

        Raises: LabError where the store does not answer, or there is no subnet left; nothing is left on the host then.
        """

    @abstractmethod
    def connect(self, node: Node, peers: Sequence[Node]) -> None:
        """Lead what is for the peers' subnets from a host to them; again, where there are others now.

        Raises: LabError.
        """

    def halt(self, machine: Machine) -> None:  # noqa: ARG002
        """End on a host what runs there to carry packets or to spread routes, as far as there is such a process.

        Raises: LabError.
        """
        return

    @abstractmethod
    def close(self, node: Node, peers: Sequence[Node]) -> None:
        """Take from a host what `join` and `connect` have made on it; gone already is success.

        Raises: LabError.
        """

    def end(self) -> None:
        """Take away what it has made elsewhere than on hosts. Raises: LabError."""
        return


class Emulated(Backend):
    """A backend that netfacts lays itself."""

    overhead_bytes: ClassVar[int] = 0
    """By how much containers' MTU is less than that of the hosts' interfaces."""
    maker = "netfacts' own emulation"

    def join(self, machine: Machine, config: Config, store: Store) -> Node:
        """See `Backend`."""
        lease = _lease(machine, config, store)
        node = Node(machine, lease, machine.netlink.mtu(machine.interface()) - self.overhead_bytes)
        try:
            data = self.open(node)
            if not data:
                return node
            lease = msgspec.structs.replace(lease, data=data)
            store.put(config.key_of(lease.subnet), lease.encode())
        except NetfactsError:
            # Why it could not join is what is to be told.
            with contextlib.suppress(NetfactsError):
                self.close(node, ())
            raise
        return replace(node, lease=lease)

    @abstractmethod
    def open(self, node: Node) -> dict[str, str | int]:
        """Make on a host what there is besides routes; gives what other hosts have to know of it.

        Raises: LabError.
        """


def _lease(machine: Machine, config: Config, store: Store) -> Lease:
    """Take the subnet that a host has already, else the first that nobody has: the store lets one host create a key."""
    address = IPv4Address(machine.address)
    leases = [Lease.decode(key, value) for key, value in store.keys(config.leases, machine).items()]
    for lease in leases:
        if lease.address == address:
            return msgspec.structs.replace(lease, data={})
    taken = {lease.subnet for lease in leases}
    for subnet in filter(lambda subnet: subnet not in taken, config.subnets()):
        lease = Lease(subnet=subnet, address=address, backend=config.backend)
        if store.create(machine, config.key_of(subnet), lease.encode()):
            return lease
    raise LabError(f"no subnet of {config.network} is left", where=machine.name)


def has_route(machine: Machine, subnet: IPv4Network) -> bool:
    """Say whether a machine's kernel has a route to a subnet; read without asking the machine."""
    return f"\t{hex_of(subnet)}\t" in (machine.text("/proc/1/net/route") or "")


def hex_of(subnet: IPv4Network) -> str:
    """Give a subnet as /proc/net/route has it between tabs."""
    return subnet.network_address.packed[::-1].hex().upper()
