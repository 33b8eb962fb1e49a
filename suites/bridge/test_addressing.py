"""What containers on the default bridge are given: a route, an address."""

from __future__ import annotations

from ipaddress import IPv4Address
from itertools import islice

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, flags, strike
from netfacts.model.errors import LabError
from netfacts.observe import interface, output, routes
from netfacts.topology import Container, Host
from netfacts.verdict import equal


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
    box = stage.container("box").vantage
    done = box.machine.execute(["ip", "route", "replace", "default", "dev", "eth0"], net=box.net)
    done.checked("could not replace the default route", LabError)


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
