"""IPv6 on bridge networks: where subnets come from, and what becomes of the firewall."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv6Interface, IPv6Network
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import capture, interface, output, rules
from netfacts.probe import ask, icmp
from netfacts.topology import Host, refusal
from netfacts.verdict import equal, holds, seen

_SUBNET6 = "2001:db8:77::/64"
# Unique local addresses (RFC 4193).
_LOCAL = IPv6Network("fc00::/7")


@pytest.mark.fact("v6.ip6tables")
def test_ipv6_leaves_from_the_hosts_address_by_default(host: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """What a container sends over IPv6 leaves the host from the host's address, without any flag.

    [box] ── six ── host ── eth0 ── lan ── client: capture on eth0
    """
    box = host.container("box", network=host.network("six", ipv6=True, subnet6=_SUBNET6))
    own, outside, nic = host.machine.address6, client.machine.address6, client.machine.interface()
    (direct,) = ask(icmp(host.vantage, outside))
    claim.control(seen(direct, Outcome.CONNECTED, control=True))

    with act, capture(client, nic) as arrived:
        ask(icmp(box.vantage, outside, nonce=box.name, timeout_s=0.5))

    pings = [packet for packet in arrived.carrying(box.name) if packet.destination == outside]
    claim.show(f"sudo tcpdump -n -i {nic} icmp6, on {client}", arrived.text(pings))
    claim.show("sudo ip6tables-save -t nat", rules(host.engine, family=6).text("nat"))
    claim.control(holds("the ping arrives", bool(pings), len(pings), expected="at least once", control=True))
    claim.judge(equal("source of the ping, as it arrives", {ping.source for ping in pings}, {own}, vantage=client))


flags("v6.ip6tables", "--experimental", "--ip6tables", engines="<27")
flags("v6.ip6tables", "--ip6tables=false", engines=">=27")


@strike("v6.ip6tables", "the administrator adds the rule that the engine does not", engines="<27")
def _(stage: Stage) -> None:
    stage.host.engine.run(f"ip6tables -t nat -A POSTROUTING -s {_SUBNET6} -j MASQUERADE")


@strike("v6.ip6tables", "the MASQUERADE rule is deleted", engines=">=27")
def _(stage: Stage) -> None:
    bridge = stage.network("six").bridge
    stage.host.engine.run(f"ip6tables -t nat -D POSTROUTING -s {_SUBNET6} ! -o {bridge} -j MASQUERADE")


@pytest.mark.fact("v6.auto-subnet")
def test_ipv6_network_gets_a_subnet_of_its_own(host: Host, act: Act, claim: Claim) -> None:
    """`docker network create --ipv6` without --subnet gives the network a unique local subnet."""
    with act:
        words = refusal(partial(host.network, "six", ipv6=True))
        found = [IPv6Network(subnet) for network in host.networks for subnet in network.subnets if ":" in subnet]

    claim.show("docker network create --ipv6 six", words or ", ".join(map(str, found)))
    other = words if "IPv6 address pool" not in words else ""
    claim.control(equal("refusal on other grounds than that no IPv6 subnet is free", other, "", control=True))
    local = any(subnet.subnet_of(_LOCAL) for subnet in found)
    claim.judge(holds("IPv6 subnet of the network", local, words or found, expected=f"one of {_LOCAL}"))


flags(
    "v6.auto-subnet",
    "--default-address-pool=base=10.77.0.0/16,size=24",
    "--default-address-pool=base=fd00:77::/104,size=112",
    engines="<27",
)
flags(
    "v6.auto-subnet",
    "--default-address-pool=base=10.77.0.0/16,size=24",
    "--default-address-pool=base=2001:db8:77::/104,size=112",
    engines=">=27",
)


@tamper("v6.auto-subnet", "the engine ignores --ipv6", engines=">=27")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"enable_ipv6": False}


@pytest.mark.fact("v6.default-bridge")
@pytest.mark.own_lab
def test_default_bridge_gets_ipv6_by_ipv6_alone(host: Host, act: Act, claim: Claim) -> None:
    """`dockerd --ipv6`, without --fixed-cidr-v6, gives the default bridge an IPv6 subnet."""
    bridge = host.predefined().bridge

    with act:
        host.engine.stop()
        log = refusal(partial(host.engine.start, flags=["--ipv6", *host.engine.flags]))
        found = _global(host, bridge)

    words = log.rpartition("\n")[2]
    claim.show("the end of dockerd's log, where it ended", words)
    claim.show(f"ip -6 addr show {bridge}", output(host.vantage, "ip", "-6", "addr", "show", bridge))
    other = words if "--fixed-cidr-v6" not in words else ""
    claim.control(equal("refusal on other grounds than that a subnet is missing", other, "", control=True))
    claim.judge(holds(f"IPv6 subnet on {bridge}", bool(found), words or found, expected="one", vantage=host.vantage))


def _global(host: Host, bridge: str) -> list[str]:
    """The IPv6 subnets on a bridge, other than link-local."""
    addresses = [end for end in interface(host.vantage, bridge).addresses if isinstance(end, IPv6Interface)]
    return [str(end.network) for end in addresses if not end.is_link_local]


flags("v6.default-bridge", "--fixed-cidr-v6=2001:db8:77::/64", engines="<28")
flags("v6.default-bridge", "--ipv6=false", engines=">=28")


@pytest.mark.fact("v6.forward-policy")
@pytest.mark.engine("--experimental", "--ip6tables")
def test_forward_policy_stays_where_forwarding_was_on(host: Host, act: Act, claim: Claim) -> None:
    """An engine that manages ip6tables leaves the FORWARD policy at ACCEPT where IPv6 forwarding was on before."""
    host.machine.sysctl(**{"net.ipv6.conf.all.forwarding": "1"})
    host.engine.run("ip6tables -P FORWARD ACCEPT")
    before = rules(host.engine, family=6).chains["filter", "FORWARD"]
    claim.control(equal("policy before", before, "ACCEPT", control=True))

    with act:
        host.engine.stop()
        host.engine.start()
        host.network("six", ipv6=True, subnet6=_SUBNET6)
        after = rules(host.engine, family=6)

    claim.show("sudo ip6tables -S FORWARD", "\n".join(rule.text for rule in after.of("filter", "FORWARD")))
    claim.judge(equal("policy of FORWARD", after.chains["filter", "FORWARD"], "ACCEPT", vantage=host.vantage))


flags("v6.forward-policy", "--ip6tables=false", engines="<28")


@strike("v6.forward-policy", "forwarding is switched off again before the engine starts", engines=">=28")
def _(stage: Stage) -> None:
    stage.host.machine.sysctl(**{"net.ipv6.conf.all.forwarding": "0"})
