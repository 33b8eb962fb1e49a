"""Containers of two hosts on one overlay: that they meet, how their packets travel, and how large these may be."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Observation, Outcome
from netfacts.observe import Link, Packet, capture, interface, links, output
from netfacts.probe import Probe, ask, icmp, listen, resolve, tcp, udp
from netfacts.topology import Container, Host
from netfacts.verdict import equal, seen, source_is
from suites.overlay.gossip import await_gossip, forwarding

pytestmark = pytest.mark.usefixtures("swarm")

_PORT = 8080
_NONCE = "netfacts-overlay-nonce"
_DATA_PORT, _IN_4789 = 20789, "udp 4789"
_HOST_MTU, _OVERLAY_MTU, _ENCRYPTED_MTU = 1500, 1450, 1424
# An IPv4 header and the eight bytes that ICMP and UDP each put before their payload.
_HEADERS_BYTES = 28


@pytest.mark.fact("overlay.reach")
def test_containers_on_two_hosts_reach_each_other(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """Containers on different hosts that share an attachable overlay reach each other by address and by name.

    host [ web ]══════ mesh ══════[ box ] host2
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    web, box = host.container("web", network=mesh), host2.container("box", mode=mesh.name)
    for container in (web, box):
        listen(container.vantage, _PORT)
        listen(container.vantage, _PORT, protocol="udp")
    act.settle(lambda: await_gossip(mesh, web, box))

    with act:
        at = {container.name: container.address_on(mesh.name) for container in (web, box)}
        answers = ask(*_every_kind(web, at[box.name]), *_every_kind(box, at[web.name]))
        names = [*resolve(web.vantage, box.name), *resolve(box.vantage, web.name)]

    for container in (web, box):
        claim.show(f"bridge fdb show, in the overlay of {container.name}'s host", forwarding(mesh, container))
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        *(source_is(answer, at[answer.probe.vantage.label]) for answer in answers if answer.probe.kind != "icmp"),
        *(seen(found, Outcome.CONNECTED) for found in names),
        *(equal(f"addresses of {found.name}", found.addresses, (at[found.name],)) for found in names),
    )


@strike("overlay.reach", "the first host drops what comes to UDP port 4789")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -p udp --dport 4789 -j DROP")


@strike("overlay.reach", "port 7946 of the first host is closed while the other container takes a new address")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -p tcp --dport 7946 -j REJECT --reject-with tcp-reset")
    stage.host.engine.run("iptables -I INPUT -p udp --dport 7946 -j DROP")
    host2, mesh, box = stage.hosts["host2"], stage.network("mesh"), stage.container("box", "host2")
    host2.disconnect(mesh, box)
    host2.connect(mesh, box)


@pytest.mark.fact("overlay.vxlan")
def test_overlay_packets_travel_in_vxlan(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """Overlay traffic is VXLAN in UDP port 4789: host addresses outside, the containers' own packet inside.

    host [ web ]── mesh ── eth0 ══════ eth0 ── mesh ──[ box ] host2
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    web, box = host.container("web", network=mesh), host2.container("box", mode=mesh.name)
    act.settle(lambda: await_gossip(mesh, web, box))

    with (
        act,
        capture(host.vantage, host.machine.interface()) as wire,
        capture(box.vantage, _on(mesh.subnet, box).name) as inside,
    ):
        (ping,) = ask(icmp(box.vantage, web.address_on(mesh.name), nonce=_NONCE))

    outer, own = wire.carrying(_NONCE), inside.carrying(_NONCE)
    claim.show(f"on {host.machine.interface()} of the first host, meanwhile", wire.text(outer))
    claim.show(f"on {inside.interface} of {box.name}, meanwhile", inside.text(own))
    claim.control(seen(ping, Outcome.CONNECTED, control=True))
    claim.judge(
        equal("outside: transport and port", {_port_of(one) for one in outer}, {_IN_4789}),
        equal("outside: addresses", _ends(outer), {_way(host2, host), _way(host, host2)}),
        equal("inside: packets", [str(one.inner) for one in outer], [str(one) for one in own]),
    )


@strike("overlay.vxlan", "the second host sends to UDP port 7789, as with docker swarm init --data-path-port 7789")
def _(stage: Stage) -> None:
    stage.hosts["host2"].engine.run(
        f"iptables -t nat -I OUTPUT -p udp --dport 4789 -j DNAT --to {stage.host.address}:7789"
    )
    stage.host.engine.run("iptables -t nat -I PREROUTING -p udp --dport 7789 -j REDIRECT --to-ports 4789")


@strike("overlay.vxlan", "the second host's packets travel under an address that is no host's")
def _(stage: Stage) -> None:
    host2 = stage.hosts["host2"]
    host2.engine.run("iptables -t nat -I POSTROUTING -p udp --dport 4789 -j SNAT --to-source 198.51.100.99")
    # Undone behind the wire: VXLAN drops what a known MAC address sends from another host.
    stage.host.engine.run(f"iptables -t nat -I INPUT -p udp --dport 4789 -j SNAT --to-source {host2.address}")


@pytest.mark.fact("swarm.data-path-port")
@pytest.mark.swarm(data_path_port=_DATA_PORT)
def test_overlay_packets_travel_by_the_port_that_the_swarm_was_made_with(
    host: Host, host2: Host, act: Act, claim: Claim
) -> None:
    """In a swarm made with --data-path-port 20789 overlay packets travel in UDP port 20789, and none in 4789.

    host [ web ]── mesh ── eth0 ══════ eth0 ── mesh ──[ box ] host2
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    web, box = host.container("web", network=mesh), host2.container("box", mode=mesh.name)
    act.settle(lambda: await_gossip(mesh, web, box))

    with (
        act,
        capture(host.vantage, host.machine.interface(), vxlan_port=_DATA_PORT) as wire,
        capture(box.vantage, _on(mesh.subnet, box).name) as inside,
    ):
        (ping,) = ask(icmp(box.vantage, web.address_on(mesh.name), nonce=_NONCE))

    outer, own = wire.carrying(_NONCE), inside.carrying(_NONCE)
    claim.show(f"on {host.machine.interface()} of the first host, meanwhile", wire.text(outer))
    claim.show(f"on {inside.interface} of {box.name}, meanwhile", inside.text(own))
    claim.control(seen(ping, Outcome.CONNECTED, control=True))
    claim.judge(
        equal("transport and port", {_port_of(one) for one in outer}, {f"udp {_DATA_PORT}"}),
        equal(
            "packets of any kind in UDP port 4789", [str(one) for one in wire.packets if _port_of(one) == _IN_4789], []
        ),
        equal("addresses", _ends(outer), {_way(host2, host), _way(host, host2)}),
        equal("inside: packets", [str(one.inner) for one in outer], [str(one) for one in own]),
    )


@tamper("swarm.data-path-port", "the engine ignores --data-path-port")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"data_path_port": 0}


@strike("swarm.data-path-port", "the second host sends to UDP port 4789 as ever")
def _(stage: Stage) -> None:
    stage.hosts["host2"].engine.run(
        f"iptables -t nat -I OUTPUT -p udp --dport {_DATA_PORT} -j DNAT --to {stage.host.address}:4789"
    )
    stage.host.engine.run(f"iptables -t nat -I PREROUTING -p udp --dport 4789 -j REDIRECT --to-ports {_DATA_PORT}")


@pytest.mark.fact("overlay.mtu")
def test_overlay_interface_leaves_room_for_vxlan(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """On hosts with an MTU of 1500, a container's overlay interface has 1450: VXLAN takes 50 bytes."""
    mesh = host.network("mesh", driver="overlay", attachable=True)
    web, box = host.container("web", network=mesh), host2.container("box", mode=mesh.name)
    act.settle(lambda: await_gossip(mesh, web, box))
    claim.control(_beneath(host, host2))

    with act, capture(host.vantage, host.machine.interface()) as wire:
        devices = [_on(mesh.subnet, container) for container in (web, box)]
        fits, exceeds = ask(
            *(_whole(box, web.address_on(mesh.name), size) for size in (_OVERLAY_MTU, _OVERLAY_MTU + 1))
        )

    outer = wire.carrying(_NONCE)
    claim.show(
        f"ip link show {devices[1].name}, in {box.name}", output(box.vantage, "ip", "link", "show", devices[1].name)
    )
    claim.show(f"the larger ping on {host.machine.interface()} of the first host", wire.text(outer))
    claim.judge(
        equal("MTU of the containers' interfaces", [device.mtu_bytes for device in devices], [_OVERLAY_MTU] * 2),
        seen(fits, Outcome.CONNECTED),
        seen(exceeds, Outcome.TOO_BIG),
        equal("bytes of its outer packets", {len(one.payload) + _HEADERS_BYTES for one in outer}, {_HOST_MTU}),
    )


@tamper("overlay.mtu", "the overlay is made with --opt com.docker.network.driver.mtu=1400")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"options": {"com.docker.network.driver.mtu": "1400"}}


@strike("overlay.mtu", "the first host drops VXLAN packets of full size")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -p udp --dport 4789 -m length --length 1500:65535 -j DROP")


@strike("overlay.mtu", "the container's interface is given the MTU of its host")
def _(stage: Stage) -> None:
    _enlarge(stage)


@pytest.mark.fact("overlay.encrypted")
def test_encrypted_overlay_travels_in_esp(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """On an encrypted overlay packets are ESP between the hosts, their content can't be read, and the MTU is 1424.

    host [ web ]── mesh ── eth0 ══════ eth0 ── mesh ──[ box ] host2
    """
    mesh = host.network("mesh", driver="overlay", attachable=True, options={"encrypted": ""})
    web, box = host.container("web", network=mesh), host2.container("box", mode=mesh.name)
    act.settle(lambda: await_gossip(mesh, web, box))
    claim.control(_beneath(host, host2))

    with act, capture(host.vantage, host.machine.interface()) as wire:
        devices = [_on(mesh.subnet, container) for container in (web, box)]
        (ping,) = ask(icmp(box.vantage, web.address_on(mesh.name), nonce=_NONCE))

    ways = {_way(host2, host), _way(host, host2)}
    # On somebody's machine others may speak ESP, too.
    sealed = [packet for packet in wire.packets if packet.protocol == "esp" and _ends([packet]) <= ways]
    shown = wire.text([*sealed, *wire.carrying(_NONCE)])
    claim.show(f"on {host.machine.interface()} of the first host, meanwhile", shown)
    claim.control(seen(ping, Outcome.CONNECTED, control=True))
    claim.judge(
        equal("ESP between the hosts", _ends(sealed), ways),
        equal("packets on the wire that carry what was said", [str(one) for one in wire.carrying(_NONCE)], []),
        equal("MTU of the containers' interfaces", [device.mtu_bytes for device in devices], [_ENCRYPTED_MTU] * 2),
    )


@tamper("overlay.encrypted", "the engine ignores --opt encrypted")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"options": {}}


@strike("overlay.encrypted", "the container's interface is given the MTU of its host")
def _(stage: Stage) -> None:
    _enlarge(stage)


def _enlarge(stage: Stage) -> None:
    """Give the second host's container the MTU of its host."""
    box = stage.container("box", "host2")
    device = _on(stage.network("mesh").subnet, box)
    box.vantage.run(f"ip link set {device.name} mtu {_HOST_MTU}")


def _beneath(*hosts: Host) -> Observation:
    """Observe, as a control, that the hosts' interfaces have the MTU that the claim starts from."""
    found = [interface(host.vantage, host.machine.interface()).mtu_bytes for host in hosts]
    return equal("MTU of the hosts' interfaces", found, [_HOST_MTU] * len(hosts), control=True)


def _every_kind(here: Container, address: str) -> list[Probe]:
    return [tcp(here.vantage, address, _PORT), udp(here.vantage, address, _PORT), icmp(here.vantage, address)]


def _whole(here: Container, address: str, size: int) -> Probe:
    """A ping whose IPv4 packet has `size` bytes and may not be cut."""
    return icmp(here.vantage, address, size=size - _HEADERS_BYTES, dont_fragment=True, nonce=_NONCE)


def _on(subnet: str, container: Container) -> Link:
    """The container's interface in a subnet."""
    return next(link for link in links(container.vantage) if subnet in {str(end.network) for end in link.ipv4})


def _port_of(packet: Packet) -> str:
    return f"{packet.protocol} {packet.destination_port}"


def _ends(packets: Iterable[Packet]) -> set[str]:
    return {f"{packet.source} > {packet.destination}" for packet in packets}


def _way(here: Host, there: Host) -> str:
    return f"{here.address} > {there.address}"
