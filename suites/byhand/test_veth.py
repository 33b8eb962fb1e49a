"""veth pairs made by hand, and what becomes of their ends in other namespaces."""

from __future__ import annotations

import pytest

from fixtures.claim import Act, Claim
from fixtures.sabotage import Stage, strike
from netfacts.lab import Vantage
from netfacts.model.verdict import Outcome
from netfacts.observe import Link, gone, links, named, output
from netfacts.probe import ask, icmp
from netfacts.topology import Host
from netfacts.topology.byhand import ByHand
from netfacts.verdict import equal, holds, seen

# Those of the notes: nothing but the two namespaces ever meets them.
_LEFT, _RIGHT, _PREFIX = "192.168.33.1", "192.168.33.2", 24


@pytest.mark.fact("netns.veth-created")
def test_ip_link_add_makes_two_ends_of_a_cable(host: Host, act: Act, claim: Claim) -> None:
    """`ip link add A type veth peer name B` makes two interfaces that name each other, and are one cable."""
    hand = host.by_hand
    one, other = hand.link_add("one", "other")
    for end in (one, other):
        hand.link_set(end, up=True)

    with act:
        whole = _ends(host.vantage, one, other)
        claim.show("ip -d link show type veth", output(host.vantage, "ip", "-d", "link", "show", "type", "veth"))
        hand.link_set(one, up=False)
        cut = _ends(host.vantage, one, other)
        claim.show(f"the same after ip link set {one} down", output(host.vantage, "ip", "link", "show", "type", "veth"))

    indexes = {name: link.index for name, link in whole.items()}
    claim.judge(
        equal("kinds", {name: link.kind for name, link in whole.items()}, {one: "veth", other: "veth"}),
        equal(
            "each one's index, by the name of the one that names it as its peer",
            {name: link.peer_index for name, link in whole.items()},
            {one: indexes.get(other), other: indexes.get(one)},
        ),
        equal("with a carrier while both are up", [name for name, link in whole.items() if link.carrier], [one, other]),
        equal("with a carrier once the first is down", [name for name, link in cut.items() if link.carrier], []),
    )


def _ends(vantage: Vantage, *names: str) -> dict[str, Link]:
    """The links of these names, in this order, as far as they are there."""
    found = {link.name: link for link in links(vantage)}
    return {name: found[name] for name in names if name in found}


@strike("netns.veth-created", "the two are bridges that know nothing of each other")
def _(stage: Stage) -> None:
    netlink = stage.host.machine.netlink
    names = [stage.host.by_hand.name(role) for role in ("one", "other")]
    netlink.remove(names[0])
    for name in names:
        netlink.do("link", "add", ifname=name, kind="bridge")
        netlink.do("link", "set", index=netlink.index(name), state="up")


@strike("netns.veth-created", "the two are ends of different pairs")
def _(stage: Stage) -> None:
    hand = stage.host.by_hand
    stage.host.machine.netlink.remove(hand.name("one"))
    for end, peer in (("one", "far"), ("other", "farther")):
        for name in hand.link_add(end, peer):
            hand.link_set(name, up=True)


@strike("netns.veth-created", "the second one is down")
def _(stage: Stage) -> None:
    stage.host.by_hand.link_set(stage.host.by_hand.name("other"), up=False)


@pytest.mark.fact("netns.move-hides")
def test_interface_is_in_the_namespace_that_it_was_moved_to(host: Host, act: Act, claim: Claim) -> None:
    """After `ip link set A netns N` the host no longer has A, and N has; its peer stays where it was.

    space: [moved] ── [stays]: host
    """
    hand = host.by_hand
    space = hand.netns_add("space")
    moved, stays = hand.link_add("moved", "stays")
    before = _ends(host.vantage, moved, stays)
    claim.control(equal("interfaces of the host before", list(before), [moved, stays], control=True))
    hand.link_set(moved, netns=space)

    with act:
        own, inside = _ends(host.vantage, moved, stays), _ends(space, moved, stays)
        claim.show("ip link, on the host", output(host.vantage, "ip", "link"))
        claim.show(f"ip netns exec {space} ip link", output(space, "ip", "link"))

    claim.judge(
        equal("of the two, on the host", list(own), [stays], vantage=host.name),
        equal("of the two, in the namespace", list(inside), [moved], vantage=space),
    )


@strike("netns.move-hides", "it is moved back")
def _(stage: Stage) -> None:
    hand = stage.host.by_hand
    hand.link_set(hand.name("moved"), netns=stage.host.vantage, within=hand.netns("space"))


@strike("netns.move-hides", "the other end is moved after it")
def _(stage: Stage) -> None:
    hand = stage.host.by_hand
    hand.link_set(hand.name("stays"), netns=hand.netns("space"))


@strike("netns.move-hides", "it is moved on to a third namespace")
def _(stage: Stage) -> None:
    hand = stage.host.by_hand
    hand.link_set(hand.name("moved"), netns=hand.netns_add("third"), within=hand.netns("space"))


@pytest.mark.fact("netns.ping")
def test_namespaces_that_a_veth_joins_ping_each_other(host: Host, act: Act, claim: Claim) -> None:
    """Two namespaces ping each other over a veth pair whose ends are up and have addresses of one subnet.

    left: [near, 192.168.33.1/24] ── [far, 192.168.33.2/24]: right
    """
    hand = host.by_hand
    left, right = hand.netns_add("left"), hand.netns_add("right")
    ends = {left: (hand.name("near"), _LEFT), right: (hand.name("far"), _RIGHT)}
    hand.link_add("near", "far")
    for space, (end, address) in ends.items():
        hand.link_set(end, netns=space)
        hand.address_add(f"{address}/{_PREFIX}", end, within=space)
        hand.link_set(end, up=True, within=space)

    with act:
        to, fro = ask(icmp(left, _RIGHT, timeout_s=1.0), icmp(right, _LEFT, timeout_s=1.0))
        claim.show(f"ip netns exec {left} ip addr", output(left, "ip", "addr"))
        claim.show(f"ip netns exec {right} ip addr", output(right, "ip", "addr"))

    claim.judge(seen(to, Outcome.CONNECTED), seen(fro, Outcome.CONNECTED))


@strike("netns.ping", "one end is down")
def _(stage: Stage) -> None:
    stage.host.by_hand.link_set(stage.host.by_hand.name("far"), up=False, within=stage.host.by_hand.netns("right"))


@strike("netns.ping", "one end has an address of another subnet")
def _(stage: Stage) -> None:
    hand = stage.host.by_hand
    right, far = hand.netns("right"), hand.name("far")
    hand.address_del(f"{_RIGHT}/{_PREFIX}", far, within=right)
    hand.address_add(f"192.168.34.2/{_PREFIX}", far, within=right)


@strike("netns.ping", "one end is moved to a third namespace")
def _(stage: Stage) -> None:
    hand = stage.host.by_hand
    hand.link_set(hand.name("far"), netns=hand.netns_add("third"), within=hand.netns("right"))


@pytest.mark.fact("netns.del-removes-veth")
def test_veth_ends_with_the_namespace_of_its_peer(host: Host, act: Act, claim: Claim) -> None:
    """Deleting a namespace's name ends it, and both ends of a veth into it; not where a process still runs in it.

    idle: [] ── [end]: host ── [other]: busy, where a process runs
    """
    hand = host.by_hand
    end, other = _wired(hand, "idle", "end"), _wired(hand, "busy", "other")
    # The agent's worker runs in there from now on.
    links(hand.netns("busy"))
    claim.control(equal("ends on the host", list(_ends(host.vantage, end, other)), [end, other], control=True))

    with act:
        for role in ("busy", "idle"):
            host.machine.execute(["ip", "netns", "delete", hand.name(role)])
        has_gone = gone(host.vantage, end)
        left, names = _ends(host.vantage, end, other), named(host.machine)
        claim.show("ip netns list", output(host.vantage, "ip", "netns", "list"))
        claim.show("ip link show type veth", output(host.vantage, "ip", "link", "show", "type", "veth"))

    claim.judge(
        equal("the namespaces' names", [hand.name(role) for role in ("busy", "idle") if hand.name(role) in names], []),
        holds("end of a veth whose peer was in the idle one", has_gone, list(left), expected="gone"),
        equal("ends that are left", list(left), [other]),
    )


def _wired(hand: ByHand, role: str, end: str) -> str:
    """Make a namespace with one end of a veth pair in it; gives the name of the other."""
    inner, outer = hand.link_add(f"in-{end}", end)
    hand.link_set(inner, netns=hand.netns_add(role))
    return outer


@strike("netns.del-removes-veth", "another process runs in the idle namespace, too")
def _(stage: Stage) -> None:
    links(stage.host.by_hand.netns("idle"))


@strike("netns.del-removes-veth", "the peer is moved to the host before")
def _(stage: Stage) -> None:
    hand = stage.host.by_hand
    hand.link_set(hand.name("in-end"), netns=stage.host.vantage, within=hand.netns("idle"))


@strike("netns.del-removes-veth", "the process ends")
def _(stage: Stage) -> None:
    machine = stage.host.machine
    machine.release(machine.inode(stage.host.by_hand.netns("busy").net))


@strike("netns.del-removes-veth", "something else is mounted on a name, which so can't be deleted")
def _(stage: Stage) -> None:
    path = stage.host.by_hand.netns("busy").net
    stage.host.vantage.run(f"mount --bind {path} {path}")
