"""Isolation: what containers of one bridge network can't reach in another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import Capture, capture, rules
from netfacts.probe import Probe, ask, icmp, listen, tcp, udp
from netfacts.topology import Container, Host, Network
from netfacts.verdict import equal, seen

_PORT = 8080


def _every(vantage: Vantage, address: str) -> list[Probe]:
    return [icmp(vantage, address), tcp(vantage, address, _PORT), udp(vantage, address, _PORT)]


@pytest.mark.fact("isolation.bridges")
@pytest.mark.shared
@pytest.mark.parametrize(
    "find", [Host.predefined, lambda host: host.network("one")], ids=["networks=bridge+user", "networks=user+user"]
)
def test_bridge_networks_are_isolated(host: Host, act: Act, claim: Claim, find: Callable[[Host], Network]) -> None:
    """Containers on different bridge networks can't reach each other's addresses: attempts time out.

    web ─┐
    box ─┴─ one     ╳     two ─┬─ far
                               └─ other
    """
    one, two = find(host), host.network("two")
    web, box = host.container("web", network=one), host.container("box", network=one)
    far, other = host.container("far", network=two), host.container("other", network=two)
    for listening in (web.vantage, far.vantage):
        listen(listening, _PORT)
        listen(listening, _PORT, protocol="udp")
    within = ask(*_every(box.vantage, web.address), *_every(other.vantage, far.address))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in within))

    with act, capture(web.vantage, "eth0") as at_web, capture(far.vantage, "eth0") as at_far:
        across = ask(*_every(other.vantage, web.address), *_every(box.vantage, far.address))
        ruleset = rules(host.engine)
        claim.show("filter table", ruleset.text("filter"))
        claim.show("raw table", ruleset.text("raw"))

    # A time-out alone might be an answer that got lost.
    claim.judge(
        *(seen(answer, Outcome.TIMED_OUT) for answer in across),
        equal("packets that arrive at web", _strange(at_web, box), [], vantage=web.vantage),
        equal("packets that arrive at far", _strange(at_far, other), [], vantage=far.vantage),
    )


def _strange(wire: Capture, neighbour: Container) -> list[str]:
    """What arrives from elsewhere than the neighbour, whose last packets may be late; masqueraded or not."""
    arrived = [packet for packet in wire.packets if packet.way == "in" and packet.protocol in ("icmp", "tcp", "udp")]
    return [str(packet) for packet in arrived if packet.source != neighbour.address]


@strike("isolation.bridges", "all is accepted, before the engine's own rules are met")
def _(stage: Stage) -> None:
    # 28.0 and later drop in the raw table as well.
    stage.host.engine.run("iptables -I DOCKER-USER -j ACCEPT")
    stage.host.engine.run("iptables -t raw -I PREROUTING -j ACCEPT")


@strike("isolation.bridges", "packets get across one way, and answers do not")
def _(stage: Stage) -> None:
    far = stage.container("far").address
    stage.host.engine.run(f"iptables -I DOCKER-USER -d {far} -j ACCEPT")
    stage.host.engine.run(f"iptables -t raw -I PREROUTING -d {far} -j ACCEPT")
    stage.host.engine.run(f"iptables -t mangle -I FORWARD -s {far} -d {stage.container('box').address} -j DROP")


@strike("isolation.bridges", "DOCKER-ISOLATION-STAGE-2 is flushed", engines="<28")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -F DOCKER-ISOLATION-STAGE-2")
