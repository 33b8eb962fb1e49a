"""Who is expected to reach whom: the rules of a matrix, one pair of stations after the other."""

from __future__ import annotations

import itertools

import pytest

from netfacts import catalogue
from netfacts.catalogue import Catalogue
from netfacts.model.fact import engine_version
from netfacts.model.matrix import Kind, Protocol, Rule, Station, Way
from netfacts.model.verdict import Expected, Outcome
from netfacts.verdict.reach import expected, questions

OLD, NEW = "20.10.24", "28.5.2"
C, R, T, U = Outcome.CONNECTED, Outcome.RESOLVER_FAILED, Outcome.TIMED_OUT, Outcome.UNREACHABLE
UNKNOWN = Outcome.NAME_NOT_FOUND


@pytest.fixture(scope="module")
def known() -> Catalogue:
    return catalogue.load()


def station(words: str) -> Station:
    """A station from such words as "host", or "user host2" for a container, with a number to tell it from another."""
    network, _, machine = words.rpartition(" ")
    kind = Kind(network.partition("-")[0]) if network else None
    name = words.replace(" ", "-") if network else machine
    machine = machine.partition("#")[0]
    return Station(name=name, machine=machine, host_address="", address="", known_as=name, network=network, kind=kind)


def rule_of(
    known: Catalogue,
    source: Station,
    destination: Station,
    way: Way = Way.ADDRESS,
    *,
    engine: str = NEW,
    protocol: Protocol = Protocol.TCP,
    routes: bool = False,
) -> Rule:
    version = engine_version(engine)

    def holds(fact: str) -> bool:
        return known[fact].expectation(version).outcome is Expected.HOLDS

    return expected(source, destination, protocol, way, holds=holds, routes=routes)


@pytest.mark.parametrize(
    ("source", "destination", "by_address", "by_name"),
    [
        ("host", "host", C, C),
        ("host", "host2", C, C),
        ("client", "host", C, C),
        ("host", "bridge host", C, UNKNOWN),
        ("host", "user host", C, UNKNOWN),
        ("host", "internal host", C, UNKNOWN),
        ("host", "overlay host", U, UNKNOWN),
        ("host", "bridge host2", U, UNKNOWN),
        ("client", "bridge host", U, UNKNOWN),
        ("client", "host host", C, UNKNOWN),
        ("bridge host", "bridge host", C, UNKNOWN),
        ("bridge host", "bridge host#2", C, UNKNOWN),
        ("bridge host", "bridge host2", U, UNKNOWN),
        ("bridge host", "user host", T, UNKNOWN),
        ("bridge host", "internal host", T, UNKNOWN),
        ("bridge host", "overlay host", U, UNKNOWN),
        ("bridge host", "host", C, C),
        ("bridge host", "host2", C, C),
        ("bridge host", "client", C, C),
        ("bridge host", "host host", C, UNKNOWN),
        ("user host", "user host", C, C),
        ("user host", "user host#2", C, C),
        ("user host", "user host2", U, UNKNOWN),
        ("user host", "user-2 host", T, UNKNOWN),
        ("user host", "bridge host", T, UNKNOWN),
        ("user host", "client", C, C),
        ("overlay host", "overlay host2", C, C),
        ("overlay host", "overlay-2 host2", U, UNKNOWN),
        ("overlay host", "user host", T, UNKNOWN),
        ("overlay host", "user host2", U, UNKNOWN),
        ("overlay host", "client", C, C),
        ("host host", "bridge host", C, UNKNOWN),
        ("host host", "host2", C, C),
        ("internal host", "internal host#2", C, C),
        ("internal host", "internal host2", U, R),
        ("internal host", "host", U, R),
        ("internal host", "client", U, R),
        ("internal host", "bridge host", U, R),
    ],
)
def test_who_reaches_whom_depends_on_where_they_are(
    known: Catalogue, source: str, destination: str, by_address: Outcome, by_name: Outcome
) -> None:
    pair = station(source), station(destination)

    for protocol in Protocol:
        assert rule_of(known, *pair, protocol=protocol).outcome is by_address
        assert rule_of(known, *pair, Way.NAME, protocol=protocol).outcome is by_name


@pytest.mark.parametrize(
    ("destination", "outcome"),
    [("host", C), ("host2", T), ("client", T), ("bridge host", T), ("bridge host2", U), ("internal host#2", C)],
)
def test_internal_network_has_a_default_route_on_old_engines(
    known: Catalogue, destination: str, outcome: Outcome
) -> None:
    assert rule_of(known, station("internal host"), station(destination), engine=OLD).outcome is outcome


@pytest.mark.parametrize(
    ("engine", "protocol", "port", "outcome"),
    [
        (OLD, Protocol.TCP, 0, T),
        (NEW, Protocol.TCP, 0, T),
        (OLD, Protocol.UDP, 20001, C),
        (NEW, Protocol.UDP, 20001, T),
        (OLD, Protocol.ICMP, 20001, T),
    ],
)
@pytest.mark.parametrize("source", ["client", "host2", "bridge host2"])
def test_with_a_route_published_ports_alone_are_open_and_from_28_none(
    known: Catalogue, source: str, engine: str, protocol: Protocol, port: int, outcome: Outcome
) -> None:
    plain = station("bridge host")
    box = Station(**{name: getattr(plain, name) for name in plain.__struct_fields__} | {"port": port})

    assert rule_of(known, station(source), box, engine=engine, protocol=protocol, routes=True).outcome is outcome


@pytest.mark.parametrize(("source", "outcome"), [("client", C), ("host", C), ("user host", C), ("internal host", U)])
def test_published_port_is_reached_by_all_who_reach_the_host(known: Catalogue, source: str, outcome: Outcome) -> None:
    assert rule_of(known, station(source), station("bridge host"), Way.PUBLISHED).outcome is outcome


@pytest.mark.parametrize(
    ("source", "engine", "outcome"),
    [
        ("bridge host", OLD, T),
        ("bridge host", "26.1.5", T),
        ("bridge host", NEW, C),
        ("user host", OLD, T),
        ("user host2", OLD, C),
        ("host", OLD, C),
        ("host host", OLD, C),
        ("internal host", OLD, T),
        ("internal host2", OLD, T),
    ],
)
def test_docker_proxy_answered_neighbours_by_udp_from_another_address(
    known: Catalogue, source: str, engine: str, outcome: Outcome
) -> None:
    pair = station(source), station("bridge host#2")

    assert rule_of(known, *pair, Way.PUBLISHED, engine=engine, protocol=Protocol.UDP).outcome is outcome


def test_published_ports_are_asked_for_only_where_there_are_some() -> None:
    box = station("bridge host")
    open_box = Station(name="b", machine="host", host_address="", address="", known_as="b", network="bridge", port=1)

    assert {way for _, way in questions(box)} == {Way.ADDRESS, Way.NAME}
    assert (Protocol.UDP, Way.PUBLISHED) in questions(open_box)
    assert (Protocol.ICMP, Way.PUBLISHED) not in questions(open_box)


def test_every_rule_names_facts_of_the_catalogue(known: Catalogue) -> None:
    stations = [station(f"{kind} {host}") for kind in Kind for host in ("host", "host2")]
    stations += [station("host"), station("client"), station("user-2 host")]

    rules = {
        rule_of(known, source, destination, way, engine=engine, protocol=protocol, routes=routes)
        for source, destination in itertools.product(stations, repeat=2)
        for way in Way
        for engine in (OLD, "26.1.5", NEW)
        for protocol in Protocol
        for routes in (False, True)
    }

    assert all(rule.facts for rule in rules)
    assert {known[fact].id for rule in rules for fact in rule.facts} == {fact for rule in rules for fact in rule.facts}
