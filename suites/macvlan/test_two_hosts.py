"""macvlan networks of two hosts on one segment: how their containers meet, and who gives them addresses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.lab import LAN, SegmentSpec
from netfacts.model.verdict import Outcome
from netfacts.observe import capture, interface, neighbours, output
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host, Network
from netfacts.verdict import equal, holds, seen, source_is

_PORT = 8080
_NONCE = "netfacts-macvlan-nonce"
# Sixteen addresses each, of which no machine of the lab has one.
_RANGES = 4, 5


@pytest.mark.own_segment
@pytest.mark.fact("macvlan.two-hosts")
def test_containers_of_two_hosts_meet_on_their_segment(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """Containers of two hosts meet on the hosts' segment, bare and with own MACs; an address may be given twice.

    host [ box ]── eth0 ── lan ── eth0 ──[ other, alike ] host2
    """
    lan = host.machine.lab.segment("lan")
    near, far = (_segment(one, number) for one, number in zip((host, host2), _RANGES, strict=True))
    box, other = host.container("box", network=near), host2.container("other", network=far)
    for container in (box, other):
        listen(container.vantage, _PORT)

    with act, capture(host.vantage, host.machine.interface()) as wire:
        ends = {container.name: interface(container.vantage, "eth0") for container in (box, other)}
        at = {name: str(end.ipv4[0].ip) for name, end in ends.items()}
        ping, to, fro = ask(
            icmp(box.vantage, at[other.name], nonce=_NONCE),
            tcp(box.vantage, at[other.name], _PORT),
            tcp(other.vantage, at[box.name], _PORT),
        )
        known = neighbours(other.vantage)
        alike = host2.container("alike", network=far, address=at[box.name])
        again = str(interface(alike.vantage, "eth0").ipv4[0].ip)
        parents = [interface(one.vantage, one.machine.interface()).mac for one in (host, host2)]

    said = wire.carrying(_NONCE)
    claim.show(f"on {host.machine.interface()} of the first host, meanwhile", wire.text(said))
    claim.show(f"ip neigh, in {other.name}", output(other.vantage, "ip", "neigh"))
    claim.show(f"ip addr, in {alike.name}", output(alike.vantage, "ip", "addr", "show", "eth0"))
    macs = [*parents, *(end.mac for end in ends.values())]
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in (ping, to, fro)),
        source_is(to, at[box.name]),
        source_is(fro, at[other.name]),
        equal(f"MAC of {at[box.name]}", known.get(at[box.name]), ends[box.name].mac, vantage=other.vantage),
        holds("MACs of the hosts and their containers", len({*macs}) == len(macs), macs, expected="all different"),
        equal(
            "what carries the ping on the wire",
            {f"{one.source_mac} {one.protocol} {one.source} > {one.destination}" for one in said},
            {
                f"{ends[here.name].mac} icmp {at[here.name]} > {at[there.name]}"
                for here, there in ((box, other), (other, box))
            },
        ),
        *(
            holds(
                f"address that {one.engine.machine.name} gave",
                IPv4Address(at[one.name]) in _part(lan, number),
                at[one.name],
                expected=f"one of {_part(lan, number)}",
            )
            for one, number in zip((box, other), _RANGES, strict=True)
        ),
        equal("address of a container that asks the second host for the first's", again, at[box.name]),
    )


def _segment(host: Host, number: int) -> Network:
    """A macvlan network that is the segment of its host, whose engine gives out one range of its addresses."""
    return host.network(
        "segment",
        driver="macvlan",
        subnet=str(host.machine.lab.segment("lan").ipv4),
        ip_range=str(_part(host.machine.lab.segment("lan"), number)),
        options={"parent": host.machine.interface()},
    )


def _part(segment: SegmentSpec, number: int) -> IPv4Network:
    """One of the parts of a segment's addresses."""
    return list(segment.ipv4.subnets(new_prefix=28))[number]


@strike("macvlan.two-hosts", "the second host's container has its interface down")
def _(stage: Stage) -> None:
    stage.container("other", "host2").vantage.run("ip link set eth0 down")


@strike("macvlan.two-hosts", "the second host's container takes the first's for its host")
def _(stage: Stage) -> None:
    mac = interface(stage.host.vantage, stage.host.machine.interface()).mac
    address = stage.container("box").address
    other = stage.container("other", "host2").vantage
    other.run(f"ip neigh replace {address} lladdr {mac} nud permanent dev eth0")


@strike("macvlan.two-hosts", "what the containers send travels in VXLAN between their hosts")
def _(stage: Stage) -> None:
    host, host2 = stage.hosts["host"], stage.hosts["host2"]
    for here, there, role in ((host, host2, "box"), (host2, host, "other")):
        container = here.find(role)
        outside, inside = here.vantage, container.vantage
        device = interface(inside, "eth0")
        tunnel = f"type vxlan id 77 dstport 4789 local {here.address} remote {there.address} dev eth0"
        outside.run(f"ip link add tunnel {tunnel}")
        outside.run("ip link set tunnel up")
        outside.run(f"ip link add inner address {device.mac} link tunnel type macvlan mode bridge")
        outside.run(f"ip link set inner netns {container.pid}")
        inside.run("ip link del eth0")
        inside.run("ip link set inner name eth0 up")
        inside.run(f"ip addr add {device.ipv4[0]} dev eth0")


# Before 28 the third container's MAC would be the same, too, and macvlan has each but once on a parent.
@strike("macvlan.two-hosts", "the two have one and the same MAC", engines=">=28")
def _(stage: Stage) -> None:
    mac = interface(stage.container("box").vantage, "eth0").mac
    stage.container("other", "host2").vantage.run(f"ip link set eth0 address {mac}")


@tamper("macvlan.two-hosts", "the second engine ignores --ip-range")
def _(request: dict[str, Any]) -> dict[str, Any]:
    pools = (request.get("ipam") or {}).get("Config", ())
    kept = [
        pool | {"IPRange": pool["IPRange"] if pool["IPRange"] == str(_part(LAN, _RANGES[0])) else None}
        for pool in pools
    ]
    return request | {"ipam": {"Driver": "default", "Config": kept}}


@tamper("macvlan.two-hosts", "the second engine gives a container another address than one that is given already")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"address": ""}
