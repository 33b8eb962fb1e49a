"""Small matrices of live labs: all as expected, and wrong where a rule has gone or come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from netfacts import catalogue
from netfacts.cli.matrix import Clock, look
from netfacts.engine import Installation
from netfacts.lab.kernel import has
from netfacts.model.fact import engine_version
from netfacts.model.lab import hosts
from netfacts.model.matrix import Cell, Kind, Protocol, Way
from netfacts.model.verdict import Expected, Outcome
from netfacts.topology import LiveLab
from netfacts.topology.crowd import Member, apart, gather
from selftests.probe.conftest import ENGINE

_KINDS = (Kind.BRIDGE, Kind.USER)


@pytest.fixture(scope="module")
def live(installation: Installation) -> Iterator[LiveLab]:
    """Two hosts behind and before a router. Undo: ended."""
    lab = LiveLab(apart(hosts(2, routed=True)), installation)
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def members(live: LiveLab) -> list[Member]:
    return gather(live, _KINDS, 4)


def asked(live: LiveLab, members: list[Member]) -> list[Cell]:
    """All cells of a lab."""
    known, version = catalogue.load(), engine_version(live.engines["host"].info.version)

    def holds(fact: str) -> bool:
        return known[fact].expectation(version).outcome is Expected.HOLDS

    _, cells = look(members, list(Protocol), holds, routes=False, clock=Clock())
    return cells


def wrong(cells: list[Cell]) -> set[tuple[str, str, Outcome]]:
    """Who does not reach whom as expected by TCP to the address, and what came of it."""
    return {
        (cell.source, cell.destination, cell.observed)
        for cell in cells
        if not cell.agrees and (cell.protocol, cell.way) == (Protocol.TCP, Way.ADDRESS)
    }


def test_containers_are_dealt_to_hosts_and_then_to_networks(members: list[Member]) -> None:
    groups = [member.station.group for member in members]

    assert groups == [
        "host",
        "host2",
        "client",
        "bridge on host",
        "bridge on host2",
        "user on host",
        "user on host2",
    ]
    addresses = [member.station.address for member in members]
    assert len(set(addresses)) == len(addresses)


def test_lab_that_is_left_alone_is_as_expected(live: LiveLab, members: list[Member]) -> None:
    cells = asked(live, members)

    assert len(cells) == 7 * 7 * 6
    assert [cell for cell in cells if not cell.agrees] == []
    # Of each kind of outcome there is something, so that none is there by chance.
    seen = {cell.observed for cell in cells}
    assert {Outcome.CONNECTED, Outcome.TIMED_OUT, Outcome.UNREACHABLE, Outcome.NAME_NOT_FOUND} <= seen


def test_rule_that_drops_makes_cells_wrong(live: LiveLab, members: list[Member]) -> None:
    (box,) = (member.station for member in members if member.station.group == "bridge on host")
    rule = f"-s {box.address} -p tcp -d {live.lab['client'].address} -j DROP"
    live.engines["host"].run(f"iptables -I DOCKER-USER {rule}")
    try:
        cells = asked(live, members)
    finally:
        live.engines["host"].run(f"iptables -D DOCKER-USER {rule}")

    assert wrong(cells) == {(box.name, "client", Outcome.TIMED_OUT)}
    # It was asked for twice, since a machine that is busy drops packets, too; and by name it is just so.
    faults = [cell for cell in cells if not cell.agrees]
    assert {(cell.protocol, cell.way, cell.tries) for cell in faults} == {
        (Protocol.TCP, Way.ADDRESS, 2),
        (Protocol.TCP, Way.NAME, 2),
    }


def test_rule_that_opens_makes_cells_wrong(live: LiveLab, members: list[Member]) -> None:
    near, far = (member.station for member in members if member.station.group in ("bridge on host", "user on host"))
    # From 28 on networks are kept apart in the raw table, too.
    chains = ("-t filter {} DOCKER-USER", "-t raw {} PREROUTING")
    for chain in chains:
        live.engines["host"].run(f"iptables {chain.format('-I')} -j ACCEPT")
    try:
        cells = asked(live, members)
    finally:
        for chain in chains:
            live.engines["host"].run(f"iptables {chain.format('-D')} -j ACCEPT")

    assert wrong(cells) == {(near.name, far.name, Outcome.CONNECTED), (far.name, near.name, Outcome.CONNECTED)}


def test_answer_of_another_is_wrong_and_says_whose_it_is(live: LiveLab, members: list[Member]) -> None:
    (box,) = (member.station for member in members if member.station.group == "user on host2")
    rule = f"-p udp -d {live.lab['host2'].address} -j DNAT --to {box.address}"
    client = live.lab["client"].address
    live.engines["host2"].run(f"iptables -t nat -I PREROUTING -s {client} {rule}")
    try:
        cells = asked(live, members)
    finally:
        live.engines["host2"].run(f"iptables -t nat -D PREROUTING -s {client} {rule}")

    faults = [cell for cell in cells if not cell.agrees]
    assert {(cell.source, cell.destination, cell.protocol) for cell in faults} == {("client", "host2", Protocol.UDP)}


@pytest.mark.skipif(ENGINE.startswith("version:"), reason="one engine is enough")
def test_overlay_and_internal_network_are_as_expected(installation: Installation) -> None:
    if not has("vxlan"):
        pytest.skip("an overlay needs vxlan")
    live = LiveLab(apart(hosts(3)), installation)
    try:
        members = gather(live, (Kind.OVERLAY, Kind.INTERNAL, Kind.HOST), 9, publish=True, routes=True)

        cells = asked(live, members)
    finally:
        live.close()

    assert [cell for cell in cells if not cell.agrees] == []
