"""Labs as declared: addresses, and shapes that can be built at all."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest

from netfacts.model.lab import SHAPES, LabSpec

DOCUMENTATION = [ip_network(one) for one in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")]


@pytest.fixture(params=SHAPES.values(), ids=list(SHAPES))
def shape(request: pytest.FixtureRequest) -> LabSpec:
    spec: LabSpec = request.param
    return spec


@pytest.mark.parametrize(
    ("shape", "machine", "segment", "ipv4", "ipv6"),
    [
        ("one-host", "host", "", "198.51.100.10", "2001:db8:1::a"),
        ("one-host", "resolver", "lan", "198.51.100.53", "2001:db8:1::35"),
        ("two-hosts", "host2", "", "198.51.100.11", "2001:db8:1::b"),
        ("three-hosts", "host3", "lan", "198.51.100.12", "2001:db8:1::c"),
        ("host-and-outside", "client", "lan", "198.51.100.20", "2001:db8:1::14"),
        ("routed", "router", "", "198.51.100.1", "2001:db8:1::1"),
        ("routed", "router", "far", "203.0.113.1", "2001:db8:2::1"),
        ("routed", "client", "far", "203.0.113.20", "2001:db8:2::14"),
        ("fabric", "host3", "", "203.0.113.12", "2001:db8:2::c"),
        ("fabric", "store", "lan", "198.51.100.79", "2001:db8:1::4f"),
    ],
)
def test_machine_has_the_address_of_its_number_on_the_segment(
    shape: str, machine: str, segment: str, ipv4: str, ipv6: str
) -> None:
    spec = SHAPES[shape]

    assert spec.addresses(machine, segment=segment) == (IPv4Address(ipv4), IPv6Address(ipv6))
    assert spec.address(machine, segment=segment) == IPv4Address(ipv4)


def test_address_on_a_segment_without_a_port_is_a_key_error_that_names_both() -> None:
    with pytest.raises(KeyError, match="client has no port on lan"):
        SHAPES["routed"].addresses("client", segment="lan")


def test_shape_has_one_resolver_and_an_engine(shape: LabSpec) -> None:
    assert sum(machine.resolver for machine in shape.machines) == 1
    assert shape.resolver == shape.address(next(machine.name for machine in shape.machines if machine.resolver))
    assert shape.machine("host").engine


def test_shape_gives_no_address_twice(shape: LabSpec) -> None:
    given = [
        address
        for machine in shape.machines
        for port in machine.ports
        for address in shape.addresses(machine.name, segment=port.segment)
    ]

    assert len(given) == len(set(given))


def test_shape_uses_documentation_addresses_only(shape: LabSpec) -> None:
    for segment in shape.segments:
        for network in (segment.ipv4, segment.ipv6):
            assert any(network.version == known.version and _inside(network, known) for known in DOCUMENTATION)


def test_shape_is_closed_in_itself(shape: LabSpec) -> None:
    """Every port's segment and every gateway exist, and a gateway shares its client's first segment."""
    names = {machine.name for machine in shape.machines}
    segments = {segment.name for segment in shape.segments}

    assert len(names) == len(shape.machines)
    for machine in shape.machines:
        assert {port.segment for port in machine.ports} <= segments
        if machine.gateway:
            assert shape.machine(machine.gateway).router
            assert shape.addresses(machine.gateway, segment=machine.ports[0].segment)


def test_roles_are_told_apart() -> None:
    assert {machine.name: machine.role for machine in SHAPES["routed"].machines} == {
        "host": "engine",
        "router": "router",
        "client": "client",
        "resolver": "resolver",
    }
    assert SHAPES["fabric"].machine("store").role == "store"


def _inside(network: IPv4Network | IPv6Network, known: IPv4Network | IPv6Network) -> bool:
    return network.network_address in known and network.broadcast_address in known
