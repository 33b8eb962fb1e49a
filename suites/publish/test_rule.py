"""The firewall rule of a published port."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike, tamper, without
from netfacts.observe import rules
from netfacts.topology import Host
from netfacts.verdict import equal

_PORT = 8080
_HOST_PORT = 20080


@pytest.mark.fact("publish.dnat-rule")
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
