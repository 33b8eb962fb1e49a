"""MAC addresses of containers on an overlay."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.observe import Link, links, output
from netfacts.topology import Container, Host, Network
from netfacts.verdict import equal

pytestmark = pytest.mark.usefixtures("swarm")


@pytest.mark.fact("mac.overlay")
def test_mac_on_an_overlay_is_made_from_the_address(host: Host, act: Act, claim: Claim) -> None:
    """A container's MAC address on an overlay is 02:42 and the four bytes of its IPv4 address."""
    mesh = host.network("mesh", driver="overlay", attachable=True)
    box = host.container("box", network=mesh)

    with act:
        device = _on(mesh, box)
        claim.show("ip -4 addr in the container", output(box.vantage, "ip", "-4", "addr"))

    derived = f"02:42:{IPv4Address(box.address_on(mesh.name)).packed.hex(':')}"
    claim.judge(equal(f"MAC address of {device.name}", device.mac, derived, vantage=box.vantage))


def _on(mesh: Network, container: Container) -> Link:
    """The container's interface on the overlay."""
    address = container.address_on(mesh.name)
    return next(link for link in links(container.vantage) if address in {str(end.ip) for end in link.ipv4})


@strike("mac.overlay", "the container's interface is given another MAC address")
def _(stage: Stage) -> None:
    box = stage.container("box")
    box.vantage.run(f"ip link set {_on(stage.network('mesh'), box).name} address 06:00:00:00:00:07")
