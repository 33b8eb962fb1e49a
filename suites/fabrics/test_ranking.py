"""Which of Flannel's backends is faster."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.fabric import Weaver
from fixtures.sabotage import Stage, strike
from netfacts.model.verdict import Outcome
from netfacts.observe import interface
from netfacts.probe import Path, measure, serve_loads
from netfacts.topology import Container, Host, Network
from netfacts.verdict import at_least, at_most, seen

_PORT = 8080
_BESIDE = ("udp", "host-gw")


@pytest.mark.fact("flannel.ranking")
def test_backends_rank_udp_vxlan_host_gw(host: Host, host2: Host, weave: Weaver, act: Act, claim: Claim) -> None:
    """Over udp round trips are longer and throughput is less than over vxlan, and over vxlan no better than host-gw.

    host [ one web for each backend ]══════[ one box for each backend ] host2
    """
    weave("vxlan", beside=_BESIDE, hosts=(host.name, host2.name))
    ends = {"vxlan": (host.container("web-vxlan"), host2.container("box-vxlan"))}
    for backend in _BESIDE:
        here, there = (_network(weave, one, backend) for one in (host, host2))
        ends[backend] = _pair(backend, (host, here), (host2, there))
    for web, _ in ends.values():
        serve_loads(web.vantage, _PORT, urgent=True)

    with act:
        measured = measure(
            *(Path(backend, box.vantage, web.address, _PORT) for backend, (web, box) in ends.items()), urgent=True
        )

    for one, other in (("udp", "vxlan"), ("vxlan", "host-gw")):
        claim.compare("round trip", measured.round_trip, one, other)
        claim.compare("throughput", measured.throughput, one, other)
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in measured.answers),
        at_least("round trip", measured.round_trip, "udp", "vxlan", 1.3),
        at_most("throughput", measured.throughput, "udp", "vxlan", 0.5),
        at_least("round trip", measured.round_trip, "vxlan", "host-gw", 0.9),
        at_most("throughput", measured.throughput, "vxlan", "host-gw", 1.1),
    )


def _network(weave: Weaver, host: Host, backend: str) -> Network:
    """A network of a host's, of the subnet that it has leased from a fabric beside the first."""
    node = weave.beside(backend)[host.name]
    return host.network(
        backend,
        subnet=str(node.lease.subnet),
        options={
            "com.docker.network.bridge.enable_ip_masquerade": "false",
            "com.docker.network.driver.mtu": str(node.mtu_bytes),
        },
    )


def _pair(backend: str, here: tuple[Host, Network], there: tuple[Host, Network]) -> tuple[Container, Container]:
    return (
        here[0].container(f"web-{backend}", network=here[1]),
        there[0].container(f"box-{backend}", network=there[1]),
    )


@strike("flannel.ranking", "the first host shapes what travels in vxlan")
def _(stage: Stage) -> None:
    _shape(stage, "match ip dport 8472 0xffff")


@strike("flannel.ranking", "the first host shapes what travels as it is")
def _(stage: Stage) -> None:
    _shape(stage, f"match ip src {stage.network('host-gw').subnet}")


@strike("flannel.ranking", "what is for subnets of udp goes by vxlan: one is as fast as the other")
def _(stage: Stage) -> None:
    for name, other in (("host", "host2"), ("host2", "host")):
        (docker0,) = interface(stage.vantage(other), "docker0").ipv4
        way = f"via {docker0.network.network_address} dev flannel.1 onlink"
        stage.vantage(name).run(f"ip route replace {stage.network('udp', other).subnet} {way}")


@strike("flannel.ranking", "the second host has no route to the first one's subnet of udp")
def _(stage: Stage) -> None:
    stage.hosts["host2"].vantage.run(f"ip route replace blackhole {stage.network('udp').subnet}")


def _shape(stage: Stage, which: str) -> None:
    """Let what a filter names leave the first host at 20 Mbit/s: less than any backend has."""
    host = stage.host.vantage
    host.run("tc qdisc add dev eth0 root handle 1: htb default 2")
    host.run("tc class add dev eth0 parent 1: classid 1:1 htb rate 20mbit")
    host.run("tc class add dev eth0 parent 1: classid 1:2 htb rate 30gbit")
    host.run(f"tc filter add dev eth0 parent 1: protocol ip u32 {which} flowid 1:1")
