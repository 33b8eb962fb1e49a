"""`udp`: a process of the host's carries packets between a TUN device and a UDP socket.

Source: https://github.com/flannel-io/flannel/blob/v0.26.7/pkg/backend/udp/udp_network_amd64.go
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Interface, IPv4Network

from netfacts.fabric.backend import Emulated, Node
from netfacts.lab import Machine
from netfacts.model.errors import LabError, ProbeError

_PORT = 8285


class Udp(Emulated):
    """A TUN device on each host, and a carrier (`netfacts/agent/carrier.py`) between it and the hosts' network."""

    name = "udp"
    overhead_bytes = 28
    device = "flannel0"

    def __init__(self, network: IPv4Network) -> None:
        self._network = network
        self._carriers: dict[str, int] = {}

    def open(self, node: Node) -> dict[str, str | int]:
        """See `Emulated`."""
        self._carry(node.machine, {})
        netlink = node.machine.netlink
        netlink.do("link", "set", index=netlink.index(self.device), mtu=node.mtu_bytes)
        # So the kernel sends it what is for the whole network, but for the host's own subnet.
        netlink.equip(self.device, [IPv4Interface(f"{node.lease.subnet.network_address}/{self._network.prefixlen}")])
        return {}

    def connect(self, node: Node, peers: Sequence[Node]) -> None:
        """See `Backend`."""
        self._carry(node.machine, {str(peer.lease.subnet): str(peer.lease.address) for peer in peers})

    def _carry(self, machine: Machine, ways: dict[str, str]) -> None:
        """Have a carrier with these ways (subnet → host) on a host, in the place of the one that there is.

        Raises: LabError.
        """
        self.halt(machine)
        try:
            self._carriers[machine.name] = machine.agent.call(
                "carry", device=self.device, address=machine.address, port=_PORT, ways=ways
            )
        except ProbeError as error:
            raise LabError("could not start a carrier", where=machine.name, returned=error.returned) from None

    def halt(self, machine: Machine) -> None:
        """See `Backend`. The device stays, with nobody who reads from it."""
        if machine.name in self._carriers:
            machine.agent.call("carried", carrier=self._carriers.pop(machine.name))

    def close(self, node: Node, peers: Sequence[Node]) -> None:  # noqa: ARG002
        """See `Backend`."""
        self.halt(node.machine)
        node.machine.netlink.remove(self.device)
