"""Calico's two ways: packets in packets, and routes that hosts tell each other."""

from __future__ import annotations

import contextlib

import pytest

from fixtures.claim import Act, Claim
from fixtures.fabric import Weaver
from fixtures.sabotage import Stage, flags, strike
from netfacts.lab import Vantage
from netfacts.lab.wait import until
from netfacts.model.errors import LabError
from netfacts.model.verdict import Outcome
from netfacts.observe import capture, interface, output, processes, routes, sockets
from netfacts.observe.packet import decode
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host
from netfacts.verdict import equal, holds, seen, source_is

_PORT, _BGP = 8080, 179
_NONCE = "netfacts-fabric-nonce"
_HOST_MTU = 1500
# Such as is before an IPv4 packet on a wire, and not in a tunnel.
_ETHERNET = bytes(12) + b"\x08\x00"
# BIRD hears at once that a neighbour has left, and takes a moment to try again.
_TOLD_S = 20.0


@pytest.mark.fact("calico.ipip")
def test_packets_travel_in_packets_of_their_hosts(
    host: Host, host3: Host, weave: Weaver, act: Act, claim: Claim
) -> None:
    """Across a router packets are IP protocol 4 from host to host, with the containers' own packet inside.

    host [ web ]── docker0 ── eth0 ══ router ══ eth0 ── docker0 ──[ box ] host3
    """
    weave("ipip")
    web, box = host.container("web"), host3.container("box")

    with act, capture(host.vantage, host.machine.interface()) as wire, capture(box.vantage, "eth0") as inside:
        (ping,) = ask(icmp(box.vantage, web.address, nonce=_NONCE))

    outer, own = wire.carrying(_NONCE), inside.carrying(_NONCE)
    claim.show("on the first host's interface, meanwhile", wire.text(outer))
    claim.show("in the container that asked, meanwhile", inside.text(own))
    claim.control(seen(ping, Outcome.CONNECTED, control=True))
    claim.judge(
        equal("what containers' packets travel in", {one.protocol for one in outer}, {"ipip"}),
        equal(
            "addresses outside",
            {f"{one.source} > {one.destination}" for one in outer},
            {f"{host3.address} > {host.address}", f"{host.address} > {host3.address}"},
        ),
        equal("packets inside", [str(decode(_ETHERNET + one.payload)) for one in outer], [str(one) for one in own]),
        equal("MTU of the container's interface", interface(box.vantage, "eth0").mtu_bytes, _HOST_MTU - 20),
    )


flags("calico.ipip", "--mtu=1400")
flags("calico.ipip", "--ip-masq=true")


@strike("calico.ipip", "hosts and router know routes, and nothing is put into anything: ipipMode Never")
def _(stage: Stage) -> None:
    subnets = {name: interface(stage.hosts[name].vantage, "docker0").ipv4[0].network for name in ("host", "host3")}
    for name, other in (("host", "host3"), ("host3", "host")):
        machine = stage.machine(name)
        gateway = machine.lab.address("router", segment=machine.spec.ports[0].segment)
        stage.vantage(name).run(f"ip route replace {subnets[other]} via {gateway}")
        stage.vantage("router").run(f"ip route replace {subnets[name]} via {machine.address}")


@pytest.mark.fact("calico.bgp")
def test_hosts_learn_routes_by_bgp(
    host: Host, host2: Host, host3: Host, router: Vantage, weave: Weaver, act: Act, claim: Claim
) -> None:
    """BIRD on each host and on the router learns each subnet's route; packets travel as they are, also across it.

    host [ web ] ──┬── lan ── router ── far ── host3 [ box ]
    host2 ─────────┘
    """
    fabric = weave("bgp")
    web, box = host.container("web"), host3.container("box")
    listen(web.vantage, _PORT)

    with act, capture(host.vantage, host.machine.interface()) as wire:
        (ping, connection) = ask(icmp(box.vantage, web.address, nonce=_NONCE), tcp(box.vantage, web.address, _PORT))
        learnt = {one.label: _learnt(one) for one in (host.vantage, host2.vantage, host3.vantage, router)}
        sessions = _sessions(host.vantage)

    subnets = {name: str(node.lease.subnet) for name, node in fabric.nodes.items()}
    claim.show("ip route, on the first host", output(host.vantage, "ip", "route"))
    claim.show("on the first host's interface, meanwhile", wire.text(wire.carrying(_NONCE)))
    claim.judge(
        *(
            equal(f"subnets that {name} has learnt", found, {subnets[other] for other in subnets if other != name})
            for name, found in learnt.items()
        ),
        holds("BGP sessions of the first host", sessions >= 1, sessions, expected="one or more"),
        *(seen(answer, Outcome.CONNECTED) for answer in (ping, connection)),
        source_is(connection, box.address),
        equal("what containers' packets travel in", {one.protocol for one in wire.carrying(_NONCE)}, {"icmp"}),
    )


def _learnt(vantage: Vantage) -> set[str]:
    """The subnets to which BIRD has led a vantage."""
    return {route.destination for route in routes(vantage) if route.protocol == "bird"}


def _sessions(vantage: Vantage) -> int:
    return sum(
        _BGP in (one.port, one.peer_port) for one in sockets(vantage, listening=False) if one.state == "ESTABLISHED"
    )


@strike("calico.bgp", "BIRD is killed on the second host")
def _(stage: Stage) -> None:
    (docker0,) = interface(stage.hosts["host2"].vantage, "docker0").ipv4
    _kill(stage, "host2")
    # The others hear of it a moment later.
    _await_withdrawal(str(docker0.network), stage.host.vantage)


@strike("calico.bgp", "the first host has no route to the third one's subnet but one that was put there by hand")
def _(stage: Stage) -> None:
    (docker0,) = interface(stage.hosts["host3"].vantage, "docker0").ipv4
    host = stage.host.vantage
    host.run(f"ip route del {docker0.network} proto bird")
    host.run(f"ip route add {docker0.network} via {stage.machine('host').lab.address('router')}")


@pytest.mark.fact("calico.withdrawal")
@pytest.mark.own_lab
def test_routes_go_with_who_told_them(
    host: Host, host2: Host, host3: Host, router: Vantage, weave: Weaver, act: Act, claim: Claim
) -> None:
    """When BIRD is stopped in order on a host, the others lose the route to its subnet, and no other.

    host [ box ] ──┬── lan ── router ── far ── host3, where BIRD stops
    host2 [ web ] ─┘
    """
    fabric = weave("bgp")
    box, web, lost = host.container("box"), host2.container("web"), host3.container("lost")
    for container in (web, lost):
        listen(container.vantage, _PORT)
    before = ask(*(tcp(box.vantage, one.address, _PORT) for one in (web, lost)))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in before))

    with act:
        fabric.backend.halt(host3.machine)
        _await_withdrawal(str(fabric[host3.name].lease.subnet), host.vantage, host2.vantage, router)
        learnt = {one.name: _learnt(one.vantage) for one in (host, host2)}
        still, after = ask(*(tcp(box.vantage, one.address, _PORT) for one in (web, lost)))

    subnets = {name: str(node.lease.subnet) for name, node in fabric.nodes.items()}
    claim.show("ip route, on the first host", output(host.vantage, "ip", "route"))
    claim.judge(
        equal("subnets that host has learnt", learnt[host.name], {subnets[host2.name]}),
        equal("subnets that host2 has learnt", learnt[host2.name], {subnets[host.name]}),
        seen(still, Outcome.CONNECTED),
        seen(after, Outcome.UNREACHABLE, Outcome.TIMED_OUT),
    )


def _await_withdrawal(subnet: str, *vantages: Vantage) -> None:
    """Wait until nobody has learnt a route any more; no error where it never goes: that is for the check to see."""
    with contextlib.suppress(LabError):
        until(
            lambda: all(subnet not in _learnt(vantage) for vantage in vantages),
            what="the route to go",
            timeout_s=_TOLD_S,
        )


@strike("calico.withdrawal", "hosts and router have routes to the third one's subnet besides, put there by hand")
def _(stage: Stage) -> None:
    (docker0,) = interface(stage.hosts["host3"].vantage, "docker0").ipv4
    (own,) = interface(stage.host.vantage, "docker0").ipv4
    router, third = stage.machine("router"), stage.machine("host3")
    stage.host.vantage.run(f"ip route add {docker0.network} via {router.address} metric 7")
    stage.vantage("router").run(f"ip route add {docker0.network} via {third.address} metric 7")
    gateway = router.lab.address("router", segment="far")
    stage.vantage("host3").run(f"ip route add {own.network} via {gateway} metric 7")


@strike("calico.withdrawal", "BIRD is killed on the second host, too")
def _(stage: Stage) -> None:
    _kill(stage, "host2")


def _kill(stage: Stage, host: str) -> None:
    machine = stage.machine(host)
    machine.kill(*(one.pid for one in processes(machine, name="bird")))
