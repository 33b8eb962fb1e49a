"""Names on other networks than a lone engine's bridges."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Observation, Outcome
from netfacts.probe import Resolution, query, resolve
from netfacts.topology import Host
from netfacts.verdict import equal, seen

_ENGINE = "127.0.0.11"
# A name that the lab's own DNS server knows.
_KNOWN = "resolver.lab"


@pytest.mark.fact("dns.swarm-member")
@pytest.mark.usefixtures("swarm")
def test_names_resolve_where_the_engine_is_in_a_swarm(host: Host, act: Act, claim: Claim) -> None:
    """On a user-defined bridge network names resolve also where the engine is a member of a swarm."""
    state = host.engine.api.info()["Swarm"]["LocalNodeState"]
    claim.control(equal("docker info: state in the swarm", state, "active", control=True))
    net = host.network("net")
    web, box = host.container("web", network=net), host.container("box", network=net)

    with act:
        found = [*resolve(box.vantage, web.name), *resolve(web.vantage, box.name)]
        claim.show(f"{_ENGINE}, asked for {web.name}", " ".join(query(box.vantage, _ENGINE, web.name).records))

    claim.judge(*_resolved(found[0], web.address), *_resolved(found[1], box.address))


@tamper("dns.swarm-member", "the engine ignores --network: the containers are on the default bridge")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("dns.swarm-member", "the rules that lead to the engine's server are flushed in one container")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -t nat -F", net=stage.container("box").vantage.net)


@pytest.mark.fact("dns.macvlan")
def test_names_resolve_on_macvlan_network(host: Host, act: Act, claim: Claim) -> None:
    """On a macvlan network the engine's server answers for containers' names and for those of the outside.

    web ─┬─ lan (macvlan on the host's eth0) ── resolver
    box ─┘
    """
    segment, resolver = host.machine.lab.segment("lan"), host.machine.lab.resolver
    lan = host.network("lan", driver="macvlan", subnet=str(segment.ipv4), options={"parent": host.machine.interface()})
    web, box = host.container("web", network=lan), host.container("box", network=lan)

    with act:
        name, known = resolve(box.vantage, web.name, _KNOWN)
        claim.show(f"{_ENGINE}, asked for {web.name}", " ".join(query(box.vantage, _ENGINE, web.name).records))
        claim.show(f"{_ENGINE}, asked for {_KNOWN}", " ".join(query(box.vantage, _ENGINE, _KNOWN).records))

    claim.judge(*_resolved(name, web.address), *_resolved(known, str(resolver)))


@tamper("dns.macvlan", "the engine ignores --network: the containers are on the default bridge")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("dns.macvlan", "the rules that lead to the engine's server are flushed in one container")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -t nat -F", net=stage.container("box").vantage.net)


@strike("dns.macvlan", "the lab's DNS server is cut off")
def _(stage: Stage) -> None:
    stage.vantage("resolver").run("ip link set eth0 down")


def _resolved(found: Resolution, address: str) -> tuple[Observation, ...]:
    return (
        seen(found, Outcome.CONNECTED),
        equal(f"addresses of {found.name}", found.addresses, (address,), vantage=found.vantage),
    )
