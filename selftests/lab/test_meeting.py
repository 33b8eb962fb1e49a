"""Where VMs meet: the network that they share, and the labs that are on it."""

from __future__ import annotations

import json
from ipaddress import IPv4Network, ip_interface

import pytest

from netfacts.lab.meeting import meet
from netfacts.model.errors import UsageError
from netfacts.model.lab import SHAPES, PortSpec

_MANAGEMENT = "192.168.121"


def _said(**links: list[str]) -> str:
    """What `ip -j address` prints, of each link the addresses."""
    loopback = {"ifname": "lo", "addr_info": [{"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}]}
    return json.dumps([loopback, *(_link(name.replace("_", "-"), addresses) for name, addresses in links.items())])


def _link(name: str, addresses: list[str]) -> dict[str, object]:
    ends = [(ip_interface(one), "link" if one.startswith("fe80") else "global") for one in addresses]
    infos = [{"local": str(end.ip), "prefixlen": end.network.prefixlen, "scope": scope} for end, scope in ends]
    return {"ifname": name, "addr_info": infos}


def _vm(number: int, nic: str = "eth1", *more: str) -> str:
    own = [f"198.51.100.{number}/24", f"2001:db8:1::{number}/64", f"fe80::{number}/64", *more]
    return _said(
        eth0=[f"{_MANAGEMENT}.{number}/24"], docker0=["172.17.0.1/16"], br_0123456789ab=["172.18.0.1/16"], **{nic: own}
    )


def test_vms_meet_on_the_network_for_documentation() -> None:
    meeting = meet({"host": _vm(11), "host2": _vm(12, "ens4")})

    assert meeting.segment.ipv4 == IPv4Network("198.51.100.0/24")
    own = (ip_interface("198.51.100.12/24"), ip_interface("2001:db8:1::12/64"))
    assert meeting.ports["host2"] == PortSpec("lan", 12, "ens4", own)


def test_vms_of_a_swarm_meet_where_it_is() -> None:
    meeting = meet({"host": _vm(11), "host2": _vm(12)}, [f"{_MANAGEMENT}.11", f"{_MANAGEMENT}.12"])

    assert meeting.segment.ipv4 == IPv4Network(f"{_MANAGEMENT}.0/24")
    assert meeting.ports["host"].nic == "eth0"


def test_swarm_elsewhere_decides_nothing() -> None:
    meeting = meet({"host": _vm(11), "host2": _vm(12)}, ["10.1.1.1", f"{_MANAGEMENT}.12"])

    assert meeting.segment.ipv4 == IPv4Network("198.51.100.0/24")


def test_networks_of_their_engines_are_not_shared() -> None:
    alone = {
        name: _said(eth0=[f"10.{number}.0.2/24"], docker0=["172.17.0.1/16"])
        for name, number in (("host", 1), ("host2", 2))
    }

    with pytest.raises(UsageError, match="share no IPv4 network") as caught:
        meet(alone)

    assert "host2: 10.2.0.2/24" in str(caught.value)


def test_network_on_which_all_have_one_address_is_no_wire() -> None:
    """Each VirtualBox VM is 10.0.2.15 behind a NAT of its own."""
    said = {
        name: _said(eth0=["10.0.2.15/24"], virbr0=["192.168.122.1/24"], eth1=[f"192.168.56.{number}/24"])
        for name, number in (("host", 11), ("host2", 12))
    }

    assert meet(said).segment.ipv4 == IPv4Network("192.168.56.0/24")


def test_host_is_known_by_the_address_that_its_swarm_knows() -> None:
    said = {
        "host": _said(eth0=["10.1.0.100/24", "10.1.0.11/24"]),
        "host2": _said(eth0=["10.1.0.12/24"]),
    }

    meeting = meet(said, ["10.1.0.11", "10.1.0.12"])

    assert [str(port.own[0].ip) for port in meeting.ports.values()] == ["10.1.0.11", "10.1.0.12"]


def test_interfaces_that_are_merely_called_like_an_engines_are_somebodys() -> None:
    said = {name: _said(br_ex=[f"10.1.0.{number}/24"]) for name, number in (("host", 11), ("host2", 12))}

    assert meet(said).ports["host"].nic == "br-ex"


@pytest.mark.parametrize("flag", ["temporary", "deprecated", "tentative", "dadfailed"])
def test_address_that_will_not_last_is_none(flag: str) -> None:
    passing = json.loads(_vm(11, "eth1", "2001:db8:1::abcd/64"))
    passing[-1]["addr_info"].insert(0, {"local": "2001:db8:1::7", "prefixlen": 64, "scope": "global", flag: True})

    meeting = meet({"host": json.dumps(passing), "client": _vm(13)})

    assert "2001:db8:1::7" not in {str(end.ip) for end in meeting.ports["host"].own}


def test_vm_without_ipv6_leaves_all_with_ipv4() -> None:
    meeting = meet({"host": _vm(11), "client": _said(eth1=["198.51.100.13/24"])})

    assert [len(port.own) for port in meeting.ports.values()] == [1, 1]


def test_ipv6_subnet_is_one_of_the_same_wire() -> None:
    meeting = meet({"host": _vm(11, "eth1", "2001:db8:9::11/64"), "client": _vm(13)})

    assert [str(port.own[1]) for port in meeting.ports.values()] == ["2001:db8:1::11/64", "2001:db8:1::13/64"]


def test_labs_on_it_take_no_address_of_it() -> None:
    meeting = meet({"host": _vm(11), "host2": _vm(12), "client": _vm(13)})

    spec = meeting.lab(SHAPES["two-hosts"], ["198.51.100.0/24", "203.0.113.0/24"])

    assert [(machine.name, str(spec.address(machine.name))) for machine in spec.machines if not machine.resolver] == [
        ("host", "198.51.100.11"),
        ("host2", "198.51.100.12"),
        ("client", "198.51.100.13"),
    ]
    assert {segment.name for segment in spec.made} == {"beside-host", "beside-host2"}
    assert not any(segment.ipv4.overlaps(meeting.segment.ipv4) for segment in spec.made)
    assert not any(port.segment == "lan" for machine in spec.machines if machine.resolver for port in machine.ports)


def test_each_host_asks_the_server_beside_it() -> None:
    spec = meet({"host": _vm(11), "host2": _vm(12)}).lab(SHAPES["two-hosts"], [])

    assert spec.resolver_of("host") == spec.address("resolver")
    assert spec.resolver_of("host2") == spec.address("resolver-host2")
    assert spec.resolver_of("host") != spec.resolver_of("host2")


def test_machine_that_is_missing_is_missing_in_the_lab() -> None:
    meeting = meet({"host": _vm(11), "host2": _vm(12)})

    assert "client" not in {machine.name for machine in meeting.lab(SHAPES["two-hosts"], []).machines}
    assert meeting.plays_in(SHAPES["two-hosts"])
    assert not meeting.plays_in(SHAPES["host-and-outside"])


def test_lab_of_one_or_of_several_wires_is_not_played_there() -> None:
    meeting = meet({"host": _vm(11), "host2": _vm(12), "client": _vm(13)})

    assert meeting.plays_in(SHAPES["host-and-outside"])
    assert not meeting.plays_in(SHAPES["one-host"])
    assert not meeting.plays_in(SHAPES["routed"])
    assert not meeting.plays_in(SHAPES["underlay"])
