"""Who gives out the addresses of an overlay, and of networks that hosts have each for themselves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Network
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.model.verdict import Outcome
from netfacts.observe import links
from netfacts.probe import Probe, ask, listen, tcp
from netfacts.topology import Container, Host, Network
from netfacts.verdict import equal, holds, seen
from suites.overlay.gossip import await_gossip

pytestmark = pytest.mark.usefixtures("swarm")

_PORT = 8080
# Private, and in none of the pools that Docker takes subnets from.
_SUBNET = IPv4Network("10.77.8.0/24")
_ROLES = "one", "two"


@pytest.mark.fact("overlay.unique-ip")
def test_addresses_of_an_overlay_are_unique_across_hosts(host: Host, host2: Host, act: Act, claim: Claim) -> None:
    """Containers started on two hosts at once differ in their addresses on an overlay, and not on bridges alike.

    own ─[ web, one, two ]══════ mesh ══════[ box, one, two ]─ own
              host                                host2
    """
    mesh = host.network("mesh", driver="overlay", attachable=True)
    # They begin on their bridges. One that begins on the overlay and has a bridge as well can't always be started again
    # by a worker's engine (28.5.2), which may look for the overlay before it has joined it.
    bridges = [one.network("own", subnet=str(_SUBNET)) for one in (host, host2)]
    web, box = host.container("web", network=bridges[0]), host2.container("box", network=bridges[1])
    host.connect(mesh, web)
    host2.connect(mesh, box)
    # The crowd comes when the hosts have told each other what they know: two exchanges at a time can take a minute.
    act.settle(lambda: await_gossip(mesh, web, box))
    here, there = _start_at_once(mesh, host, host2)
    everyone = [web, *here, box, *there]
    for container in everyone:
        listen(container.vantage, _PORT)
    act.settle(lambda: await_gossip(mesh, *everyone))

    with act:
        addresses = {container.name: _addresses(container, mesh.subnet) for container in everyone}
        alike = [_addresses(container, str(_SUBNET)) for container in (web, box)]
        across = [*_to(web, addresses, box, *there), *_to(box, addresses, web, *here)]
        both = [tcp(one.vantage, address, _PORT) for one in (host, host2) for address in alike[0]]
        answers = ask(*across, *both)

    named = {address: name for name, found in addresses.items() for address in found}
    claim.show(
        "addresses on the overlay, and when its container was started",
        "\n".join(f"{_started(one)} {one.engine.machine.name:5} {one.name} {addresses[one.name]}" for one in everyone),
    )
    claim.judge(
        holds(
            "different addresses on the overlay",
            len(named) == len(everyone) and all(len(found) == 1 for found in addresses.values()),
            addresses,
            expected=f"{len(everyone)}, one of each container",
        ),
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        *(
            equal(f"who answers {one.probe}", one.name, named.get(one.probe.address), vantage=one.probe.vantage)
            for one in answers[: len(across)]
        ),
        equal("addresses of the second host's container on its bridge, and of the first's", alike[1], alike[0]),
        equal(
            "who answers at this address, from the one host and from the other",
            [answer.name for answer in answers[len(across) :]],
            [web.name, box.name],
        ),
    )


def _start_at_once(mesh: Network, *hosts: Host) -> list[list[Container]]:
    """Start some containers on each host, on all hosts at the same time."""

    def start(host: Host) -> list[Container]:
        return [host.container(role, mode=mesh.name) for role in _ROLES]

    with ThreadPoolExecutor(len(hosts)) as pool:
        return list(pool.map(start, hosts))


def _addresses(container: Container, subnet: str) -> list[str]:
    """The addresses that a container's interfaces have in a subnet."""
    return [str(end.ip) for link in links(container.vantage) for end in link.ipv4 if end.ip in IPv4Network(subnet)]


def _to(here: Container, addresses: dict[str, list[str]], *there: Container) -> list[Probe]:
    return [tcp(here.vantage, address, _PORT) for one in there for address in addresses[one.name]]


def _started(container: Container) -> str:
    return str(container.said["State"]["StartedAt"])


@strike("overlay.unique-ip", "a container of the second host has an address that one of the first has, too")
def _(stage: Stage) -> None:
    mesh = stage.network("mesh").subnet
    (taken,) = _addresses(stage.container("one"), mesh)
    _readdress(stage.container("one", "host2"), mesh, taken)


@strike("overlay.unique-ip", "the first host drops what comes to UDP port 4789")
def _(stage: Stage) -> None:
    stage.host.engine.run("iptables -I INPUT -p udp --dport 4789 -j DROP")


@strike("overlay.unique-ip", "the second host's container has another address on its bridge")
def _(stage: Stage) -> None:
    _readdress(stage.container("box", "host2"), str(_SUBNET), str(_SUBNET[77]))


@tamper("overlay.unique-ip", "the engines ignore --subnet")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"ipam": None}


def _readdress(container: Container, subnet: str, address: str) -> None:
    """Give a container another address in a subnet, in place of its own."""
    device, before = next(
        (link, end) for link in links(container.vantage) for end in link.ipv4 if str(end.network) == subnet
    )
    container.vantage.run(f"ip addr del {before} dev {device.name}")
    container.vantage.run(f"ip addr add {address}/{before.network.prefixlen} dev {device.name}")
