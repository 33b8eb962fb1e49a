"""macvlan networks on a host's own interface: who is reached through it, and what the engine refuses and adds."""

from __future__ import annotations

from functools import partial
from ipaddress import IPv4Network
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import Route, interface, neighbours, output, routes
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host, Network, refusal
from netfacts.verdict import equal, holds, seen, source_is

_PORT = 8080
# Who asks for a neighbour that is not there gives up within a second; on an emulated machine that may be several.
_NO_ANSWER_S = 10.0
# Private, and in none of the pools that Docker takes subnets from.
_SUBNETS = IPv4Network("10.77.6.0/24"), IPv4Network("10.77.7.0/24")


def _on_parent(host: Host) -> dict[str, str]:
    return {"parent": host.machine.interface()}


def _segment(host: Host) -> Network:
    """A macvlan network that is the segment of its host."""
    subnet = str(host.machine.lab.segment("lan").ipv4)
    return host.network("segment", driver="macvlan", subnet=subnet, options=_on_parent(host))


def _address(host: Host) -> str:
    """An address that nobody else has on the segment."""
    return str(host.machine.lab.segment("lan").ipv4[77])


@pytest.mark.own_segment
@pytest.mark.fact("macvlan.basic")
def test_container_is_on_the_segment_with_its_own_mac(host: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """A macvlan container and an outside client reach each other directly; the client sees its MAC and its address.

    [box] ── segment ── eth0 of host ── lan ── client
    """
    address = _address(host)
    box = host.container("box", network=_segment(host), address=address)
    listen(box.vantage, _PORT)
    listener = listen(client)
    (direct,) = ask(tcp(host.vantage, client.machine.address, listener.port))
    claim.control(seen(direct, Outcome.CONNECTED, control=True))

    with act:
        to, fro = ask(tcp(client, address, _PORT), tcp(box.vantage, client.machine.address, listener.port))
        known = neighbours(client)
        parent = interface(host.vantage, host.machine.interface())
        macs = {box.name: interface(box.vantage, "eth0").mac, host.name: parent.mac}

    claim.show("ip neigh, on the client", output(client, "ip", "neigh"))
    claim.show("ip -d link show eth0, in the container", output(box.vantage, "ip", "-d", "link", "show", "eth0"))
    claim.judge(
        seen(to, Outcome.CONNECTED),
        source_is(to, client.machine.address),
        source_is(fro, address),
        equal(f"MAC of {address}", known.get(address), macs[box.name], vantage=client),
        holds("MACs of container and host", macs[box.name] != macs[host.name], macs, expected="two"),
    )


@strike("macvlan.basic", "the container's interface is down")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip link set eth0 down")


@strike("macvlan.basic", "the segment's neighbours take the container for its host")
def _(stage: Stage) -> None:
    mac = interface(stage.host.vantage, "eth0").mac
    stage.vantage("client").run(f"ip neigh replace {_address(stage.host)} lladdr {mac} nud permanent dev eth0")


@pytest.mark.own_segment
@pytest.mark.fact("macvlan.host-isolated")
def test_own_host_does_not_reach_the_container(host: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """A macvlan container is reached by others on the segment, and not by its own host.

    [box] ── segment ── eth0 of host ── lan ── client
    """
    address = _address(host)
    box = host.container("box", network=_segment(host), address=address)
    listen(box.vantage, _PORT)
    outside = ask(icmp(client, address), tcp(client, address, _PORT))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in outside))

    with act:
        answers = ask(
            icmp(host.vantage, address, timeout_s=_NO_ANSWER_S),
            tcp(host.vantage, address, _PORT, timeout_s=_NO_ANSWER_S),
        )
        claim.show("ip neigh, on the host", output(host.vantage, "ip", "neigh"))

    claim.judge(*(seen(answer, Outcome.UNREACHABLE) for answer in answers))


@strike("macvlan.host-isolated", "the host gets a macvlan interface of its own beside the container's")
def _(stage: Stage) -> None:
    host = stage.host
    host.vantage.run(f"ip link add shim link {host.machine.interface()} type macvlan mode bridge")
    host.vantage.run("ip link set shim up")
    host.vantage.run(f"ip route add {_address(host)}/32 dev shim src {host.address}")


@pytest.mark.own_segment
@pytest.mark.fact("macvlan.multi-parent")
def test_second_network_on_a_parent_is_accepted(host: Host, act: Act, claim: Claim) -> None:
    """Two macvlan networks can have the same parent."""
    make = partial(host.network, driver="macvlan", options=_on_parent(host))
    make("first", subnet=str(_SUBNETS[0]))

    with act:
        words = refusal(partial(make, "second", subnet=str(_SUBNETS[1])))

    claim.show("docker network create -d macvlan -o parent=eth0, for the second time", words)
    other = words if "already using parent interface" not in words else ""
    claim.control(equal("refusal on other grounds than that the parent is used", other, "", control=True))
    claim.judge(equal("refusal of a second network on eth0", words, ""))


@tamper("macvlan.multi-parent", "the engine ignores --driver and the parent for the second network", engines="<27")
def _(request: dict[str, Any]) -> dict[str, Any]:
    second = request["name"].startswith("second")
    return request | {"driver": "bridge", "options": {}} if second else request


@tamper("macvlan.multi-parent", "the engine makes the second network in passthru mode", engines=">=27")
def _(request: dict[str, Any]) -> dict[str, Any]:
    second = request["name"].startswith("second")
    return request | {"options": {**request["options"], "macvlan_mode": "passthru"}} if second else request


@pytest.mark.own_segment
@pytest.mark.fact("macvlan.no-gw-default")
def test_no_default_route_without_gateway(host: Host, act: Act, claim: Claim) -> None:
    """On a macvlan network made without --gateway, a container has no default route."""
    inner = host.network("inner", driver="macvlan", subnet=str(_SUBNETS[0]), options=_on_parent(host))
    box = host.container("box", network=inner)

    with act:
        found = routes(box.vantage)
        claim.show("ip route, in the container", output(box.vantage, "ip", "route"))

    claim.control(equal("routes to the subnet", _to(str(_SUBNETS[0]), found), [""], control=True))
    claim.judge(equal("gateways of default routes", _to("default", found), [], vantage=box.vantage))


def _to(destination: str, found: list[Route]) -> list[str]:
    return [route.gateway for route in found if route.destination == destination]


@strike("macvlan.no-gw-default", "the container's default route is deleted", engines="<29")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip route del default")


@strike("macvlan.no-gw-default", "the container is given a default route", engines=">=29")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run(f"ip route add default via {_SUBNETS[0][1]}")
