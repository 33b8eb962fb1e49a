"""`vxlan`: the kernel wraps frames in UDP. Who is behind which host is told to it, and not learnt.

Source: https://github.com/flannel-io/flannel/blob/v0.26.7/pkg/backend/vxlan/vxlan.go, pkg/backend/vxlan/device.go
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from ipaddress import IPv4Interface

from netfacts.fabric.backend import Emulated, Node

_VNI = 1
_PORT = 8472


class Vxlan(Emulated):
    """A VXLAN device on each host, with an entry for each other host in its tables."""

    name = "vxlan"
    overhead_bytes = 50
    device = "flannel.1"

    def open(self, node: Node) -> dict[str, str | int]:
        """See `Emulated`."""
        # Locally administered, so that it is nobody's.
        mac = f"0a:{secrets.token_bytes(5).hex(':')}"
        machine = node.machine
        netlink, beneath = machine.netlink, machine.interface()
        netlink.do(
            "link",
            "add",
            ifname=self.device,
            kind="vxlan",
            address=mac,
            mtu=node.mtu_bytes,
            vxlan_id=_VNI,
            vxlan_port=_PORT,
            vxlan_learning=0,
            vxlan_local=machine.address,
            vxlan_link=netlink.index(beneath),
        )
        netlink.equip(self.device, [IPv4Interface(f"{node.lease.subnet.network_address}/32")])
        return {"VNI": _VNI, "VtepMAC": mac}

    def connect(self, node: Node, peers: Sequence[Node]) -> None:
        """See `Backend`."""
        netlink = node.machine.netlink
        for peer in peers:
            first, mac = str(peer.lease.subnet.network_address), str(peer.lease.data["VtepMAC"])
            netlink.neighbour(self.device, mac, address=first, behind=str(peer.lease.address))
            netlink.route("replace", str(peer.lease.subnet), first, self.device, onlink=True)

    def close(self, node: Node, peers: Sequence[Node]) -> None:  # noqa: ARG002
        """See `Backend`. Routes and entries go with the device."""
        node.machine.netlink.remove(self.device)
