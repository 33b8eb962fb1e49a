"""User-defined bridge networks: what their creator may choose."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Outcome
from netfacts.observe import interface, links, output, routes
from netfacts.probe import ask, icmp
from netfacts.topology import Container, Host, refusal
from netfacts.verdict import equal, holds, seen

# Private, and in none of the pools that Docker takes subnets from.
_SUBNET = IPv4Network("10.77.1.0/24")
# Newer engines write user-defined.
_USER_DEFINED = "user defined networks only"


@pytest.mark.fact("user.create-bridge")
# The pool that comes next depends on all networks that an engine has ever had.
@pytest.mark.own_lab
def test_new_network_has_the_next_subnet_and_a_bridge_of_its_own(host: Host, act: Act, claim: Claim) -> None:
    """Each new bridge network takes the next free subnet, and a Linux bridge named after its id."""
    first, second = host.network("first"), host.network("second")
    box = host.container("box", network=second)

    with act:
        pools = [IPv4Network(network.subnet) for network in (host.predefined("bridge"), first, second)]
        bridges = {link.name: link for link in links(host.vantage) if link.kind == "bridge"}
        eth0 = interface(box.vantage, "eth0")
        claim.show("docker network inspect: Id", f"{first.name} {first.id}\n{second.name} {second.id}")
        claim.show("ip addr show type bridge", output(host.vantage, "ip", "addr", "show", "type", "bridge"))

    names = [f"br-{network.id[:12]}" for network in (first, second)]
    carried = {name: [str(end.network) for end in bridges[name].ipv4] for name in names if name in bridges}
    claim.judge(
        equal("bridges on the host", set(bridges), {"docker0", *names}, vantage=host.vantage),
        equal("subnets on the two bridges", carried, {names[0]: [str(pools[1])], names[1]: [str(pools[2])]}),
        equal("subnets of the two networks", pools[1:], [_next(pools[0]), _next(_next(pools[0]))]),
        equal("subnet of the container's eth0", [end.network for end in eth0.ipv4], [pools[2]], vantage=box.vantage),
    )


def _next(pool: IPv4Network) -> IPv4Network:
    return IPv4Network((int(pool.broadcast_address) + 1, pool.prefixlen))


@tamper("user.create-bridge", "the engine names bridges in another way")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"options": {"com.docker.network.bridge.name": f"nf-{request['name']}"[:15]}}


@tamper("user.create-bridge", "the engine takes the first network's subnet from elsewhere")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | ({"ipam": _ipam(_SUBNET)} if request["name"].startswith("first") else {})


@strike("user.create-bridge", "one network's bridge is deleted")
def _(stage: Stage) -> None:
    netlink = stage.host.machine.netlink
    netlink.do("link", "del", index=netlink.index(f"br-{stage.network('first').id[:12]}"))


@pytest.mark.fact("user.subnet")
def test_subnet_is_where_bridge_and_containers_get_their_addresses(host: Host, act: Act, claim: Claim) -> None:
    """The subnet of `network create --subnet` is the one of the network's bridge and containers."""
    chosen = host.network("chosen", subnet=str(_SUBNET))
    web, box = host.container("web", network=chosen), host.container("box", network=chosen)

    with act:
        bridge = interface(host.vantage, chosen.bridge)
        ends = [interface(container.vantage, "eth0") for container in (web, box)]
        claim.show("docker network inspect: IPAM", json.dumps(chosen.inspect()["IPAM"], indent=2))
        claim.show(f"ip addr show {chosen.bridge}", output(host.vantage, "ip", "addr", "show", chosen.bridge))
        claim.show("ip addr show eth0 in a container", output(box.vantage, "ip", "addr", "show", "eth0"))

    claim.judge(
        equal("subnets on the bridge", [end.network for end in bridge.ipv4], [_SUBNET], vantage=host.vantage),
        equal("subnets on the containers' eth0", [end.network for eth0 in ends for end in eth0.ipv4], [_SUBNET] * 2),
    )


@tamper("user.subnet", "the engine ignores --subnet")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"ipam": None}


@pytest.mark.fact("user.gateway")
def test_gateway_is_on_the_bridge_and_in_the_default_route(host: Host, act: Act, claim: Claim) -> None:
    """The address of `network create --gateway` is the bridge's, and the containers' default gateway."""
    gateway = str(_SUBNET.broadcast_address - 1)
    chosen = host.network("chosen", subnet=str(_SUBNET), gateway=gateway)
    box = host.container("box", network=chosen)

    with act:
        bridge = interface(host.vantage, chosen.bridge)
        found = [route.gateway for route in routes(box.vantage) if route.destination == "default"]
        claim.show(f"ip addr show {chosen.bridge}", output(host.vantage, "ip", "addr", "show", chosen.bridge))
        claim.show("ip route in the container", output(box.vantage, "ip", "route"))

    claim.judge(
        equal("addresses of the bridge", [str(end.ip) for end in bridge.ipv4], [gateway], vantage=host.vantage),
        equal("default gateways of the container", found, [gateway], vantage=box.vantage),
    )


@tamper("user.gateway", "the engine ignores --gateway")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"ipam": _ipam(_SUBNET)}


@pytest.mark.fact("user.static-ip")
def test_container_has_the_address_it_asked_for_after_restart_too(host: Host, act: Act, claim: Claim) -> None:
    """`docker run --ip` gives exactly that address on a network with --subnet, and it survives a restart."""
    wanted = str(_SUBNET[77])
    chosen = host.network("chosen", subnet=str(_SUBNET))
    box = host.container("box", network=chosen, address=wanted)
    other = host.container("other", network=chosen)
    before = _addresses(box)

    with act:
        host.stop(box)
        host.start(box)
        after = _addresses(box)
        (answer,) = ask(icmp(other.vantage, wanted))
        claim.show("ip addr show eth0, restarted", output(box.vantage, "ip", "addr", "show", "eth0"))

    claim.judge(
        equal("addresses of eth0", before, [wanted], vantage=box.vantage),
        equal("addresses of eth0 after a restart", after, [wanted], vantage=box.vantage),
        seen(answer, Outcome.CONNECTED),
    )


def _addresses(container: Container) -> list[str]:
    return [str(end.ip) for end in interface(container.vantage, "eth0").ipv4]


@tamper("user.static-ip", "the engine ignores --ip")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"address": ""}


@strike("user.static-ip", "the container is connected anew, without --ip")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.network("chosen"), stage.container("box"))
    stage.host.connect(stage.network("chosen"), stage.container("box"))


@pytest.mark.fact("user.static-ip-needs-subnet")
def test_ip_is_refused_on_a_network_without_subnet(host: Host, act: Act, claim: Claim) -> None:
    """`docker run --ip` is refused on a network that was created without --subnet."""
    chosen = host.network("chosen", subnet=str(_SUBNET))
    given = host.network("given")
    wanted = [str(IPv4Network(network.subnet)[77]) for network in (chosen, given)]
    control = refusal(lambda: host.container("control", network=chosen, address=wanted[0]))
    claim.control(equal(f"refusal of --ip {wanted[0]} on a network with --subnet", control, "", control=True))

    with act:
        words = refusal(lambda: host.container("box", network=given, address=wanted[1]))
        claim.show(f"docker run --ip {wanted[1]}, subnet {given.subnet} not chosen by the user", words)

    # Where the engine is to accept it, a refusal on other grounds must not pass for one on these.
    other = words if "configured subnet" not in words else ""
    claim.control(equal("refusal on other grounds than that no subnet was chosen", other, "", control=True))
    claim.judge(holds(f"--ip {wanted[1]} on a network without --subnet", bool(words), words, expected="refused"))


@tamper("user.static-ip-needs-subnet", "the network has a chosen subnet", engines="<29.0.4")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | ({"ipam": _ipam(IPv4Network("10.77.2.0/24"))} if request["name"].startswith("given") else {})


@pytest.mark.fact("user.static-ip-default-bridge")
def test_ip_is_refused_on_the_default_bridge(host: Host, act: Act, claim: Claim) -> None:
    """`docker run --ip` is refused on the default bridge, as user-defined networks alone have it."""
    chosen = host.network("chosen", subnet=str(_SUBNET))
    bridge = host.predefined("bridge")
    control = refusal(lambda: host.container("control", network=chosen, address=str(_SUBNET[77])))
    claim.control(equal("refusal of --ip on a network with --subnet", control, "", control=True))

    with act:
        wanted = str(IPv4Network(bridge.subnet)[-77])
        words = refusal(lambda: host.container("box", address=wanted))
        claim.show(f"docker run --ip {wanted}, on the default bridge", words or "done")

    claim.judge(
        holds(
            f"--ip {wanted} on the default bridge, {bridge.subnet}",
            _USER_DEFINED in words.replace("-", " "),
            words,
            expected=f"refused: {_USER_DEFINED}",
        )
    )


@tamper("user.static-ip-default-bridge", "the engine ignores --ip")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | ({"address": ""} if request["name"].startswith("box") else {})


@tamper("user.static-ip-default-bridge", "the engine puts the container on a user-defined network")
def _(request: dict[str, Any]) -> dict[str, Any]:
    name = request["name"]
    return request | ({"mode": name.replace("box", "chosen")} if name.startswith("box") else {})


def _ipam(subnet: IPv4Network) -> dict[str, Any]:
    return {"Driver": "default", "Config": [{"Subnet": str(subnet)}]}
