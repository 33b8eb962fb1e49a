"""Containers on --network none that are named, and wired, by hand."""

from __future__ import annotations

from ipaddress import IPv4Interface, ip_network
from typing import Any

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike, tamper
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import interface, named, output, rules
from netfacts.observe.link import parse_links
from netfacts.probe import ask, icmp, listen, tcp
from netfacts.topology import Host
from netfacts.verdict import equal, holds, seen, source_is

_LOOPBACK = "127.0.0.1"
_NAMES = "/var/run/netns"
_SUBNET = ip_network("203.0.113.0/24")
# Seconds until a probe gives up where there is no answer: only sabotage makes it wait.
_SOON = 1.0


@pytest.mark.fact("nullwire.lo-up")
def test_loopback_of_a_none_container_is_up(host: Host, act: Act, claim: Claim) -> None:
    """In a container on --network none lo is up and has 127.0.0.1, unlike in a namespace that `ip netns add` makes."""
    space = host.by_hand.netns_add("space")
    box = host.container("box", mode="none")

    with act:
        inside, beside = ask(icmp(box.vantage, _LOOPBACK), icmp(space, _LOOPBACK))
        lo = {vantage.label: interface(vantage, "lo").up for vantage in (box.vantage, space)}
        claim.show("ip addr show lo, in the container", output(box.vantage, "ip", "addr", "show", "lo"))
        claim.show("ip addr show lo, in the namespace", output(space, "ip", "addr", "show", "lo"))

    claim.judge(
        equal("whether lo is up", lo, {box.name: True, space.label: False}),
        seen(inside, Outcome.CONNECTED),
        seen(beside, Outcome.UNREACHABLE),
    )


@strike("nullwire.lo-up", "lo is set down in the container")
def _(stage: Stage) -> None:
    stage.host.by_hand.link_set("lo", up=False, within=stage.container("box").vantage)


@strike("nullwire.lo-up", "lo loses its address in the container")
def _(stage: Stage) -> None:
    stage.host.by_hand.address_del("127.0.0.1/8", "lo", within=stage.container("box").vantage)


@strike("nullwire.lo-up", "new namespaces come with lo set up")
def _(stage: Stage) -> None:
    stage.host.by_hand.link_set("lo", up=True, within=stage.host.by_hand.netns("space"))


@pytest.mark.fact("nullwire.symlink")
@pytest.mark.unbroken
def test_symbolic_link_names_the_namespace_of_a_container(host: Host, act: Act, claim: Claim) -> None:
    """By a link in /var/run/netns `ip netns list` names a container's namespace, and `ip netns exec` enters it."""
    hand = host.by_hand
    box = host.container("box", mode="none")
    claim.control(equal("names before", _names_of(box.netns, named(host.machine)), [], control=True))
    name = hand.netns_link(box.pid)

    with act:
        listed = named(host.machine)
        entered = host.machine.execute(["ip", "netns", "exec", name, "ip", "-j", "-d", "address", "show"])
        seen_from = host.machine.execute(["ip", "netns", "exec", name, "readlink", "/proc/self/ns/net"])
        claim.show("ip netns list", output(host.vantage, "ip", "netns", "list"))
        claim.show(f"ip netns exec {name} ip addr", output(host.vantage, "ip", "netns", "exec", name, "ip", "addr"))

    up = [link.name for link in parse_links(entered.out) if link.up]
    claim.judge(
        equal("names of the container's namespace", _names_of(box.netns, listed), [name]),
        equal(f"what ip netns exec {name} says", entered.err.strip(), ""),
        equal(f"namespace that ip netns exec {name} enters", seen_from.out.strip(), f"net:[{box.netns}]"),
        equal("interfaces that are up there", up, ["lo"]),
    )


def _names_of(inode: int, listed: dict[str, int]) -> list[str]:
    return [name for name, other in listed.items() if other == inode]


@strike("nullwire.symlink", "the container has ended, and the link leads nowhere")
def _(stage: Stage) -> None:
    stage.host.stop(stage.container("box"))


@strike("nullwire.symlink", "the link leads to the host's namespace")
def _(stage: Stage) -> None:
    _lead_to_the_host(stage)


def _lead_to_the_host(stage: Stage) -> None:
    stage.host.vantage.run(f"ln -sfn /proc/1/ns/net {_NAMES}/{stage.container('box').pid}")


@strike("nullwire.symlink", "another interface is up in the container")
def _(stage: Stage) -> None:
    hand = stage.host.by_hand
    one, other = hand.link_add("one", "other")
    hand.link_set(one, up=True)
    hand.link_set(other, netns=stage.container("box").vantage)
    hand.link_set(other, up=True, within=stage.container("box").vantage)


@pytest.mark.fact("nullwire.find-cleanup")
@pytest.mark.unbroken
def test_find_removes_links_to_containers_that_have_ended(host: Host, act: Act, claim: Claim) -> None:
    """`find -L /var/run/netns -type l -delete` removes links to containers that have ended, without -L all links."""
    hand = host.by_hand
    over, box = host.container("over", mode="none"), host.container("box", mode="none")
    stale, live, space = hand.netns_link(over.pid), hand.netns_link(box.pid), hand.netns_add("space").label
    host.stop(over)
    claim.control(equal("names", set(named(host.machine)), {stale, live, space}, control=True))

    with act:
        claim.show("ls -l /var/run/netns", output(host.vantage, "ls", "-l", _NAMES))
        host.machine.execute(["find", "-L", _NAMES, "-type", "l", "-delete"])
        left = named(host.machine)
        claim.show("ls -l /var/run/netns, after find -L", output(host.vantage, "ls", "-l", _NAMES))
        host.machine.execute(["find", _NAMES, "-type", "l", "-delete"])
        bare = named(host.machine)
        claim.show("ls -l /var/run/netns, after find without -L", output(host.vantage, "ls", "-l", _NAMES))

    claim.judge(
        equal("names that are left", set(left), {live, space}),
        equal("namespace of the container that runs", left.get(live), box.netns),
        equal("names that find leaves without -L", set(bare), {space}),
    )


@strike("nullwire.find-cleanup", "the other container has ended, too")
def _(stage: Stage) -> None:
    stage.host.stop(stage.container("box"))


@strike("nullwire.find-cleanup", "in place of its link, what has ended has a namespace mounted")
def _(stage: Stage) -> None:
    (stale,) = (name for name, inode in named(stage.host.machine).items() if not inode)
    _mount_in_place_of(stage, stale)


def _mount_in_place_of(stage: Stage, link: str) -> None:
    stage.host.vantage.run(f"rm {_NAMES}/{link}")
    stage.host.vantage.run(f"ip netns add {link}")


@strike("nullwire.find-cleanup", "in place of its link, the other container has a namespace mounted")
def _(stage: Stage) -> None:
    _mount_in_place_of(stage, str(stage.container("box").pid))


@strike("nullwire.find-cleanup", "the link of the other container leads to the host's namespace")
def _(stage: Stage) -> None:
    _lead_to_the_host(stage)


@pytest.mark.fact("nullwire.works")
@pytest.mark.unbroken
def test_none_container_wired_by_hand_reaches_all(host: Host, client: Vantage, act: Act, claim: Claim) -> None:
    """A none container on docker0 by hand reaches host, containers and outside, which sees the host's address.

    [box] eth0 ── port ──┐
    [other] ── veth ─────┴─ docker0 ── host ── eth0 ── lan ── client
    """
    hand = host.by_hand
    box, other = host.container("box", mode="none"), host.container("other")
    bridge = host.predefined().bridge
    (gateway,) = interface(host.vantage, bridge).ipv4
    own = _last(gateway)
    ways = {
        str(gateway.ip): listen(host.vantage).port,
        other.address: listen(other.vantage).port,
        client.machine.address: listen(client).port,
    }
    probes = [tcp(box.vantage, address, port, timeout_s=_SOON) for address, port in ways.items()]
    claim.control(*(seen(answer, Outcome.UNREACHABLE, control=True) for answer in ask(*probes)))
    back = listen(box.vantage).port
    port = hand.wire(box.vantage, bridge, str(own), str(gateway.ip))

    with act:
        answers = ask(*probes, tcp(other.vantage, str(own.ip), back, timeout_s=_SOON))
        claim.show("ip addr; ip route, in the container", box.run("sh", "-c", "ip addr; ip route").out)
        claim.show(f"ip link show {port}, on the host", output(host.vantage, "ip", "link", "show", port))
        claim.show("iptables-save -t nat", rules(host.engine).text("nat"))

    sources = (str(own.ip), str(own.ip), host.address, other.address)
    claim.judge(
        *(seen(answer, Outcome.CONNECTED) for answer in answers),
        *(source_is(answer, source) for answer, source in zip(answers, sources, strict=True)),
    )


def _last(gateway: IPv4Interface) -> IPv4Interface:
    """The last address of a bridge's subnet, which an engine that begins with the first does not give away."""
    return IPv4Interface(f"{gateway.network[-2]}/{gateway.network.prefixlen}")


@strike("nullwire.works", "the default route is left out")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip route del default")


@strike("nullwire.works", "the host's end is left off the bridge")
def _(stage: Stage) -> None:
    hand = stage.host.by_hand
    hand.link_set(hand.name("port"), master="")


@strike("nullwire.works", "the host's end is left down")
def _(stage: Stage) -> None:
    hand = stage.host.by_hand
    hand.link_set(hand.name("port"), up=False)


@strike("nullwire.works", "the address is of another subnet")
def _(stage: Stage) -> None:
    box = stage.container("box").vantage
    box.run("ip addr flush dev eth0")
    box.run(f"ip addr add {_SUBNET[2]} dev eth0")


@strike("nullwire.works", "the rule that masquerades is deleted, and the way back is open")
def _(stage: Stage) -> None:
    subnet = stage.host.predefined().subnet
    stage.delete_rules("nat", "POSTROUTING", subnet)
    stage.machine("client").route(subnet, stage.host.address)


@pytest.mark.fact("nullwire.unmanaged")
@pytest.mark.unbroken
def test_engine_knows_no_address_that_was_given_by_hand(host: Host, act: Act, claim: Claim) -> None:
    """The engine neither shows an address that was given by hand nor has rules for it, and gives it to another one.

    [box] eth0, 203.0.113.3 ── port ──┐
    [first] 203.0.113.2 ──────────────┴─ net ── host
    """
    hand = host.by_hand
    network = host.network("net", subnet=str(_SUBNET), gateway=str(_SUBNET[1]))
    box, first = (
        host.container("box", mode="none"),
        host.container("first", network=network, publish={"8080/tcp": None}),
    )
    address = str(_SUBNET[3])
    hand.wire(box.vantage, network.bridge, f"{address}/{_SUBNET.prefixlen}", network.gateway)
    (reached,) = ask(icmp(host.vantage, address))
    claim.control(seen(reached, Outcome.CONNECTED, control=True))

    with act:
        box.refresh()
        shown, ruleset = network.inspect()["Containers"], rules(host.engine)
        claim.show("docker network inspect -f '{{json .Containers}}' net", str(shown))
        claim.show("iptables-save", ruleset.text())
        second = host.container("second", network=network)
        given = [str(one.ip) for one in interface(second.vantage, "eth0").ipv4]
        claim.show("ip addr, in the container that was wired", output(box.vantage, "ip", "addr", "show", "eth0"))
        claim.show("ip addr, in one that was started later", output(second.vantage, "ip", "addr", "show", "eth0"))

    naming = {one: [rule.text for rule in ruleset.rules if f" {one}" in rule.text] for one in (first.address, address)}
    claim.control(holds("rules for another", bool(naming[first.address]), naming, expected="some", control=True))
    claim.judge(
        equal("addresses that docker inspect shows", [box.address_on(name) for name in box.networks], [""]),
        equal(
            "addresses that docker network inspect shows",
            [end["IPv4Address"].partition("/")[0] for end in shown.values()],
            [first.address],
        ),
        equal(f"rules that name {address}", naming[address], []),
        equal("address of a container that was started later", given, [address], vantage=second.name),
    )


@tamper("nullwire.unmanaged", "the address is kept from others by --aux-address")
def _(request: dict[str, Any]) -> dict[str, Any]:
    if "ipam" not in request:
        return request
    (pool,) = request["ipam"]["Config"]
    return request | {"ipam": {"Config": [pool | {"AuxiliaryAddresses": {"box": str(_SUBNET[3])}}]}}


@strike("nullwire.unmanaged", "docker inspect shows the address")
def _(stage: Stage) -> None:
    def show(said: dict[str, Any]) -> dict[str, Any]:
        said["NetworkSettings"]["Networks"]["none"]["IPAddress"] = str(_SUBNET[3])
        return said

    stage.forge(f"/containers/{stage.container('box').id}/json", show)


@strike("nullwire.unmanaged", "the engine has a container with this address")
def _(stage: Stage) -> None:
    network = stage.network("net")
    stage.host.container("known", network=network, address=str(_SUBNET[3]))


@strike("nullwire.unmanaged", "the engine drops what others send to the address")
def _(stage: Stage) -> None:
    network = stage.network("net")
    stage.host.engine.run(f"iptables -t raw -A PREROUTING -d {_SUBNET[3]} ! -i {network.bridge} -j DROP")
