"""Labs as declared: addresses, and shapes that can be built at all."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

import pytest

from netfacts.model.lab import FEWEST_HOSTS, MOST_HOSTS, SHAPES, LabSpec, hosts, rank
from netfacts.model.lab import shape as shaped

DOCUMENTATION = [ip_network(one) for one in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")]


_MANY = [f"{kind}hosts-{count}" for kind in ("", "routed-") for count in (2, 3, 11, 16)]


@pytest.fixture(params=[*SHAPES, *_MANY])
def shape(request: pytest.FixtureRequest) -> LabSpec:
    return shaped(request.param)


@pytest.mark.parametrize(
    ("shape", "machine", "segment", "ipv4", "ipv6"),
    [
        ("one-host", "host", "", "198.51.100.10", "2001:db8:1::a"),
        ("one-host", "resolver", "lan", "198.51.100.53", "2001:db8:1::35"),
        ("two-hosts", "host2", "", "198.51.100.11", "2001:db8:1::b"),
        ("host-and-outside", "client", "lan", "198.51.100.20", "2001:db8:1::14"),
        ("routed", "router", "", "198.51.100.1", "2001:db8:1::1"),
        ("routed", "router", "far", "203.0.113.1", "2001:db8:2::1"),
        ("routed", "client", "far", "203.0.113.20", "2001:db8:2::14"),
        ("fabric", "host3", "", "203.0.113.12", "2001:db8:2::c"),
        ("fabric", "store", "lan", "198.51.100.79", "2001:db8:1::4f"),
        ("hosts-16", "host16", "lan", "198.51.100.25", "2001:db8:1::19"),
        ("hosts-2", "client", "", "198.51.100.40", "2001:db8:1::28"),
        ("routed-hosts-3", "host2", "lan", "198.51.100.11", "2001:db8:1::b"),
        ("routed-hosts-3", "host3", "far", "203.0.113.10", "2001:db8:2::a"),
        ("routed-hosts-3", "client", "far", "203.0.113.40", "2001:db8:2::28"),
    ],
)
def test_machine_has_the_address_of_its_number_on_the_segment(
    shape: str, machine: str, segment: str, ipv4: str, ipv6: str
) -> None:
    spec = shaped(shape)

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


@pytest.mark.parametrize("count", [FEWEST_HOSTS, 7, MOST_HOSTS])
@pytest.mark.parametrize("routed", [False, True])
def test_shape_of_many_hosts_has_so_many_engines_and_is_found_by_its_name(count: int, routed: bool) -> None:
    spec = hosts(count, routed=routed)

    engines = [machine for machine in spec.machines if machine.engine]
    assert [machine.name for machine in engines] == ["host", *(f"host{number}" for number in range(2, count + 1))]
    assert [machine.name for machine in spec.machines if machine.role == "client"] == ["client"]
    assert shaped(spec.name) == spec


def test_hosts_behind_a_router_are_half_on_either_side() -> None:
    spec = hosts(5, routed=True)

    where = {machine.name: machine.ports[0].segment for machine in spec.machines if machine.engine}
    assert where == {"host": "lan", "host2": "lan", "host3": "lan", "host4": "far", "host5": "far"}
    assert {machine.gateway for machine in spec.machines if not machine.router} == {"router"}


@pytest.mark.parametrize("name", ["", "hosts", "hosts-1", "hosts-17", "hosts-02", "hosts-2 ", "far-hosts-4", "Hosts-2"])
def test_name_that_no_lab_has_is_a_key_error(name: str) -> None:
    with pytest.raises(KeyError):
        shaped(name)


@pytest.mark.parametrize("count", [1, 17])
def test_number_of_hosts_is_bounded(count: int) -> None:
    with pytest.raises(ValueError, match=f"2 to 16 hosts, and not {count}"):
        hosts(count)


def test_shapes_are_ranked_from_the_most_used_to_the_most_costly() -> None:
    row = [*SHAPES, "hosts-2", "hosts-3", "hosts-16", "routed-hosts-2", "routed-hosts-10"]

    assert sorted([*row[6:], *row[:6]], key=rank) == row


def _inside(network: IPv4Network | IPv6Network, known: IPv4Network | IPv6Network) -> bool:
    return network.network_address in known and network.broadcast_address in known
