"""Containers of two hosts on one overlay: that they meet, how their packets travel, and how large these may be."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.errors import LabError
from netfacts.model.verdict import Outcome
from netfacts.observe import Link, Packet, capture, interface, links
from netfacts.probe import Probe, ask, icmp, listen, resolve, tcp, udp
from netfacts.topology import Container, Host
from netfacts.verdict import equal, seen, source_is
from suites.overlay.gossip import await_gossip, forwarding

pytestmark = pytest.mark.usefixtures("swarm")

_PORT = 8080
_VXLAN = 4789
_OVERHEAD_BYTES = 50
_PING_HEADERS_BYTES = 28
"""IPv4's 20 bytes and ICMP's 8."""
_NONCE = "netfacts-overlay-nonce"


@pytest.mark.fact("overlay.reach")
def test_containers_on_two_hosts_reach_each_other(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """Containers on different hosts that share an attachable overlay reach each other by address and by name.

    host [ web ]══════ mesh ══════[ box ] host2
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    web = host.container("web", network=mesh)
    box = host2.container("box", mode=mesh.name)
    for container in (web, box):
        listen(container.vantage, _PORT)
        listen(container.vantage, _PORT, protocol="udp")
    await_gossip(mesh, web, box)

    with act:
        at = {container.name: container.address_on(mesh.name) for container in (web, box)}
        answers = ask(*_every_kind(web, at[box.name]), *_every_kind(box, at[web.name]))
        names = [*resolve(web.vantage, box.name), *resolve(box.vantage, web.name)]

    for container in (web, box):
        claim.show(f"bridge fdb, where {container.engine.machine.name} has the overlay", forwarding(mesh, container))
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        *(source_is(answer, at[answer.probe.vantage.label]) for answer in answers if answer.probe.kind != "icmp"),
        *(seen(found, Outcome.CONNECTED) for found in names),
        *(equal(f"addresses of {found.name}", found.addresses, (at[found.name],)) for found in names),
    )


@strike("overlay.reach", "the first host drops what comes to UDP port 4789")
def _(stage: Stage) -> None:
    _iptables(stage, "-I", "INPUT", "-p", "udp", "--dport", str(_VXLAN), "-j", "DROP")


@strike("overlay.reach", "the first host hears no gossip, and the other's container takes a new address")
def _(stage: Stage) -> None:
    for protocol in ("tcp", "udp"):
        _iptables(stage, "-I", "INPUT", "-p", protocol, "--dport", "7946", "-j", "DROP")
    host2, mesh = stage.hosts["host2"], stage.network("mesh")
    host2.disconnect(mesh, stage.container("box", "host2"))
    host2.connect(mesh, stage.container("box", "host2"))


@pytest.mark.fact("overlay.vxlan")
def test_overlay_packets_travel_in_vxlan(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """Overlay traffic is VXLAN in UDP port 4789: host addresses outside, the containers' own packet inside.

    host [ web ]── mesh ── eth0 ══ wire ══ eth0 ── mesh ──[ box ] host2
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    web = host.container("web", network=mesh)
    box = host2.container("box", mode=mesh.name)
    await_gossip(mesh, web, box)

    with act, capture(host.vantage, "eth0") as wire, capture(box.vantage, _device(box).name) as inside:
        pings = ask(icmp(box.vantage, web.address_on(mesh.name), nonce=_NONCE))
    outer, own = wire.carrying(_NONCE), inside.carrying(_NONCE)

    claim.show(f"{host.name}'s eth0, meanwhile", wire.text(outer))
    claim.show(f"{box.name}'s own interface, meanwhile", inside.text(own))
    claim.control(*(seen(ping, Outcome.CONNECTED, control=True) for ping in pings))
    claim.judge(
        equal("outside: transport", {f"{packet.protocol} {packet.destination_port}" for packet in outer}, {"udp 4789"}),
        equal("outside: addresses", _ends(outer), {f"{host2.address} > {host.address}", f"{host.address} > {host2.address}"}),
        equal("inside: packets", [str(packet.inner) for packet in outer], [str(packet) for packet in own]),
    )


@strike("overlay.vxlan", "the second host sends to UDP port 7789, as with docker swarm init --data-path-port")
def _(stage: Stage) -> None:
    there = stage.host.address
    _iptables(
        stage, "-t", "nat", "-I", "OUTPUT", "-p", "udp", "--dport", str(_VXLAN), "-j", "DNAT", "--to", f"{there}:7789",
        host="host2",
    )
    _iptables(stage, "-t", "nat", "-I", "PREROUTING", "-p", "udp", "--dport", "7789", "-j", "REDIRECT", "--to", str(_VXLAN))


@strike("overlay.vxlan", "the second host's VXLAN packets leave from an address that is no host's")
def _(stage: Stage) -> None:
    _iptables(
        stage, "-t", "nat", "-I", "POSTROUTING", "-p", "udp", "--dport", str(_VXLAN), "-j", "SNAT", "--to", "198.51.100.99",
        host="host2",
    )


@pytest.mark.fact("overlay.mtu")
def test_overlay_interface_leaves_room_for_vxlan(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """On hosts with an MTU of 1500, a container's overlay interface has 1450: VXLAN takes 50 bytes."""
    mesh = host.network("mesh", driver="overlay", attachable=True)
    web = host.container("web", network=mesh)
    box = host2.container("box", mode=mesh.name)
    await_gossip(mesh, web, box)
    carriers = [interface(one.vantage, "eth0") for one in (host, host2)]
    claim.control(*(equal("MTU of a host's eth0", carrier.mtu_bytes, 1500, control=True) for carrier in carriers))

    with act, capture(host.vantage, "eth0") as wire:
        devices = [_device(container) for container in (web, box)]
        fits, exceeds = ask(*(_unfragmented(box, web.address_on(mesh.name), size) for size in (1450, 1451)))

    claim.show("the larger ping on the wire", wire.text(wire.carrying(_NONCE)))
    claim.judge(
        *(equal("MTU on the overlay", device.mtu_bytes, 1450) for device in devices),
        seen(fits, Outcome.CONNECTED),
        seen(exceeds, Outcome.TOO_BIG),
        equal("bytes on the wire", {len(packet.payload) + 28 for packet in wire.carrying(_NONCE)}, {1500}),
    )


def _unfragmented(container: Container, address: str, size: int) -> Probe:
    payload = size - _PING_HEADERS_BYTES
    return icmp(container.vantage, address, size=payload, dont_fragment=True, nonce=_NONCE)
