"""The chains of the filter table: where the engine's rules stand, and what is left to the user."""

from __future__ import annotations

import shlex

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.model.errors import LabError
from netfacts.observe import rules
from netfacts.topology import Host
from netfacts.verdict import equal, holds


@pytest.mark.fact("firewall.docker-forward")
def test_bridge_rules_stand_in_a_chain_of_the_engines_own(host: Host, act: Act, claim: Claim) -> None:
    """The rules that let out what comes from a bridge network stand in DOCKER-FORWARD, to which FORWARD jumps."""
    bridges = [host.predefined().bridge, host.network("user").bridge]

    with act:
        ruleset = rules(host.engine)

    claim.show("sudo iptables-save -t filter", ruleset.text("filter"))
    accepting = [rule for rule in ruleset.rules if rule.table == "filter" and rule.target == "ACCEPT"]
    claim.judge(
        *(
            equal(
                f"chains that accept what comes from {bridge}",
                {rule.chain for rule in accepting if rule.spec[:2] == ("-i", bridge)},
                {"DOCKER-FORWARD"},
            )
            for bridge in bridges
        ),
        equal(
            "jumps from FORWARD to DOCKER-FORWARD",
            [rule.text for rule in ruleset.of("filter", "FORWARD") if rule.target == "DOCKER-FORWARD"],
            ["-A FORWARD -j DOCKER-FORWARD"],
        ),
    )


@strike("firewall.docker-forward", "the rules of FORWARD move to DOCKER-FORWARD", engines="<28.0.1")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -N DOCKER-FORWARD")
    _move(stage, "FORWARD", "DOCKER-FORWARD")
    stage.host.engine.run("iptables -A FORWARD -j DOCKER-FORWARD")


@strike("firewall.docker-forward", "the rules of DOCKER-FORWARD move to FORWARD", engines=">=28.0.1")
def _(stage: Stage) -> None:
    _move(stage, "DOCKER-FORWARD", "FORWARD")


@strike("firewall.docker-forward", "FORWARD no longer jumps to DOCKER-FORWARD", engines=">=28.0.1")
def _(stage: Stage) -> None:
    stage.delete_rules("filter", "FORWARD", "-j DOCKER-FORWARD")


def _move(stage: Stage, source: str, target: str) -> None:
    found = rules(stage.host.engine).of("filter", source)
    if not found:
        raise LabError(f"the chain {source} has no rules", where=stage.host.name)
    for rule in found:
        spec = shlex.join(rule.spec)
        stage.host.engine.run(f"iptables -A {target} {spec}")
        stage.host.engine.run(f"iptables -D {source} {spec}")


@pytest.mark.fact("firewall.docker-user-return")
@pytest.mark.own_lab
def test_docker_user_is_made_with_a_return_at_its_end(host: Host, act: Act, claim: Claim) -> None:
    """The chain DOCKER-USER ends in -j RETURN, if the engine makes it."""
    # Engines make the chain when they start, and keep one that is there.
    host.engine.run("iptables -D FORWARD -j DOCKER-USER")
    host.engine.run("iptables -F DOCKER-USER")
    host.engine.run("iptables -X DOCKER-USER")

    with act:
        host.engine.stop()
        host.engine.start()
        ruleset = rules(host.engine)

    claim.show("sudo iptables-save -t filter", ruleset.text("filter"))
    found = [rule.text for rule in ruleset.of("filter", "DOCKER-USER")]
    there = ("filter", "DOCKER-USER") in ruleset.chains
    claim.judge(
        holds("the chain DOCKER-USER", there, there, expected="made anew", control=True),
        equal("last rule of DOCKER-USER", found[-1:], ["-A DOCKER-USER -j RETURN"]),
    )


@strike("firewall.docker-user-return", "the chain is there, with a rule after its RETURN", engines="<28.2.2")
def _(stage: Stage) -> None:
    _leave_behind(stage, "-j RETURN", "-i eth0 -j ACCEPT")


@strike("firewall.docker-user-return", "the chain is there, as an older engine left it", engines=">=28.2.2")
def _(stage: Stage) -> None:
    _leave_behind(stage, "-j RETURN")


def _leave_behind(stage: Stage, *specs: str) -> None:
    stage.host.engine.run("iptables -N DOCKER-USER")
    for spec in specs:
        stage.host.engine.run(f"iptables -A DOCKER-USER {spec}")
