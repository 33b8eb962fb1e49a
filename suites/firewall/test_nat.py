"""The nat table: rules that stand beside the DNAT of a published port."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike
from netfacts.observe import rules
from netfacts.topology import Host
from netfacts.verdict import equal, holds

_PORT = 8080
_HOST_PORT = 20080


def _own_port(address: str) -> str:
    return f"-A POSTROUTING -s {address}/32 -d {address}/32 -p tcp -m tcp --dport {_PORT} -j MASQUERADE"


@pytest.mark.fact("firewall.own-port-masquerade")
def test_calls_of_ones_own_published_port_are_masqueraded(host: Host, act: Act, claim: Claim) -> None:
    """The nat table masquerades what a container sends to its own published port."""
    web = host.container("web", publish={f"{_PORT}/tcp": _HOST_PORT})

    with act:
        found = [rule.text for rule in rules(host.engine).of("nat", "POSTROUTING")]

    claim.show("sudo iptables -t nat -S POSTROUTING", "\n".join(found))
    wanted = _own_port(web.address)
    claim.judge(holds("rules of POSTROUTING in the nat table", wanted in found, found, expected=wanted))


@strike("firewall.own-port-masquerade", "the rule is deleted", engines="<28")
def _(stage: Stage) -> None:
    stage.delete_rules("nat", "POSTROUTING", f" -d {stage.container('web').address}/32 ")


@strike("firewall.own-port-masquerade", "the rule is added", engines=">=28")
def _(stage: Stage) -> None:
    stage.host.engine.run(f"iptables -t nat {_own_port(stage.container('web').address)}")


flags("firewall.own-port-masquerade", "--userland-proxy=false", engines=">=28")


@pytest.mark.fact("firewall.skip-dnat")
def test_dnat_spares_what_comes_from_bridge_networks(host: Host, act: Act, claim: Claim) -> None:
    """The chain DOCKER of the nat table begins with -i BRIDGE -j RETURN for each bridge network."""
    user = host.network("user")
    web = host.container("web", network=user, publish={f"{_PORT}/tcp": _HOST_PORT})
    wanted = {f"-A DOCKER -i {bridge} -j RETURN" for bridge in (host.predefined().bridge, user.bridge)}

    with act:
        found = [rule.text for rule in rules(host.engine).of("nat", "DOCKER")]

    claim.show("sudo iptables -t nat -S DOCKER", "\n".join(found))
    published = [number for number, rule in enumerate(found) if f" {web.address}:" in rule]
    before = found[: min(published, default=len(found))]
    claim.judge(
        equal("rules of DOCKER in the nat table before the port's, of these bridges", wanted & set(before), wanted)
    )


flags("firewall.skip-dnat", "--userland-proxy=false", engines="<29")


@strike("firewall.skip-dnat", "the rule of the user-defined network is deleted", engines="<29")
def _(stage: Stage) -> None:
    stage.delete_rules("nat", "DOCKER", f"-i {stage.network('user').bridge} -j RETURN")


@strike("firewall.skip-dnat", "the rules are added", engines=">=29")
def _(stage: Stage) -> None:
    for network in (stage.host.predefined(), stage.network("user")):
        stage.host.engine.run(f"iptables -t nat -I DOCKER -i {network.bridge} -j RETURN")
