"""Backends: how packets for another host's subnet get there."""

from __future__ import annotations

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
    overhead_bytes: ClassVar[int] = 0
    """By how much containers' MTU is less than that of the hosts' interfaces."""
    maker: str = "netfacts' own emulation"
    """Who carries the packets."""

    def join(self, machine: Machine, config: Config, store: Store) -> Node:
        """Lease a subnet for a host, and make on it what there is besides routes.

        Raises: LabError where the store does not answer, or there is no subnet left; nothing is left on the host then.
        """
        lease = _lease(machine, config, store)
        node = Node(machine, lease, machine.netlink.mtu(machine.interface()) - self.overhead_bytes)
        try:
            data = self.open(machine, lease.subnet)
            if not data:
                return node
            lease = msgspec.structs.replace(lease, data=data)
            store.put(config.key_of(lease.subnet), lease.encode())
        except NetfactsError:
            self.close(node, ())
            raise
        return replace(node, lease=lease)

    @abstractmethod
    def open(self, machine: Machine, subnet: IPv4Network) -> dict[str, str | int]:
        """Make on a host what there is besides routes; gives what other hosts have to know of it.

        Raises: LabError.
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


def _lease(machine: Machine, config: Config, store: Store) -> Lease:
    """Take the first subnet that nobody has, as the store says: it lets one host alone create a key."""
    for subnet in config.subnets():
        lease = Lease(subnet=subnet, address=IPv4Address(machine.address), backend=config.backend)
        if store.create(machine, config.key_of(subnet), lease.encode()):
            return lease
    raise LabError(f"no subnet of {config.network} is left", where=machine.name)


def has_route(machine: Machine, subnet: IPv4Network) -> bool:
    """Say whether a machine's kernel has a route to a subnet; read without asking the machine."""
    return f"\t{hex_of(subnet)}\t" in (machine.text("/proc/1/net/route") or "")


def hex_of(subnet: IPv4Network) -> str:
    """Give a subnet as /proc/net/route has it between tabs."""
    return subnet.network_address.packed[::-1].hex().upper()
