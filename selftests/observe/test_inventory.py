"""What became of a machine: which differences there are, and who can have made them."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.observe.inventory import Change, Inventory, is_anybodys, is_of_engines, is_owned

_THINGS = st.dictionaries(st.sampled_from(["links", "routes"]), st.lists(st.text("ab", max_size=2)), min_size=2)


def _inventory(**parts: list[str]) -> Inventory:
    return Inventory({part.replace("_", " "): Counter(things) for part, things in parts.items()})


def test_what_came_and_what_went_is_told_apart() -> None:
    before, after = _inventory(links=["eth0 up", "lo up"]), _inventory(links=["eth0 down", "lo up"])

    assert list(map(str, before.changes(after))) == ["- links: eth0 up", "+ links: eth0 down"]


def test_second_of_the_same_rule_is_a_change() -> None:
    rule = "filter -A FORWARD -j DROP"

    assert _inventory(iptables=[rule]).changes(_inventory(iptables=[rule, rule])) == [
        Change("iptables", rule, came=True)
    ]


@given(_THINGS, _THINGS)
def test_changes_lead_from_one_to_the_other(first: dict[str, list[str]], second: dict[str, list[str]]) -> None:
    before, after = _inventory(**first), _inventory(**second)
    rebuilt = {part: Counter(things) for part, things in before.parts.items()}
    for change in before.changes(after):
        rebuilt[change.part][change.thing] += 1 if change.came else -1
    assert {part: +things for part, things in rebuilt.items()} == {part: +t for part, t in after.parts.items()}


def test_parameters_of_links_that_come_or_go_are_none_of_their_own() -> None:
    before = _inventory(kernel_parameters=["net.ipv4.ip_forward = 1", "net.ipv4.conf.lo.forwarding = 0"])
    after = _inventory(
        kernel_parameters=[
            "net.ipv4.ip_forward = 0",
            "net.ipv4.conf.lo.forwarding = 0",
            "net.ipv4.conf.veth0a1b2c3.forwarding = 1",
            "net.ipv6.neigh.veth0a1b2c3.retrans_time_ms = 1000",
        ]
    )

    assert list(map(str, before.changes(after))) == [
        "- kernel parameters: net.ipv4.ip_forward = 1",
        "+ kernel parameters: net.ipv4.ip_forward = 0",
    ]


def test_part_that_could_not_be_read_is_not_compared() -> None:
    before = Inventory({"links": Counter(["lo"])}, unread=("iptables",))

    assert before.changes(_inventory(links=["lo"], iptables=["a rule"])) == []


@pytest.mark.parametrize(
    ("thing", "mark", "owned"),
    [
        ("nat -A DOCKER -d 172.17.0.2/32 -j DNAT", "172.17.0.2", True),
        ("nat -A DOCKER -d 172.17.0.21/32 -j DNAT", "172.17.0.2", False),
        ("nat -A DOCKER -d 10.172.17.0.2/32", "172.17.0.2", False),
        ("br-0123456789ab bridge mtu 1500", "br-0123456789ab", True),
        ("veth0a1b2c3 veth master br-0123456789ab up", "br-0123456789ab", True),
        ("nf0a1b2cp0 veth", "nf0a1b2cp0", True),
        ("nf0a1b2cp01 veth", "nf0a1b2cp0", False),
        ("nat -d fd00::2:1/128", "fd00::2", False),
        ("nat -d fd00::2/128", "fd00::2", True),
    ],
)
def test_thing_is_owned_by_whose_mark_it_bears_whole(thing: str, mark: str, owned: bool) -> None:
    assert is_owned(Change("iptables", thing, came=True), ["other", mark]) is owned


@pytest.mark.parametrize(
    ("part", "thing", "of_engines"),
    [
        ("links", "veth0a1b2c3 veth mtu 1500", True),
        ("links", "eth0 up", False),
        ("iptables", "nat -A DOCKER ! -i docker0 -j DNAT", True),
        ("iptables", "filter -A INPUT -p tcp --dport 22 -j ACCEPT", False),
        ("routes", "172.18.0.0/16 br-0123456789ab", True),
        ("routes", "203.0.113.0/24 eth0", False),
        ("kernel parameters", "net.ipv4.ip_forward = 0", False),
        ("engine", "container 0123 web", True),
    ],
)
def test_what_engines_make_for_any_container_is_known(part: str, thing: str, of_engines: bool) -> None:
    assert is_of_engines(Change(part, thing, came=True)) is of_engines


def test_processes_come_and_go_and_rules_do_not() -> None:
    assert is_anybodys(Change("processes", "17 cron", came=True))
    assert not is_anybodys(Change("iptables", "filter -A INPUT -j DROP", came=True))


# The parts and lines as `take` has them of what the kernel gives an interface of its own accord.
LINK_LOCAL = [
    ("addresses", "{} fe80::42:acff:fe11:1/64"),
    ("routes", "fe80::/64 {}"),
    ("routes", "local fe80::42:acff:fe11:1 {} local"),
    ("routes", "anycast fe80:: {} local"),
    ("routes", "multicast ff00::/8 {} local"),
]


@pytest.mark.parametrize(("part", "thing"), LINK_LOCAL)
def test_first_container_on_docker0_brings_its_link_local_address_and_routes(part: str, thing: str) -> None:
    assert is_anybodys(Change(part, thing.format("docker0"), came=True))


@pytest.mark.parametrize(("part", "thing"), LINK_LOCAL)
def test_nobody_takes_the_link_local_address_of_docker0_away(part: str, thing: str) -> None:
    assert not is_anybodys(Change(part, thing.format("docker0"), came=False))


@pytest.mark.parametrize("interface", ["eth0", "br-0123456789ab", "nf0a1b2cp0", "docker01", "docker0.5", "mydocker0"])
@pytest.mark.parametrize(("part", "thing"), LINK_LOCAL)
def test_link_local_addresses_elsewhere_are_somebodys(part: str, thing: str, interface: str) -> None:
    assert not is_anybodys(Change(part, thing.format(interface), came=True))


@pytest.mark.parametrize(
    ("part", "thing"),
    [
        ("addresses", "docker0 2001:db8:5::1/64"),
        ("addresses", "docker0 169.254.7.1/16"),
        ("addresses", "docker0 172.17.0.1/16"),
        ("routes", "2001:db8:5::/64 docker0"),
        ("routes", "local 2001:db8:5::1 docker0 local"),
        ("routes", "2001:db8:5::/64 fe80::2 docker0"),
        ("routes", "default fe80::2 docker0"),
        ("routes", "ff05::/16 docker0"),
        ("routes", "172.17.0.0/16 docker0 172.17.0.1"),
        ("links", "docker0 bridge mtu 1500  up 02:42:ac:11:00:01"),
        ("kernel parameters", "fe80::/64 docker0"),
    ],
)
def test_what_else_docker0_gets_is_somebodys(part: str, thing: str) -> None:
    assert not is_anybodys(Change(part, thing, came=True))
