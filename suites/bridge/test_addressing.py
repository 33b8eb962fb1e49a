"""What containers on the default bridge are given: a route, an address."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from itertools import islice
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike, tamper
from netfacts.lab import Vantage
from netfacts.observe import interface, links, output, routes
from netfacts.topology import Container, Host, refusal
from netfacts.verdict import equal, holds

# The network, the bridge, one container, the broadcast address.
_SMALL = IPv4Network("10.77.3.0/30")
_NONE_LEFT = "no available IPv4 addresses"


@pytest.mark.fact("route.default-gw")
@pytest.mark.shared
def test_default_route_is_by_eth0_to_docker0(host: Host, act: Act, claim: Claim) -> None:
    """In a container on the default bridge, the default route goes through eth0 to docker0's address."""
    box = host.container("box")

    with act:
        (docker0,) = interface(host.vantage, "docker0").ipv4
        found = [(route.gateway, route.device) for route in routes(box.vantage) if route.destination == "default"]
        claim.show("ip route in the container", output(box.vantage, "ip", "route"))
        claim.show("ip -4 addr show docker0", output(host.vantage, "ip", "-4", "addr", "show", "docker0"))

    claim.judge(equal("default routes of the container", found, [(str(docker0.ip), "eth0")], vantage=box.vantage))


# The engine's own way of sending containers elsewhere.
flags("route.default-gw", "--bip=10.77.0.1/24", "--default-gateway=10.77.0.254")


@strike("route.default-gw", "the container's default route points at eth0 itself, without a next hop")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip route replace default dev eth0")


@pytest.mark.fact("ipam.lowest-first")
def test_new_container_gets_lowest_free_address(host: Host, act: Act, claim: Claim) -> None:
    """Each new container on the default bridge gets the lowest free address, freed addresses included."""
    host.require_alone()
    first, second, third = (host.container(role) for role in ("first", "second", "third"))
    addresses = [_address(container) for container in (first, second, third)]
    # The lowest is neither the first to be freed nor the last.
    for container in (second, first, third):
        host.stop(container)

    with act:
        late, last = host.container("late"), host.container("last")
        addresses += [_address(late), _address(last)]
        (docker0,) = interface(host.vantage, "docker0").ipv4
        claim.show("docker0, then containers in the order of their start", "\n".join(map(str, [docker0, *addresses])))

    lowest = [address for address in islice(docker0.network.hosts(), 4) if address != docker0.ip]
    claim.judge(
        equal("addresses of the first three containers", addresses[:3], lowest),
        equal("addresses of two more, once the three had stopped", addresses[3:], lowest[:2]),
    )


def _address(container: Container) -> IPv4Address:
    (address,) = interface(container.vantage, "eth0").ipv4
    return address.ip


flags("ipam.lowest-first", "--bip=10.77.0.1/24", "--fixed-cidr=10.77.0.128/25")


@strike("ipam.lowest-first", "somebody takes the address that was freed")
def _(stage: Stage) -> None:
    stage.host.container("thief")


@pytest.mark.fact("ipam.free-address")
def test_only_free_addresses_are_given(host: Host, act: Act, claim: Claim) -> None:
    """Of a /30, one container gets the one address that is free, and a second container none."""
    small = host.network("small", subnet=str(_SMALL))
    box = host.container("box", network=small)

    with act:
        words = refusal(lambda: host.container("late", network=small))
        found = {"bridge": _addresses(host.vantage, small.bridge), "eth0": _addresses(box.vantage, "eth0")}
        claim.show("docker run in the network where no address is free", words or "done")
        claim.show(f"ip addr show {small.bridge}", output(host.vantage, "ip", "addr", "show", small.bridge))
        claim.show("ip addr show eth0 in the container", output(box.vantage, "ip", "addr", "show", "eth0"))

    other = words if _NONE_LEFT not in words else ""
    claim.control(equal("refusal on other grounds than that no address is free", other, "", control=True))
    claim.judge(
        equal("addresses of the bridge", found["bridge"], [f"{_SMALL[1]}/30"], vantage=host.vantage),
        equal("addresses of the container", found["eth0"], [f"{_SMALL[2]}/30"], vantage=box.name),
        holds("a second container", bool(words), words, expected="refused"),
    )


def _addresses(vantage: Vantage, name: str) -> list[str]:
    return [str(end) for end in interface(vantage, name).ipv4]


@tamper("ipam.free-address", "the engine takes a larger subnet")
def _(request: dict[str, Any]) -> dict[str, Any]:
    larger = {"Driver": "default", "Config": [{"Subnet": str(_SMALL.supernet())}]}
    return request | ({"ipam": larger} if request["name"].startswith("small") else {})


@strike("ipam.free-address", "the container is given the address of the bridge")
def _(stage: Stage) -> None:
    _replace_address(stage, f"{_SMALL[1]}/30")


def _replace_address(stage: Stage, address: str) -> None:
    box = stage.container("box").vantage
    box.run("ip addr flush dev eth0")
    box.run(f"ip addr add {address} dev eth0")


@pytest.mark.fact("docker0.same-subnet")
@pytest.mark.shared
def test_addresses_on_docker0_are_of_its_subnet(host: Host, act: Act, claim: Claim) -> None:
    """Each container on docker0 has one address, of docker0's subnet and with the same prefix length."""
    boxes = [host.container(role) for role in ("web", "box")]

    with act:
        (docker0,) = interface(host.vantage, "docker0").ipv4
        found = [end for box in boxes for link in links(box.vantage) if link.name != "lo" for end in link.ipv4]
        claim.show("ip -4 addr show docker0", output(host.vantage, "ip", "-4", "addr", "show", "docker0"))
        claim.show("ip -4 addr in a container", output(boxes[0].vantage, "ip", "-4", "addr"))

    claim.judge(equal("subnets of the containers' addresses", [end.network for end in found], [docker0.network] * 2))


@strike("docker0.same-subnet", "a container is moved to a network of its own")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.host.predefined("bridge"), stage.container("box"))
    stage.host.connect(stage.host.network("own"), stage.container("box"))


@strike("docker0.same-subnet", "a container's address has a longer prefix")
def _(stage: Stage) -> None:
    _replace_address(stage, f"{stage.container('box').address}/24")
