"""The way out: by which hops and under whose addresses a container's packets get to a client behind a router."""

from __future__ import annotations

import errno
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.labs import LiveLab
from fixtures.sabotage import Stage, flags, strike, tamper
from netfacts.engine import Engine
from netfacts.lab import Machine, Vantage
from netfacts.lab.agent import Refusal
from netfacts.model.errors import LabError, OffLimits
from netfacts.model.verdict import Outcome
from netfacts.observe import capture, interface, output
from netfacts.probe import ask, icmp
from netfacts.topology import Host
from netfacts.verdict import equal, seen


@pytest.mark.fact("bridge.egress-path")
@pytest.mark.shared
def test_way_out_leads_by_docker0_and_the_host_s_router(host: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """What a container sends to the outside goes to docker0's address first, and then to the host's router.

    [box] ── docker0 ── host ── lan ── router ── far ── client
             hop 1                     hop 2
    """
    box = host.container("box")
    docker0 = interface(host.vantage, host.predefined().bridge).ipv4[0].ip
    router = host.machine.lab.address("router", segment="lan")
    (direct,) = ask(icmp(host.vantage, client.machine.address))
    claim.control(seen(direct, Outcome.CONNECTED, control=True))

    with act:
        first, second, third = ask(*(icmp(box.vantage, client.machine.address, ttl=hops) for hops in (1, 2, 3)))

    hops = [answer.source or answer.outcome.value for answer in (first, second, third)]
    claim.show("traceroute -n CLIENT in the container", "\n".join(f"{n} {hop}" for n, hop in enumerate(hops, 1)))
    claim.show("ip route in the container", output(box.vantage, "ip", "route"))
    claim.show("ip route on the host", output(host.vantage, "ip", "route"))
    claim.judge(
        equal("first hop", hops[0], str(docker0), vantage=box.name),
        equal("second hop", hops[1], str(router), vantage=box.name),
        seen(third, Outcome.CONNECTED),
    )


@strike("bridge.egress-path", "the host no longer forwards")
def _(stage: Stage) -> None:
    stage.host.machine.sysctl(**{"net.ipv4.ip_forward": "0"})


@strike("bridge.egress-path", "the host sends by way of another machine beside it")
def _(stage: Stage) -> None:
    detour = stage.machine("resolver")
    detour.sysctl(**{"net.ipv4.ip_forward": "1"})
    stage.host.machine.route(f"{stage.machine('client').address}/32", detour.address)


@tamper("bridge.egress-path", "the engine puts the container into the host's own namespace")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": "host"}


@pytest.fixture
def router(host: Host, live: LiveLab) -> Iterator[Machine]:
    """Yields the lab's router, which masquerades what it sends to its other side. Undo: it no longer does."""
    router = live.lab["router"]
    _nat(host.engine, router, "-A", "POSTROUTING", "-o", router.interface(1), "-j", "MASQUERADE")
    try:
        yield router
    finally:
        _nat(host.engine, router, "-F", "POSTROUTING")


def _nat(engine: Engine, router: Machine, *argv: str) -> None:
    """Change the nat table of the router, a machine without an engine, by the tool that the host's engine comes with.

    Raises: OffLimits where that is one of the machine's own, and is not there.
    """
    root = engine.installation.root
    try:
        done = router.execute([*(["chroot", str(root)] if root else []), "iptables", "-t", "nat", *argv])
    except Refusal as refusal:
        if refusal.errno != errno.ENOENT:
            raise
        raise OffLimits("it needs iptables for the router among this machine's programs", where=router.name) from None
    done.checked("could not change the router's firewall", LabError)


@pytest.mark.fact("bridge.second-nat")
def test_router_translates_what_the_host_has_translated(
    host: Host, client: Vantage, router: Machine, act: Act, claim: Claim
) -> None:
    """Behind a router that masquerades a container's packets bear three addresses, one after the other.

    [box] ── docker0 ── host ── lan ── router ── far ── client
             capture            capture          capture
    """
    box = host.container("box")
    nonce, target = secrets.token_hex(8), client.machine.address
    (direct,) = ask(icmp(host.vantage, target))
    claim.control(seen(direct, Outcome.CONNECTED, control=True))

    with (
        act,
        capture(host.vantage, host.predefined().bridge) as inside,
        capture(host.vantage, host.machine.interface()) as between,
        capture(client, client.machine.interface()) as beyond,
    ):
        (answer,) = ask(icmp(box.vantage, target, nonce=nonce))

    places = {"on docker0": inside, "between host and router": between, "beyond the router": beyond}
    sources = {
        place: {packet.source for packet in wire.carrying(nonce) if packet.destination == target}
        for place, wire in places.items()
    }
    for place, wire in places.items():
        claim.show(f"sudo tcpdump -n icmp, {place}", wire.text(wire.carrying(nonce)))
    outer = str(host.machine.lab.address("router", segment="far"))
    claim.judge(
        seen(answer, Outcome.CONNECTED),
        *(
            equal(f"source of the ping {place}", sources[place], {address}, vantage=places[place].vantage)
            for place, address in zip(places, (box.address, host.address, outer), strict=True)
        ),
    )


flags("bridge.second-nat", "--ip-masq=false")


@strike("bridge.second-nat", "the router routes, and translates nothing")
def _(stage: Stage) -> None:
    _nat(stage.host.engine, stage.machine("router"), "-F", "POSTROUTING")


@strike("bridge.second-nat", "the container sends from another address of its own")
def _(stage: Stage) -> None:
    box = stage.container("box").vantage
    (docker0,) = interface(stage.host.vantage, stage.host.predefined().bridge).ipv4
    other = docker0.network[-2]
    box.run(f"ip addr add {other}/{docker0.network.prefixlen} dev eth0")
    box.run(f"ip route replace default via {docker0.ip} src {other}")
