"""Containers on networks without IPv6: where they have it all the same, and where not."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.observe import interface, output, sysctl
from netfacts.topology import Container, Host
from netfacts.verdict import equal, holds


@pytest.mark.fact("v6.lo")
@pytest.mark.shared
def test_loopback_has_ipv6_address_on_ipv4_network(host: Host, act: Act, claim: Claim) -> None:
    """The loopback interface of a container on an IPv4-only network has ::1."""
    box = host.container("box")

    with act:
        found = _addresses(box, "lo")
        claim.show("ip addr show lo in the container", output(box.vantage, "ip", "addr", "show", "lo"))

    claim.control(equal("IPv4 addresses of lo", [one for one in found if ":" not in one], ["127.0.0.1"], control=True))
    claim.judge(holds("addresses of lo", "::1" in found, found, expected="::1 among them", vantage=box.name))


@strike("v6.lo", "IPv6 is switched off on the container's lo", engines=">=26")
def _(stage: Stage) -> None:
    _disable(stage, "lo", "1")


@strike("v6.lo", "IPv6 is switched on on the container's lo", engines="<26")
def _(stage: Stage) -> None:
    _disable(stage, "lo", "0")


@pytest.mark.fact("v6.off-on-v4-net")
@pytest.mark.shared
def test_ipv6_is_off_on_ipv4_networks(host: Host, act: Act, claim: Claim) -> None:
    """IPv6 is disabled on a container's interface to an IPv4-only network, a user's or the default bridge."""
    box, other = host.container("box"), host.container("other", network=host.network("net"))

    with act:
        switches = [sysctl(one.vantage, "net.ipv6.conf.eth0.disable_ipv6") for one in (box, other)]
        found = [_addresses(one, "eth0") for one in (box, other)]
        claim.show("ip addr show eth0 in a container", output(box.vantage, "ip", "addr", "show", "eth0"))

    claim.judge(
        equal("net.ipv6.conf.eth0.disable_ipv6 in the two containers", switches, ["1", "1"]),
        equal("addresses of eth0", found, [[box.address], [other.address]]),
    )


@strike("v6.off-on-v4-net", "IPv6 is switched on on one container's eth0", engines="!=26.0.0,!=26.0.1")
def _(stage: Stage) -> None:
    _disable(stage, "eth0", "0")


def _addresses(container: Container, name: str) -> list[str]:
    return [str(address.ip) for address in interface(container.vantage, name).addresses]


def _disable(stage: Stage, name: str, value: str) -> None:
    stage.host.machine.sysctl(stage.container("box").vantage.net, **{f"net.ipv6.conf.{name}.disable_ipv6": value})
