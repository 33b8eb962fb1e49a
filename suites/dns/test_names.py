"""Names of containers: where they resolve, and where not."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.model.verdict import Outcome
from netfacts.probe import ask, icmp, resolve
from netfacts.topology import Host
from netfacts.verdict import seen


@pytest.mark.fact("dns.not-default-bridge")
def test_default_bridge_resolves_no_names(host: Host, act: Act, claim: Claim) -> None:
    """Containers on the default bridge do not resolve each other's names."""
    box = host.container("box")
    other = host.container("other")
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in ask(icmp(other.vantage, box.address))))

    with act:
        (found,) = resolve(other.vantage, box.name)

    claim.judge(seen(found, Outcome.NAME_NOT_FOUND, Outcome.RESOLVER_FAILED))


@strike("dns.not-default-bridge", "both containers are connected to a user-defined network")
def _(stage: Stage) -> None:
    network = stage.host.network("shared")
    for role in ("box", "other"):
        stage.host.connect(network, stage.container(role))
