"""Labs around a machine that is there already: subnets that it does not use."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfacts.lab.visited import destinations, on_free_subnets, unwired
from netfacts.model.errors import LabError
from netfacts.model.lab import FAR, LAN, SHAPES


def test_subnets_of_documentation_are_taken_where_they_are_free() -> None:
    spec = on_free_subnets(SHAPES["routed"], ["10.0.0.0/8", "2001:db8::/64"])

    assert [segment.ipv4 for segment in spec.segments] == [LAN.ipv4, FAR.ipv4]
    assert spec.address("client").compressed == "203.0.113.20"


@settings(deadline=None)  # an example asks for all shapes, on a machine that may be busy
@given(
    st.lists(
        st.one_of(
            st.sampled_from(["198.51.100.0/25", "203.0.113.7", "192.0.2.0/24", "198.18.0.0/16", "2001:db8:1::/48"]),
            st.ip_addresses(v=4).map(str),
            st.ip_addresses(v=6).map(str),
        )
    )
)
def test_no_subnet_overlaps_what_the_machine_has_a_route_to(taken: list[str]) -> None:
    for shape in SHAPES.values():
        chosen = [one for segment in on_free_subnets(shape, taken).segments for one in (segment.ipv4, segment.ipv6)]
        used = [ip_network(one) for one in taken]
        assert not [(a, b) for a in chosen for b in used if a.version == b.version and a.overlaps(b)]
        assert len(set(chosen)) == len(chosen)


def test_route_to_everything_takes_nothing() -> None:
    assert on_free_subnets(SHAPES["one-host"], ["0.0.0.0/0", "::/0"]).segments == SHAPES["one-host"].segments


def test_halves_of_everything_take_nothing_either() -> None:
    halves = ["0.0.0.0/1", "128.0.0.0/1", "2000::/3"]

    assert on_free_subnets(SHAPES["one-host"], halves).segments == SHAPES["one-host"].segments


def test_machine_without_a_free_subnet_is_told_so() -> None:
    taken = ["198.51.100.0/24", "203.0.113.0/24", "192.0.2.0/24", "198.18.0.0/15"]

    with pytest.raises(LabError, match="no subnet is free"):
        on_free_subnets(SHAPES["one-host"], taken)


def test_lab_without_wires_has_the_host_alone() -> None:
    spec = unwired(SHAPES["routed"])

    assert [machine.name for machine in spec.machines] == ["host"]
    assert spec.machines[0].ports == ()


def test_destinations_are_read_from_ip_route() -> None:
    said = '[{"dst":"default","gateway":"198.51.100.1"},{"dst":"172.17.0.0/16","dev":"docker0"},{"dst":"fe80::/64"},{}]'

    assert destinations(said) == ["172.17.0.0/16", "fe80::/64"]
    assert destinations("") == []
