"""Isolation: what containers of one bridge network can't reach in another."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.lab import Vantage
from netfacts.model.errors import LabError
from netfacts.model.verdict import Outcome
from netfacts.observe import rules
from netfacts.probe import Probe, ask, icmp, listen, tcp, udp
from netfacts.topology import Host, Network
from netfacts.verdict import seen

_PORT = 8080


def _every(vantage: Vantage, address: str) -> list[Probe]:
    return [icmp(vantage, address), tcp(vantage, address, _PORT), udp(vantage, address, _PORT)]


@pytest.mark.fact("isolation.bridges")
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

    with act:
        across = ask(*_every(other.vantage, web.address), *_every(box.vantage, far.address))
        ruleset = rules(host.engine)
        claim.show("filter table", ruleset.text("filter"))
        claim.show("raw table", ruleset.text("raw"))

    claim.judge(*(seen(answer, Outcome.TIMED_OUT) for answer in across))


@strike("isolation.bridges", "all is accepted, before the engine's own rules are met")
def _(stage: Stage) -> None:
    # 28.0 and later drop in the raw table as well.
    for rule in (["-I", "DOCKER-USER"], ["-t", "raw", "-I", "PREROUTING"]):
        done = stage.host.engine.execute(["iptables", *rule, "-j", "ACCEPT"])
        done.checked("could not add the rule", LabError)


@strike("isolation.bridges", "DOCKER-ISOLATION-STAGE-2 is flushed", engines="<28")
def _(stage: Stage) -> None:
    done = stage.host.engine.execute(["iptables", "-F", "DOCKER-ISOLATION-STAGE-2"])
    done.checked("could not flush the chain", LabError)
