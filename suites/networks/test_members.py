"""Who is on a network, as the engine shows it."""

from __future__ import annotations

import json
from ipaddress import IPv4Interface, IPv4Network

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.observe import links
from netfacts.topology import Container, Host, Network
from netfacts.verdict import equal


@pytest.mark.fact("user.inspect-members")
def test_inspect_shows_who_is_on_a_network(host: Host, act: Act, claim: Claim) -> None:
    """`docker network inspect` shows who was started on the network or connected to it, and not who has left."""
    network = host.network("net")
    started, left = (host.container(role, network=network) for role in ("started", "left"))
    connected = host.container("connected")
    host.connect(network, connected)
    host.disconnect(network, left)

    with act:
        shown = network.inspect()["Containers"]
        given = {str(end) for one in (started, connected) for end in _on(network, one)}
        claim.show("docker network inspect: Containers", json.dumps(shown, indent=2))

    claim.judge(
        equal(
            "containers shown, by id and name",
            {(identity, entry["Name"]) for identity, entry in shown.items()},
            {(one.id, one.name) for one in (started, connected)},
        ),
        equal("addresses shown, beside those inside", {entry["IPv4Address"] for entry in shown.values()}, given),
    )


def _on(network: Network, container: Container) -> list[IPv4Interface]:
    subnet = IPv4Network(network.subnet)
    return [end for link in links(container.vantage) for end in link.ipv4 if end.ip in subnet]


@strike("user.inspect-members", "one that was connected leaves again")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.network("net"), stage.container("connected"))


@strike("user.inspect-members", "one that has left comes back")
def _(stage: Stage) -> None:
    stage.host.connect(stage.network("net"), stage.container("left"))


@strike("user.inspect-members", "one takes another address by hand")
def _(stage: Stage) -> None:
    started = stage.container("started").vantage
    started.run("ip addr flush dev eth0")
    started.run("ip addr add 10.77.9.9/32 dev eth0")
