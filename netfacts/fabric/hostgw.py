"""`host-gw`: each host is the gateway to its own subnet. Nothing is encapsulated.

Source: https://github.com/flannel-io/flannel/blob/v0.26.7/Documentation/backends.md#host-gw
"""

from __future__ import annotations

from collections.abc import Sequence

from netfacts.fabric.backend import Emulated, Node


class HostGateway(Emulated):
    """Routes by way of other hosts' addresses, as far as these lie on a host's own segment."""

    name = "host-gw"

    def open(self, node: Node) -> dict[str, str | int]:  # noqa: ARG002
        """See `Emulated`. There is nothing to make."""
        return {}

    def connect(self, node: Node, peers: Sequence[Node]) -> None:
        """See `Backend`. There is no way to a host behind a router: the kernel takes no gateway but a neighbour."""
        for peer in filter(lambda peer: are_neighbours(node, peer), peers):
            node.machine.netlink.route("replace", str(peer.lease.subnet), str(peer.lease.address))

    def close(self, node: Node, peers: Sequence[Node]) -> None:
        """See `Backend`."""
        for peer in filter(lambda peer: are_neighbours(node, peer), peers):
            node.machine.netlink.unroute(str(peer.lease.subnet))


def are_neighbours(one: Node, other: Node) -> bool:
    """Say whether two hosts are on one segment."""
    segments = ({port.segment for port in node.machine.spec.ports} for node in (one, other))
    return bool(set.intersection(*segments))
