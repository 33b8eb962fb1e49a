"""`docker network connect`: a further network for a running container."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.model.verdict import Outcome
from netfacts.observe import Link, interface, links, output
from netfacts.probe import ask, hold, listen, resolve, tcp
from netfacts.topology import Host
from netfacts.verdict import equal, seen, source_is


@pytest.mark.fact("connect.adds-nic")
@pytest.mark.unbroken
def test_connect_gives_a_running_container_a_second_interface(host: Host, act: Act, claim: Claim) -> None:
    """A running container gets a second interface with an address of the network, and is not restarted."""
    box = host.container("box")
    network = host.network("further")
    before, started = {link.name for link in links(box.vantage)}, (box.pid, box.said["State"]["StartedAt"])
    host.connect(network, box)

    with act:
        box.refresh()
        new = [link for link in links(box.vantage) if link.name not in before]
        claim.show("ip addr in the container", output(box.vantage, "ip", "addr"))

    claim.judge(
        equal("new interfaces", [(link.kind, link.up) for link in new], [("veth", True)], vantage=box.vantage),
        equal(
            "subnets on the new interface",
            [end.network for link in new for end in link.ipv4],
            [IPv4Network(network.subnet)],
            vantage=box.vantage,
        ),
        equal("first process, and when it started", (box.pid, box.said["State"]["StartedAt"]), started),
    )


@strike("connect.adds-nic", "the container is disconnected again")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.network("further"), stage.container("box"))


@strike("connect.adds-nic", "the container is restarted")
def _(stage: Stage) -> None:
    stage.host.stop(stage.container("box"))
    stage.host.start(stage.container("box"))


@pytest.mark.fact("connect.keeps-old")
@pytest.mark.unbroken
def test_connect_leaves_interface_address_and_open_connections(host: Host, act: Act, claim: Claim) -> None:
    """What a container has before `network connect` it has afterwards: interface, address, open connections."""
    web, other = host.container("web"), host.container("other")
    inward = hold(other.vantage, web.address, listen(web.vantage).port)
    outward = hold(web.vantage, other.address, listen(other.vantage).port)
    before = interface(web.vantage, "eth0")
    claim.show("ip addr before", output(web.vantage, "ip", "addr"))
    host.connect(host.network("further"), web)

    with act:
        after = [_identity(link) for link in links(web.vantage) if link.name == before.name]
        answers = [inward.say(), outward.say()]
        claim.show("ip addr after", output(web.vantage, "ip", "addr"))

    claim.judge(
        equal("eth0, as it was and as it is", after, [_identity(before)], vantage=web.vantage),
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
    )


def _identity(link: Link) -> str:
    """All that would change if the interface were made anew."""
    addresses = " ".join(map(str, link.addresses))
    return f"{link.index}@{link.peer_index} {link.mac} {addresses} {'up' if link.up and link.carrier else 'down'}"


@strike("connect.keeps-old", "the container is disconnected from its first network")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.host.predefined("bridge"), stage.container("web"))


@strike("connect.keeps-old", "open connections are cut, and the interface is left as it is")
def _(stage: Stage) -> None:
    net = stage.container("web").vantage.net
    stage.host.engine.run("iptables -I INPUT -p tcp -j REJECT --reject-with tcp-reset", net=net)


@strike("connect.keeps-old", "its first network is disconnected and connected again")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.host.predefined("bridge"), stage.container("web"))
    stage.host.connect(stage.host.predefined("bridge"), stage.container("web"))


@pytest.mark.fact("connect.enables-comm")
@pytest.mark.unbroken
def test_containers_reach_each_other_once_both_are_connected(host: Host, act: Act, claim: Claim) -> None:
    """Two containers on different networks reach each other by address and name once one network has both.

    web ── bridge        web ── bridge
                     →       └─ shared ┐
    box ── shared        box ── shared ┘
    """
    shared = host.network("shared")
    web, box = host.container("web"), host.container("box", network=shared)
    port = listen(web.vantage, 8080).port
    listen(box.vantage, port)
    apart = ask(tcp(web.vantage, box.address, port), tcp(box.vantage, web.address, port))
    host.connect(shared, web)
    address = {role.name: role.address_on(shared.name) for role in (web, box)}

    with act:
        names = [*resolve(web.vantage, box.name), *resolve(box.vantage, web.name)]
        joined = ask(tcp(web.vantage, address[box.name], port), tcp(box.vantage, address[web.name], port))
        claim.show("ip addr in web", output(web.vantage, "ip", "addr"))

    claim.judge(
        *(seen(answer, Outcome.TIMED_OUT) for answer in apart),
        *(seen(answer, Outcome.CONNECTED) for answer in joined),
        *(source_is(answer, address[str(answer.probe.vantage)]) for answer in joined),
        *(equal(f"{found.name} resolves to", found.addresses, (address[found.name],)) for found in names),
    )


@strike("connect.enables-comm", "one is disconnected again")
def _(stage: Stage) -> None:
    stage.host.disconnect(stage.network("shared"), stage.container("web"))
