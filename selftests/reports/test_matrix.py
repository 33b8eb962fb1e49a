"""A matrix for readers: squares, what is wrong in them, the terminal and the page, each from the matrix alone."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from netfacts.model.errors import UsageError
from netfacts.model.matrix import Cell, Kind, Matrix, Protocol, Rule, Station, Way
from netfacts.model.verdict import Outcome
from reports.matrix import (
    JSON,
    NAME,
    by_group,
    by_relation,
    by_station,
    faults,
    headline,
    render,
    require_place,
    subject,
    write,
)
from reports.matrix_terminal import render as in_terminal
from selftests.reports.conftest import RUN
from selftests.reports.test_report_page import GOLDENS, NASTY, Parsed, assert_inert, outside_style_and_script

RULES = (
    Rule(outcome=Outcome.CONNECTED, why="They share a network.", facts=("icc.same-net-ip",)),
    Rule(outcome=Outcome.NAME_NOT_FOUND, why="No name resolves.", facts=("dns.not-default-bridge", "dns.scope")),
    Rule(outcome=Outcome.UNREACHABLE, also=(Outcome.TIMED_OUT,), why="There is no route.", facts=("remote.x",)),
)


def stations(boxes: int) -> tuple[Station, ...]:
    own = "198.51.100.10"
    host = Station(name="host", machine="host", host_address=own, address=own, known_as="host.lab")
    return (
        host,
        *(
            Station(
                name=f"box{number}",
                machine="host",
                host_address=host.address,
                address=f"172.16.0.{number + 1}",
                known_as=f"box{number}-4f2a",
                network="bridge",
                kind=Kind.BRIDGE,
                port=20000 + number if number == 1 else 0,
            )
            for number in range(1, boxes + 1)
        ),
    )


def cells(row: tuple[Station, ...]) -> tuple[Cell, ...]:
    """All as expected: by address everybody is reached, by name the host alone."""
    found = []
    for source in row:
        for destination in row:
            for way in (Way.ADDRESS, Way.NAME):
                rule = 1 if way is Way.NAME and destination.kind else 0
                outcome = RULES[rule].outcome
                found += [
                    Cell(
                        source=source.name,
                        destination=destination.name,
                        protocol=protocol,
                        way=way,
                        rule=rule,
                        expected=outcome,
                        observed=outcome,
                        agrees=True,
                    )
                    for protocol in Protocol
                ]
    return tuple(found)


def sample(boxes: int = 2, **changes: object) -> Matrix:
    row = stations(boxes)
    matrix = Matrix(
        netfacts="0.1.0",
        at="2026-03-01T02:14:05.000+00:00",
        kernel="6.1.0-18-amd64",
        lab="hosts-2",
        engine=msgspec.structs.replace(RUN.engine, flags=[]),
        networks=("bridge",),
        took_s={"lab": 1.25, "containers": 3.0, "probing": 0.5},
        rules=RULES,
        stations=row,
        cells=cells(row),
    )
    return msgspec.structs.replace(matrix, **changes)


def spoil(matrix: Matrix, source: str, destination: str, *ways: Way, seen: Outcome, by: str = "") -> Matrix:
    """The same matrix in which one does not reach the other as expected."""
    changed = [
        msgspec.structs.replace(cell, observed=seen, by=by, agrees=False, tries=2)
        if (cell.source, cell.destination) == (source, destination) and cell.way in ways
        else cell
        for cell in matrix.cells
    ]
    return msgspec.structs.replace(matrix, cells=tuple(changed))


def wrong() -> Matrix:
    matrix = spoil(sample(), "box1", "box2", Way.ADDRESS, seen=Outcome.TIMED_OUT)
    return spoil(matrix, "host", "box1", Way.NAME, seen=Outcome.CONNECTED, by="box2")


def printed(matrix: Matrix, width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        console.print(in_terminal(matrix, Path("/out/matrix.html"), console=console))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


# -- squares


def test_square_says_who_reaches_whom_in_which_way() -> None:
    grid = by_station(wrong())

    assert grid.labels == (("host", 1), ("box1", 1), ("box2", 1))
    assert grid.groups == ("", "bridge on host", "bridge on host")
    expected = [[square.expected for square in row if square] for row in grid.squares]
    observed = [[square.observed for square in row if square] for row in grid.squares]
    assert expected == [["AN", "A·", "A·"]] * 3
    # What another has answered was not reached.
    assert observed == [["AN", "A·", "A·"], ["AN", "A·", "··"], ["AN", "A·", "A·"]]
    marked = [
        (from_, to, square.wrong)
        for from_, row in enumerate(grid.squares)
        for to, square in enumerate(row)
        if square and square.wrong
    ]
    assert marked == [(0, 1, 3), (1, 2, 3)]


def test_groups_are_the_machines_and_the_containers_of_a_network_and_host() -> None:
    grid = by_group(wrong())

    assert grid.labels == (("host", 1), ("bridge on host", 2))
    assert not any(grid.groups)
    (_, to_boxes), (_, among) = grid.squares
    assert to_boxes is not None
    assert among is not None
    assert (among.expected, among.observed, among.wrong, among.total) == ("A·", "a·", 3, 24)
    assert "tcp by name: connected to box2, expected name_not_found" in to_boxes.words


def test_way_that_only_some_protocols_take_is_a_small_letter() -> None:
    matrix = sample()
    changed = [
        msgspec.structs.replace(cell, observed=Outcome.REFUSED, agrees=False)
        if (cell.source, cell.destination, cell.protocol, cell.way) == ("host", "host", Protocol.UDP, Way.NAME)
        else cell
        for cell in matrix.cells
    ]

    square = by_station(msgspec.structs.replace(matrix, cells=tuple(changed))).squares[0][0]

    assert square is not None
    assert (square.expected, square.observed, square.wrong) == ("AN", "An", 1)


def test_relations_are_as_few_however_many_hosts_there_are() -> None:
    row = stations(6)
    far = tuple(msgspec.structs.replace(one, machine="host2") if number > 3 else one for number, one in enumerate(row))
    matrix = spoil(sample(6, stations=far), "box1", "box6", Way.ADDRESS, seen=Outcome.TIMED_OUT)

    found = [
        (one.source, one.destination, one.where, one.square.total, one.square.wrong) for one in by_relation(matrix)
    ]

    assert found == [
        ("machines", "machines", "same host", 6, 0),
        ("machines", "bridge", "same host", 18, 0),
        ("machines", "bridge", "other hosts", 18, 0),
        ("bridge", "machines", "same host", 18, 0),
        ("bridge", "bridge", "same host", 108, 0),
        ("bridge", "bridge", "other hosts", 108, 3),
        ("bridge", "machines", "other hosts", 18, 0),
    ]


def test_many_groups_are_shown_as_relations() -> None:
    row = tuple(msgspec.structs.replace(one, machine=f"host{number}") for number, one in enumerate(stations(16)))
    matrix = spoil(sample(16, stations=row), "box1", "box6", Way.ADDRESS, seen=Outcome.TIMED_OUT)

    said = printed(matrix, width=80)

    assert "…" not in said
    assert [line.split()[:2] for line in said.splitlines() if "other hosts" in line] == [
        ["machines", "bridge"],
        ["bridge", "machines"],
        ["bridge", "bridge"],
    ]
    assert re.search(r"bridge +bridge +other hosts +A· +✗a· +1440 +3$", said, re.MULTILINE)


@pytest.mark.parametrize(("width", "tables", "marks"), [(160, 1, 12), (80, 2, 12), (70, 0, 12), (40, 0, 2)])
def test_squares_that_do_not_fit_are_shown_by_group_or_as_relations(width: int, tables: int, marks: int) -> None:
    row = tuple(msgspec.structs.replace(one, machine=f"host{number}") for number, one in enumerate(stations(12)))
    matrix = sample(12, stations=row)
    for number in range(1, 13):
        matrix = spoil(matrix, "box1", f"box{number}", Way.ADDRESS, seen=Outcome.TIMED_OUT)

    said = printed(matrix, width)

    squares = said[: said.index("A reached")]
    assert "…" not in squares
    assert squares.count("✗") == marks
    for number in range(1, 13):
        rows = re.findall(rf"^box{number} +bridge on host{number} +{number + 1} AN", squares, re.MULTILINE)
        assert len(rows) == tables


# -- what is wrong


def test_cells_that_are_wrong_alike_are_one_fault() -> None:
    by_name, dropped = faults(wrong(), most=9)

    assert (by_name.source, by_name.destination, by_name.asked) == ("host", "box1", "tcp, udp, icmp by name")
    assert (by_name.example.seen, by_name.number) == ("connected to box2", 3)
    assert (dropped.asked, dropped.example.seen) == ("tcp, udp, icmp by address", "timed_out")
    assert dropped.rule is RULES[0]


def test_many_faults_are_told_by_group() -> None:
    matrix = sample(6)
    for number in range(2, 7):
        matrix = spoil(matrix, "box1", f"box{number}", Way.ADDRESS, seen=Outcome.TIMED_OUT)

    (fault,) = faults(matrix, most=3)

    assert (fault.source, fault.destination, fault.number) == ("bridge on host", "bridge on host", 15)


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        (sample(), "All 54 cells are as expected on Docker Engine 20.10.24"),
        (wrong(), "6 of 54 cells are not as expected on Docker Engine 20.10.24"),
        (sample(cells=()), "Nobody asked anybody on Docker Engine 20.10.24"),
    ],
    ids=["right", "wrong", "empty"],
)
def test_matrix_is_told_in_one_sentence(matrix: Matrix, said: str) -> None:
    assert headline(matrix) == said


def test_subject_names_what_was_changed() -> None:
    matrix = sample(publish=True, routes=True, changes=("host ip link set eth0 down",))

    assert subject(matrix) == (
        "hosts-2: 1 machine, 2 containers, on bridge, ports published, with routes to the containers, "
        "after `host ip link set eth0 down`"
    )


# -- terminal


@pytest.mark.parametrize(("name", "matrix"), [("matrix", wrong()), ("matrix-many", sample(20))])
def test_terminal_is_as_its_golden(name: str, matrix: Matrix) -> None:
    golden = GOLDENS / f"{name}.txt"
    made = printed(matrix) + "\n"

    if os.environ.get("NETFACTS_UPDATE_GOLDENS"):
        golden.write_text(made, "utf-8")
    assert made == golden.read_text("utf-8")


def test_terminal_marks_wrong_squares_alone() -> None:
    # The first is the legend's.
    assert printed(sample()).count("✗") == 1
    assert printed(wrong()).count("✗") == 1 + 4


def test_terminal_shows_many_faults_as_a_number() -> None:
    matrix = sample(30)
    for number in range(1, 31):
        for way, seen in ((Way.ADDRESS, Outcome.TIMED_OUT), (Way.NAME, Outcome.RESOLVER_FAILED)):
            matrix = spoil(matrix, "host", f"box{number}", way, seen=seen)

    # One line for each way, as all of these are of one group, beside the square and the legend.
    assert printed(matrix).count("✗") == 2 + 2


# -- page


@pytest.mark.parametrize(("name", "matrix"), [("matrix", wrong()), ("matrix-many", sample(15))])
def test_page_is_as_its_golden(name: str, matrix: Matrix) -> None:
    golden = GOLDENS / f"{name}.html"
    made = outside_style_and_script(render(matrix))

    if os.environ.get("NETFACTS_UPDATE_GOLDENS"):
        golden.write_text(made, "utf-8")
    assert made == golden.read_text("utf-8")


@pytest.mark.parametrize("text", NASTY)
def test_page_shows_what_it_is_given_as_text(text: str) -> None:
    matrix = spoil(sample(changes=(text,)), "box1", "box2", Way.ADDRESS, seen=Outcome.CONNECTED, by=text)
    row = [msgspec.structs.replace(one, known_as=text) for one in matrix.stations]

    parsed = Parsed(render(msgspec.structs.replace(matrix, stations=tuple(row))))

    assert_inert(parsed)
    assert parsed.text.count(text) >= 3


def test_matrix_is_written_beside_its_page_and_can_be_read_again(tmp_path: Path) -> None:
    matrix = wrong()

    page = write(matrix, tmp_path / "a" / "b")

    assert page == tmp_path / "a" / "b" / NAME
    assert msgspec.json.decode((page.parent / JSON).read_bytes(), type=Matrix) == matrix
    # For who reads it otherwise, all cells say it.
    written = msgspec.json.decode((page.parent / JSON).read_bytes())["cells"]
    assert [cell["agrees"] for cell in written].count(True) == len(matrix.cells) - len(matrix.wrong)
    assert page.read_text("utf-8") == render(matrix)


def test_folder_that_can_not_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UsageError):
        write(sample(), tmp_path / "file")
    with pytest.raises(UsageError, match="this is no folder"):
        require_place(tmp_path / "file" / "below")
    require_place(tmp_path / "a" / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
