"""What a fabric's packets look like between hosts, and by which interface they leave."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network

import pytest

from fixtures.claim import Act, Claim
from fixtures.fabric import Weaver
from fixtures.sabotage import Stage, flags, strike
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import Packet, capture, interface, links, output, routes
from netfacts.probe import ask, icmp
from netfacts.topology import Host
from netfacts.verdict import equal, holds, seen
from suites.fabrics import each_backend
from suites.fabrics.sealed import seal

_NONCE = "netfacts-fabric-nonce"
_VXLAN_PORT, _UDP_PORT = 8472, 8285


@dataclass(frozen=True)
class _Way:
    """How a backend's packets travel: in what, and by which interface of a host, of which kind."""

    carried: str
    device: str
    kind: str


_WAYS = {
    "host-gw": _Way("icmp", "eth0", "veth"),
    "vxlan": _Way(f"udp {_VXLAN_PORT}", "flannel.1", "vxlan"),
    "udp": _Way(f"udp {_UDP_PORT}", "flannel0", "tun"),
}


@pytest.mark.fact("flannel.encapsulation")
@each_backend
def test_backend_decides_what_the_wire_shows(
    host: Host, host2: Host, weave: Weaver, act: Act, claim: Claim, backend: str
) -> None:
    """Between hosts packets are in UDP port 8472 with vxlan and 8285 with udp, and as they are with host-gw.

    host [ web ]── docker0 ── eth0 ══════ eth0 ── docker0 ──[ box ] host2
    """
    weave(backend)
    web, box = host.container("web"), host2.container("box")

    with act, capture(host.vantage, host.machine.interface(), vxlan_port=_VXLAN_PORT) as wire:
        (ping,) = ask(icmp(box.vantage, web.address, nonce=_NONCE))

    outer = wire.carrying(_NONCE)
    inside = {f"{box.address} > {web.address}", f"{web.address} > {box.address}"}
    outside = inside if backend == "host-gw" else {_way(host, host2), _way(host2, host)}
    claim.show("on the first host's interface, meanwhile", wire.text(outer))
    claim.control(seen(ping, Outcome.CONNECTED, control=True))
    claim.judge(
        equal("what containers' packets travel in", {_carried(one) for one in outer}, {_WAYS[backend].carried}),
        equal("addresses outside", {f"{one.source} > {one.destination}" for one in outer}, outside),
        equal("addresses of the containers' own packets", {_inner(one) for one in outer}, inside),
    )


def _carried(packet: Packet) -> str:
    port = packet.destination_port
    return packet.protocol if port is None else f"{packet.protocol} {port}"


def _inner(packet: Packet) -> str:
    """The addresses of what a container has sent: inside VXLAN, inside plain UDP, or bare."""
    if packet.inner:
        return f"{packet.inner.source} > {packet.inner.destination}"
    if packet.protocol == "udp":
        header = packet.payload
        return f"{IPv4Address(header[12:16])} > {IPv4Address(header[16:20])}"
    return f"{packet.source} > {packet.destination}"


def _way(here: Host, there: Host) -> str:
    return f"{here.address} > {there.address}"


flags("flannel.encapsulation", "--ip-masq=true")


@strike("flannel.encapsulation", "the first host's packets travel under an address that is no host's")
def _(stage: Stage) -> None:
    host, host2 = stage.host, stage.hosts["host2"]
    ports = f"-p udp -m multiport --dports {_VXLAN_PORT},{_UDP_PORT}"
    host.engine.run(f"iptables -t nat -I POSTROUTING {ports} -j SNAT --to-source 198.51.100.99")
    host.engine.run("iptables -t nat -I POSTROUTING -p icmp -j SNAT --to-source 198.51.100.99")
    # Undone behind the wire: who is sent an answer by a stranger drops it.
    host2.engine.run(f"iptables -t nat -I INPUT {ports} -j SNAT --to-source {host.address}")


@strike("flannel.encapsulation", "the second host sends to the ports beside those of the backends")
def _(stage: Stage) -> None:
    host, host2 = stage.host, stage.hosts["host2"]
    for port in (_VXLAN_PORT, _UDP_PORT):
        beside = port + 1
        host2.engine.run(f"iptables -t nat -I OUTPUT -p udp --dport {port} -j DNAT --to {host.address}:{beside}")
        host.engine.run(f"iptables -t nat -I PREROUTING -p udp --dport {beside} -j REDIRECT --to-ports {port}")


@strike("flannel.encapsulation", "packets go in a tunnel of another kind")
def _(stage: Stage) -> None:
    seal(stage.host, stage.hosts["host2"])


@pytest.mark.fact("flannel.device")
@each_backend
def test_backend_decides_what_stands_before_the_network_card(
    host: Host, host2: Host, weave: Weaver, act: Act, claim: Claim, backend: str
) -> None:
    """The way to another host's subnet is flannel0, a TUN device, with udp, flannel.1 with vxlan, eth0 with host-gw."""
    fabric = weave(backend)
    # What an engine carries over is what uses it.
    host.container("web")

    with act:
        device = _device(host.vantage, fabric[host2.name].lease.subnet)
        kinds = {link.name: link.kind for link in links(host.vantage)}

    way = _WAYS[backend]
    claim.show("ip route, on the first host", output(host.vantage, "ip", "route"))
    claim.show("ip -d link, on the first host", output(host.vantage, "ip", "-d", "link"))
    claim.judge(
        equal("interface that leads to the second host's subnet", device, way.device),
        equal("its kind", kinds.get(device, ""), way.kind),
        equal("interfaces of Flannel's", {name for name in kinds if name.startswith("flannel")} - {way.device}, set()),
    )


def _device(vantage: Vantage, subnet: IPv4Network) -> str:
    """The interface of the narrowest route to a subnet, "" where there is none."""
    found = [
        (network.prefixlen, route.device)
        for route in routes(vantage)
        if route.destination != "default" and subnet.subnet_of(network := _network(route.destination))
    ]
    return max(found, default=(0, ""))[1]


def _network(destination: str) -> IPv4Network:
    network = ip_network(destination)
    assert isinstance(network, IPv4Network)
    return network


@strike("flannel.device", "the first host has no way to the second one's subnet but that of all else")
def _(stage: Stage) -> None:
    (docker0,) = interface(stage.hosts["host2"].vantage, "docker0").ipv4
    stage.host.vantage.run(f"ip route replace blackhole {docker0.network}")


@strike("flannel.device", "a device of Flannel's is left from another backend")
def _(stage: Stage) -> None:
    stage.host.vantage.run("ip link add flannel.7 type bridge")


@pytest.mark.fact("flannel.plain")
@each_backend
def test_packets_can_be_read_on_the_wire(
    host: Host, host2: Host, weave: Weaver, act: Act, claim: Claim, backend: str
) -> None:
    """What containers of two hosts tell each other can be read between the hosts."""
    weave(backend)
    web, box = host.container("web"), host2.container("box")

    with act, capture(host.vantage, host.machine.interface()) as wire:
        (ping,) = ask(icmp(box.vantage, web.address, nonce=_NONCE))

    readable = wire.carrying(_NONCE)
    claim.show("packets on the first host's interface that carry what was said", wire.text(readable))
    claim.control(seen(ping, Outcome.CONNECTED, control=True))
    claim.judge(
        holds(
            "packets between the hosts that carry what was said",
            len(readable) >= 2,
            len(readable),
            expected="two or more",
        )
    )


@strike("flannel.plain", "packets go by a tunnel that makes them unreadable")
def _(stage: Stage) -> None:
    seal(stage.host, stage.hosts["host2"])
