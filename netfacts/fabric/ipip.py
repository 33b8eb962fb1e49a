"""`ipip`: the kernel puts packets into packets, one header before the other, as Calico does by default.

Source: https://docs.tigera.io/calico/latest/networking/configuring/vxlan-ipip
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Interface

from netfacts.fabric.backend import Emulated, Node


class IpInIp(Emulated):
    """A tunnel device on each host; the way to a subnet names the host that is the other end."""

    name = "ipip"
    overhead_bytes = 20
    # Not tunl0, which the kernel itself makes in every namespace, without an address.
    device = "ipip.calico"

    def open(self, node: Node) -> dict[str, str | int]:
        """See `Emulated`."""
        netlink = node.machine.netlink
        netlink.do("link", "add", ifname=self.device, kind="ipip", ipip_local=node.machine.address, ipip_ttl=64)
        netlink.do("link", "set", index=netlink.index(self.device), mtu=node.mtu_bytes)
        netlink.equip(self.device, [IPv4Interface(f"{node.lease.subnet.network_address}/32")])
        return {}

    def connect(self, node: Node, peers: Sequence[Node]) -> None:
        """See `Backend`."""
        for peer in peers:
            netlink, lease = node.machine.netlink, peer.lease
            netlink.route("replace", str(lease.subnet), str(lease.address), self.device, onlink=True)

    def close(self, node: Node, peers: Sequence[Node]) -> None:  # noqa: ARG002
        """See `Backend`. Routes go with the device."""
        node.machine.netlink.remove(self.device)
