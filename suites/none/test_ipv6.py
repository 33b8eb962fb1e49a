"""IPv6 in containers without a network."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.observe import interface, output
from netfacts.topology import Host
from netfacts.verdict import equal, holds


@pytest.mark.fact("none.ipv6-loopback")
@pytest.mark.shared
def test_none_mode_container_has_ipv6_loopback(host: Host, act: Act, claim: Claim) -> None:
    """The loopback interface of a container on --network none has ::1."""
    box = host.container("box", mode="none")

    with act:
        found = [str(address.ip) for address in interface(box.vantage, "lo").addresses]
        claim.show("ip addr show lo in the container", output(box.vantage, "ip", "addr", "show", "lo"))

    claim.control(equal("IPv4 addresses of lo", [one for one in found if ":" not in one], ["127.0.0.1"], control=True))
    claim.judge(holds("addresses of lo", "::1" in found, found, expected="::1 among them", vantage=box.name))


@strike("none.ipv6-loopback", "IPv6 is switched off on the container's lo", engines=">=26")
def _(stage: Stage) -> None:
    _disable(stage, "1")


@strike("none.ipv6-loopback", "IPv6 is switched on on the container's lo", engines="<26")
def _(stage: Stage) -> None:
    _disable(stage, "0")


def _disable(stage: Stage, value: str) -> None:
    stage.host.machine.sysctl(stage.container("box").vantage.net, **{"net.ipv6.conf.lo.disable_ipv6": value})
