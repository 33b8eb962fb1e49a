"""`ip -j` is read into links, addresses and routes."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import ip_interface
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netfacts.lab import Machine, Vantage
from netfacts.model.errors import ProbeError
from netfacts.observe.link import Link, Route, bridge_ports, other_end, parse_links, parse_routes
from netfacts.run import Finished

Golden = Callable[[str], str]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_KEYS = ["ifindex", "ifname", "linkinfo", "master", "link_index", "address", "mtu", "flags", "addr_info", "info_kind"]
_KEYS += ["local", "prefixlen", "link", "dst", "gateway", "dev", "prefsrc"]
# Objects with the keys that are read, and any values: what another iproute2 might come up with.
ODD = st.lists(
    st.dictionaries(
        st.sampled_from(_KEYS),
        JSON | st.lists(st.dictionaries(st.sampled_from(_KEYS), JSON, max_size=3), max_size=2) | st.just("eth0"),
        max_size=9,
    ).map(lambda entry: {"ifindex": 1, "ifname": "eth0"} | entry),
    max_size=2,
).map(json.dumps)


def test_links_of_a_real_host_are_read(golden: Golden) -> None:
    links = {link.name: link for link in parse_links(golden("ip-address.host.json"))}

    assert list(links) == ["lo", "eth0", "docker0", "nf-golden", "veth21488bb", "vethb32e917"]
    assert links["docker0"] == Link(
        index=3,
        name="docker0",
        kind="bridge",
        master="",
        peer_index=None,
        mac="02:42:af:11:b4:18",
        mtu_bytes=1500,
        up=True,
        carrier=True,
        addresses=(ip_interface("172.17.0.1/16"), ip_interface("fe80::42:afff:fe11:b418/64")),
    )
    assert links["docker0"].ipv4 == (ip_interface("172.17.0.1/16"),)
    assert (links["veth21488bb"].master, links["vethb32e917"].master) == ("docker0", "nf-golden")
    assert (links["lo"].kind, links["lo"].mtu_bytes) == ("", 65536)


def test_veth_s_two_ends_name_each_other(golden: Golden) -> None:
    (_, inside) = parse_links(golden("ip-address.container.json"))
    outside = next(link for link in parse_links(golden("ip-address.host.json")) if link.index == inside.peer_index)

    assert (inside.name, inside.kind, outside.kind) == ("eth0", "veth", "veth")
    assert (outside.peer_index, outside.master) == (inside.index, "nf-golden")


def _host(text: str) -> Vantage:
    """A machine where `ip` prints this."""
    machine = SimpleNamespace(execute=lambda argv, **_: Finished(tuple(argv), 0, text, ""))
    return Vantage(cast("Machine", machine), "host")


def test_other_end_of_a_veth_is_found_where_it_lies(golden: Golden) -> None:
    (lo, inside) = parse_links(golden("ip-address.container.json"))
    host = _host(golden("ip-address.host.json"))

    assert other_end(inside, host).name == "vethb32e917"
    with pytest.raises(ProbeError, match="there is no other end of lo") as caught:
        other_end(lo, host)
    assert caught.value.where == "host"
    assert "vethb32e917" in caught.value.returned


def test_ports_of_a_bridge_are_those_that_came_to_it_alone(golden: Golden) -> None:
    host = _host(golden("ip-address.host.json"))
    (port,) = bridge_ports(host, "nf-golden")

    assert port.name == "vethb32e917"
    assert bridge_ports(host, "nf-golden", besides=[port]) == []
    assert [other.name for other in bridge_ports(host, "docker0", besides=[port])] == ["veth21488bb"]


def test_peer_in_the_same_namespace_is_found_by_its_name() -> None:
    """There `ip` names the other end, and elsewhere it numbers it."""
    pair = [
        {"ifindex": 8, "ifname": "far", "link": "near", "linkinfo": {"info_kind": "veth"}},
        {"ifindex": 9, "ifname": "near", "link": "far", "linkinfo": {"info_kind": "veth"}},
        {"ifindex": 10, "ifname": "astray", "link_index": 8, "link_netnsid": 0, "linkinfo": {"info_kind": "veth"}},
    ]

    assert [link.peer_index for link in parse_links(json.dumps(pair))] == [9, 8, 8]


def test_routes_of_a_real_host_are_read(golden: Golden) -> None:
    assert parse_routes(golden("ip-route-4.container.json")) == [
        Route("default", "192.0.2.1", "eth0", "", ""),
        Route("192.0.2.0/24", "", "eth0", "192.0.2.2", "kernel"),
    ]
    assert Route("172.17.0.0/16", "", "docker0", "172.17.0.1", "kernel") in parse_routes(golden("ip-route-4.host.json"))
    assert Route("2001:db8:1::/64", "", "eth0", "", "kernel") in parse_routes(golden("ip-route-6.host.json"))
    assert parse_routes(golden("ip-route-6.container.json")) == []


@pytest.mark.parametrize("text", ["", "\n", "[]", "[{}]"])
def test_nothing_is_no_link_and_no_error(text: str) -> None:
    """`ip -j` prints nothing at all where a table is empty, and {} for what a filter leaves out."""
    assert parse_links(text) == []


@pytest.mark.parametrize("text", ["Cannot open network namespace", "{}", "[1]", '"lo"', "null"])
@pytest.mark.parametrize("parse", [parse_links, parse_routes])
def test_text_that_is_no_list_of_objects_is_refused(parse: Callable[[str], object], text: str) -> None:
    with pytest.raises(ProbeError) as caught:
        parse(text)

    assert text in caught.value.returned


@pytest.mark.parametrize(
    "entry",
    [
        {"ifname": "eth0"},
        {"ifindex": "x"},
        {"ifindex": 1e999},
        {"ifindex": None},
        {"linkinfo": ["veth"]},
        {"addr_info": [{"local": "10.0.0.1"}]},
        {"addr_info": [{"local": "10.0.0.1", "prefixlen": 33}]},
        {"addr_info": ["10.0.0.1/8"]},
        {"addr_info": 7},
        {"mtu": {}},
        {"flags": 7},
    ],
    ids=json.dumps,
)
def test_link_of_another_form_is_refused_with_what_came(entry: dict[str, Any]) -> None:
    usual: dict[str, Any] = {} if "ifname" in entry else {"ifindex": 1, "ifname": "eth0"}

    with pytest.raises(ProbeError, match="described a link in a way not known here") as caught:
        parse_links(json.dumps([usual | entry]))

    assert "eth0" in caught.value.returned


@given(st.text() | JSON.map(json.dumps) | ODD)
@example("[" * 100_000)
def test_any_text_is_links_or_a_probe_error(text: str) -> None:
    for parse in (parse_links, parse_routes):
        try:
            found = parse(text)
        except ProbeError:
            continue
        assert isinstance(found, list)
