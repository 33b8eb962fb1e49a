"""The firewall rules of a published port."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike, tamper, without
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import rules
from netfacts.probe import ask, listen, tcp
from netfacts.topology import Host
from netfacts.verdict import equal, seen

_PORT = 8080
_HOST_PORT = 20080


@pytest.mark.fact("publish.dnat-rule")
@pytest.mark.shared
def test_publishing_a_port_adds_one_dnat_rule(host: Host, act: Act, claim: Claim) -> None:
    """Publishing -p H:C adds one DNAT rule to the chain DOCKER of the nat table."""
    bridge = host.predefined().bridge
    before = rules(host.engine).of("nat", "DOCKER")
    web = host.container("web", publish={f"{_PORT}/tcp": _HOST_PORT})

    with act:
        after = rules(host.engine)

    claim.show("sudo iptables-save -t nat", after.text("nat"))
    target = f"--to-destination {web.address}:{_PORT}"
    claim.judge(
        equal(
            "rules that publishing added to the chain DOCKER of the nat table",
            [rule.text for rule in after.of("nat", "DOCKER") if rule not in before],
            [f"-A DOCKER ! -i {bridge} -p tcp -m tcp --dport {_HOST_PORT} -j DNAT {target}"],
            vantage=host.name,
        )
    )


flags("publish.dnat-rule", "--userland-proxy=false")


@strike("publish.dnat-rule", "the rule is deleted")
def _(stage: Stage) -> None:
    stage.delete_rules("nat", "DOCKER", f" {stage.container('web').address}:")


@tamper("publish.dnat-rule", "the engine ignores -p")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return without(request, "publish")


@pytest.mark.fact("publish.filter-rule")
@pytest.mark.shared
def test_publishing_a_port_adds_one_accept_rule(host: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """Publishing -p H:C adds one ACCEPT rule to the chain DOCKER of the filter table, which lets outside clients in.

    client ── lan ── host: port H ── docker0 ── [web]: port C
    """
    bridge = host.predefined().bridge
    web = host.container("web", publish={f"{_PORT}/tcp": _HOST_PORT})
    listen(web.vantage, _PORT)

    with act:
        found = rules(host.engine)
        (answer,) = ask(tcp(client, host.address, _HOST_PORT))

    claim.show("sudo iptables-save -t filter", found.text("filter"))
    target = f"-d {web.address}/32 "
    claim.judge(
        equal(
            "rules for the container in the chain DOCKER of the filter table",
            [rule.text for rule in found.of("filter", "DOCKER") if target in rule.text],
            [f"-A DOCKER {target}! -i {bridge} -o {bridge} -p tcp -m tcp --dport {_PORT} -j ACCEPT"],
            vantage=host.name,
        ),
        seen(answer, Outcome.CONNECTED),
        equal(f"who answered {answer.probe}", answer.name, web.name, vantage=client),
    )


@strike("publish.filter-rule", "the rule is deleted")
def _(stage: Stage) -> None:
    stage.delete_rules("filter", "DOCKER", f"-d {stage.container('web').address}/32 ")


@strike("publish.filter-rule", "DOCKER-USER drops what comes from outside before it gets to the rule")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I DOCKER-USER -i eth0 -j DROP")


@tamper("publish.filter-rule", "the engine publishes a further port of the container")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"publish": request.get("publish", {}) | {"8081/tcp": 20081}}
