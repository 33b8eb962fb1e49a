"""What is wired by hand past a real engine is what is read, and gone in the end."""

from __future__ import annotations

import pytest

from netfacts.engine import Engine
from netfacts.lab import Vantage
from netfacts.model.errors import LabError
from netfacts.model.verdict import Outcome
from netfacts.observe import gone, interface, links, named, neighbours, routes
from netfacts.probe import ask, icmp
from netfacts.topology import Host


def _names(vantage: Vantage) -> set[str]:
    return {link.name for link in links(vantage)}


def test_namespaces_and_links_are_gone_with_the_check(engine: Engine) -> None:
    host = Host(engine, check="by hand")
    before = _names(host.vantage), named(host.machine)
    hand, box = host.by_hand, host.container("box", mode="none")
    left, right = hand.netns_add("left"), hand.netns_add("right")
    near, far = hand.link_add("near", "far")
    stay, other = hand.link_add("stay", "other")
    for end, space in ((near, left), (far, right)):
        hand.link_set(end, netns=space)
    link = hand.netns_link(box.pid)

    during = _names(host.vantage), named(host.machine)
    inside = _names(left), _names(right)
    host.close()

    assert during[0] == before[0] | {stay, other}
    assert set(during[1]) == set(before[1]) | {left.label, right.label, link}
    assert during[1][link] == box.netns
    assert near in inside[0]
    assert far in inside[1]
    assert (_names(host.vantage), named(host.machine)) == before
    assert not {near, far} & _names(host.vantage)


def test_what_is_gone_before_the_check_ends_is_no_error(engine: Engine) -> None:
    host = Host(engine, check="by hand")
    hand = host.by_hand
    space = hand.netns_add("space")
    inner, outer = hand.link_add("inner", "outer")
    hand.link_set(inner, netns=space)
    stale = hand.netns_link(2**22)

    assert named(host.machine)[stale] == 0
    host.machine.execute(["ip", "netns", "delete", space.label])
    assert gone(host.vantage, outer)
    host.close()

    assert named(host.machine) == {}


def test_link_that_stays_is_waited_for_in_vain(host: Host) -> None:
    one, _ = host.by_hand.link_add("one", "other")

    assert not gone(host.vantage, one, timeout_s=0.1)


def test_steps_do_what_they_are_named_after(host: Host) -> None:
    hand = host.by_hand
    space = hand.netns_add("space")
    inner, outer = hand.link_add("inner", "outer")
    pair = interface(host.vantage, inner), interface(host.vantage, outer)
    hand.link_set(outer, master="docker0", up=True)
    hand.link_set(inner, netns=space)
    hand.link_set(inner, name="card", up=True, within=space)
    hand.address_add("203.0.113.9/24", "card", within=space)
    hand.address_add("192.0.2.10/24", "card", within=space)
    hand.address_del("203.0.113.9/24", "card", within=space)
    hand.route_add("0.0.0.0/0", "192.0.2.1", within=space)

    assert (pair[0].peer_index, pair[1].peer_index) == (pair[1].index, pair[0].index)
    assert (interface(host.vantage, outer).master, interface(host.vantage, outer).up) == ("docker0", True)
    assert [str(address) for address in interface(space, "card").ipv4] == ["192.0.2.10/24"]
    assert [route.gateway for route in routes(space) if route.destination == "default"] == ["192.0.2.1"]
    hand.link_set(outer, master="", up=False)
    assert (interface(host.vantage, outer).master, interface(host.vantage, outer).up) == ("", False)
    hand.link_set("card", netns=host.vantage, within=space)
    assert interface(host.vantage, "card").kind == "veth"
    with pytest.raises(LabError, match="there is no link"):
        hand.link_set(inner, up=True)
    host.machine.netlink.remove("card")


def test_container_wired_by_hand_is_reached(host: Host) -> None:
    box = host.container("box", mode="none")
    (gateway,) = interface(host.vantage, "docker0").ipv4
    address = str(gateway.network[-2])

    port = host.by_hand.wire(box.vantage, "docker0", f"{address}/{gateway.network.prefixlen}", str(gateway.ip))

    (answer,) = ask(icmp(host.vantage, address))
    assert answer.outcome is Outcome.CONNECTED
    assert neighbours(host.vantage)[address] == interface(box.vantage, "eth0").mac
    assert interface(host.vantage, port).peer_index == interface(box.vantage, "eth0").index
