"""What a host-mode container has of its own, and how its engine lists it: no interface, no address."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import links, output
from netfacts.probe import ask, icmp
from netfacts.topology import Host
from netfacts.verdict import equal, holds, seen

# An answer comes within a millisecond; one that has not come by then comes never.
_ANSWERED_S = 0.5


@pytest.mark.own_segment
@pytest.mark.own_segment
@pytest.mark.fact("host.no-own-ip")
def test_host_mode_container_has_no_address_of_its_own(host: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """With a host-mode container, no further interface is on its host and no further address on the host's segment.

    client ── lan ── host [box: no namespace of its own]
    """
    other = host.container("other")
    (end,) = other.networks.values()
    claim.control(holds("its address and MAC", all(_identity(end)), _identity(end), expected="both", control=True))
    near = ask(*(icmp(client, address) for address in _machines(client)))
    claim.control(*(seen(answer, Outcome.CONNECTED, control=True) for answer in near))
    before = {link.index for link in links(host.vantage)}
    box = host.container("box", mode="host")

    with act:
        box.refresh()
        endpoints = {name: _identity(endpoint) for name, endpoint in box.networks.items()}
        added = [link.name for link in links(host.vantage) if link.index not in before]
        answering = _answering(client) - _machines(client)
        claim.show("ip addr on the host", output(host.vantage, "ip", "addr"))
        claim.show("ip neigh on the client, which has pinged all addresses", output(client, "ip", "neigh"))

    claim.judge(
        equal("networks of the container, with address and MAC there", endpoints, {"host": ["", ""]}),
        equal("links that the host has with it, and had not before", added, [], vantage=host.name),
        equal("addresses on the segment that answer pings, besides the machines'", answering, set(), vantage=client),
    )


def _identity(endpoint: dict[str, Any]) -> list[str]:
    return [endpoint["IPAddress"], endpoint["MacAddress"]]


def _answering(client: Vantage) -> set[str]:
    """The IPv4 addresses on the client's segment that answer its pings.

    Whom it knows by ARP tells less: it remembers machines that are no more.
    """
    segment = client.machine.lab.segment("lan").ipv4
    others = [str(address) for address in segment.hosts() if str(address) != client.machine.address]
    answers = ask(*(icmp(client, address, timeout_s=_ANSWERED_S) for address in others))
    return {answer.probe.address for answer in answers if answer.outcome is Outcome.CONNECTED}


def _machines(client: Vantage) -> set[str]:
    """The IPv4 addresses of the segment's other machines."""
    lab = client.machine.lab
    others = [machine.name for machine in lab.machines if machine.name != client.machine.name]
    return {str(address) for name in others for address in lab.addresses(name, segment="lan") if address.version == 4}


@tamper("host.no-own-ip", "the engine ignores --network host")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("host.no-own-ip", "the container gets an address on the segment, as a bridged VM of VMware's does")
def _(stage: Stage) -> None:
    host, segment = stage.host.vantage, stage.host.machine.lab.segment("lan").ipv4
    host.run(f"ip link add bridged link {host.machine.interface()} type macvlan mode bridge")
    host.run(f"ip addr add {segment[77]}/{segment.prefixlen} dev bridged")
    host.run("ip link set bridged up")


@strike("host.no-own-ip", "the host's interface gets a second address for the container")
def _(stage: Stage) -> None:
    host, segment = stage.host.vantage, stage.host.machine.lab.segment("lan").ipv4
    host.run(f"ip addr add {segment[77]}/{segment.prefixlen} dev {host.machine.interface()}")


@strike("host.no-own-ip", "docker inspect names the host's address")
def _(stage: Stage) -> None:
    def named(said: Any) -> Any:
        said["NetworkSettings"]["Networks"]["host"]["IPAddress"] = stage.host.address
        return said

    stage.forge(f"/containers/{stage.container('box').id}/json", named)


@pytest.mark.fact("host.inspect-lists")
def test_network_inspect_host_lists_running_containers(host: Host, act: Act, claim: Claim) -> None:
    """`docker network inspect host` lists each running host-mode container, without address, and no other."""
    box, other = host.container("box", mode="host"), host.container("other")
    stopped = host.container("stopped", mode="host")
    host.stop(stopped)

    with act:
        said = host.predefined("host").inspect()["Containers"]

    found = {one.name: said[one.id] for one in (box, other, stopped) if one.id in said}
    claim.show("docker network inspect -f '{{json .Containers}}' host", "\n".join(map(str, found.values())))
    listed = {
        name: [entry["Name"], entry["IPv4Address"], entry["IPv6Address"], entry["MacAddress"]]
        for name, entry in found.items()
    }
    claim.judge(
        equal("those listed of the three, with name, addresses and MAC", listed, {box.name: [box.name, "", "", ""]})
    )


@tamper("host.inspect-lists", "the engine ignores --network host")
def _(request: dict[str, Any]) -> dict[str, Any]:
    return request | {"mode": ""}


@strike("host.inspect-lists", "the container is stopped")
def _(stage: Stage) -> None:
    stage.host.stop(stage.container("box"))


@strike("host.inspect-lists", "the stopped container runs again")
def _(stage: Stage) -> None:
    stage.host.start(stage.container("stopped"))
