"""A matrix as a reader sees it: squares of who reaches whom, what is wrong in them, and the page."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from netfacts.model.errors import UsageError
from netfacts.model.matrix import Cell, Matrix, Rule, Station, Way
from netfacts.model.verdict import Outcome
from reports import html
from reports.wording import count

NAME = "matrix.html"
JSON = "matrix.json"
MARKS = {Way.ADDRESS: "A", Way.NAME: "N", Way.PUBLISHED: "P"}
"""How it is shown that one reaches another: by all protocols; in small letters by some."""
NEVER = "·"
LEGEND = (
    "A reached by address · N by name · P at the published port · lower case: by some protocols, or some of the pairs"
    " · a dot: not at all · ✗ not as expected"
)

# As many stations as fit twice beside each other, and as a page can hold.
_SMALL, _LARGE = 14, 160
_MOST_FAULTS = 200
_REMEDY = "give another folder with --out"


@dataclass(frozen=True)
class Square:
    """How those of one row reach those of one column: what was expected and what was seen, in `MARKS`, cell by cell."""

    expected: str
    observed: str
    wrong: int
    total: int
    words: str


@dataclass(frozen=True)
class Grid:
    """Squares by row and column, of which there are the same: `labels`, each with its number of stations.

    `groups` has the group of each, "" where the label is that.
    """

    labels: tuple[tuple[str, int], ...]
    groups: tuple[str, ...]
    squares: tuple[tuple[Square | None, ...], ...]


@dataclass(frozen=True)
class Relation:
    """How all of one kind reach all of another on the `same host`, or on `other hosts`: a kind is a network's name."""

    source: str
    destination: str
    where: str
    square: Square


@dataclass(frozen=True)
class Fault:
    """Cells that are wrong in the same way: `example` is the first of `number`, and `asked` says what they asked."""

    source: str
    destination: str
    asked: str
    example: Cell
    number: int
    rule: Rule


def by_station(matrix: Matrix) -> Grid:
    """Give a square for each pair of stations."""
    return _grid(matrix, lambda station: station.name)


def by_group(matrix: Matrix) -> Grid:
    """Give a square for each pair of groups: machines, and the containers of one network and host."""
    return _grid(matrix, lambda station: station.group)


def by_relation(matrix: Matrix) -> list[Relation]:
    """Give a square for all machines and all containers of a network together: few, however many hosts there are."""
    known = {station.name: station for station in matrix.stations}
    cells: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in matrix.cells:
        source, destination = known[cell.source], known[cell.destination]
        where = "same host" if source.machine == destination.machine else "other hosts"
        cells.setdefault((source.network or "machines", destination.network or "machines", where), []).append(cell)
    return [Relation(*key, _square(alike)) for key, alike in cells.items()]


def faults(matrix: Matrix, *, most: int) -> list[Fault]:
    """Give what is wrong, station by station, or group by group where that were more than `most`."""
    found = _faults(matrix, lambda station: station.name)
    return found if len(found) <= most else _faults(matrix, lambda station: station.group)


def _faults(matrix: Matrix, label: Callable[[Station], str]) -> list[Fault]:
    names = _labels(matrix.stations, label)
    alike: dict[tuple[str, str, Way, int, str], list[Cell]] = {}
    for cell in matrix.wrong:
        key = (names[cell.source], names[cell.destination], cell.way, cell.rule, cell.seen)
        alike.setdefault(key, []).append(cell)
    return [
        Fault(
            source=source,
            destination=destination,
            asked=f"{', '.join(dict.fromkeys(map(str, (cell.protocol for cell in cells))))} by {way}",
            example=cells[0],
            number=len(cells),
            rule=matrix.rules[rule],
        )
        for (source, destination, way, rule, _), cells in alike.items()
    ]


def headline(matrix: Matrix) -> str:
    """Give the matrix in one sentence."""
    on = f"on Docker Engine {matrix.engine.version}"
    total, wrong = len(matrix.cells), len(matrix.wrong)
    if wrong:
        return f"{wrong} of {count(total, 'cell')} {'is' if wrong == 1 else 'are'} not as expected {on}"
    return f"All {total} cells are as expected {on}" if total else f"Nobody asked anybody {on}"


def subject(matrix: Matrix) -> str:
    """Say what the matrix is of."""
    containers = sum(station.kind is not None for station in matrix.stations)
    words = [f"{matrix.lab}: {count(len(matrix.stations) - containers, 'machine')}, {count(containers, 'container')}"]
    if containers:
        words.append(f"on {', '.join(matrix.networks)}")
    words += ["ports published"] if matrix.publish else []
    words += ["with routes to the containers"] if matrix.routes else []
    words += [f"after `{change}`" for change in matrix.changes]
    return ", ".join(words)


def render(matrix: Matrix) -> str:
    """Give the page of a matrix, the same byte for byte whenever it is asked for."""
    used = Counter(cell.rule for cell in matrix.cells)
    return html.page(
        "matrix.html.j2",
        styles=("page.css", "matrix.css"),
        matrix=matrix,
        headline=headline(matrix),
        subject=subject(matrix),
        legend=LEGEND,
        groups=by_group(matrix),
        stations=by_station(matrix),
        faults=faults(matrix, most=_MOST_FAULTS),
        rules=[(rule, used[number]) for number, rule in enumerate(matrix.rules)],
        small=_SMALL,
        large=_LARGE,
        most=_MOST_FAULTS,
    )


def require_place(folder: Path) -> None:
    """Raises: UsageError for a folder that is not there and can't be made, or can't be written to."""
    there = next(one for one in (folder, *folder.parents) if os.path.exists(one))
    if not there.is_dir():
        raise UsageError("this is no folder", where=str(there), remedy=_REMEDY)
    if not os.access(there, os.W_OK):
        raise UsageError("this folder can't be written to", where=str(there), remedy=_REMEDY)


def write(matrix: Matrix, folder: Path) -> Path:
    """Write matrix.json and the page of a matrix into a folder, and give where the page is.

    Raises: UsageError for a folder that can't be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        trouble = error.strerror or str(error)
        raise UsageError("could not make the folder", where=str(folder), returned=trouble, remedy=_REMEDY) from None
    text = msgspec.json.encode(matrix).decode() + "\n"
    html.replace(folder / JSON, text, what="the matrix", remedy=_REMEDY)
    return html.replace(folder / NAME, render(matrix), what="the page of the matrix", remedy=_REMEDY)


def _labels(stations: Iterable[Station], label: Callable[[Station], str]) -> dict[str, str]:
    return {station.name: label(station) for station in stations}


def _grid(matrix: Matrix, label: Callable[[Station], str]) -> Grid:
    names = _labels(matrix.stations, label)
    cells: dict[tuple[str, str], list[Cell]] = {}
    for cell in matrix.cells:
        cells.setdefault((names[cell.source], names[cell.destination]), []).append(cell)
    labels = Counter(names.values())
    groups = {names[station.name]: station.group for station in matrix.stations}
    return Grid(
        labels=tuple(labels.items()),
        groups=tuple("" if groups[label] == label else groups[label] for label in labels),
        squares=tuple(
            tuple(_square(cells[row, column]) if (row, column) in cells else None for column in labels)
            for row in labels
        ),
    )


def _square(cells: Sequence[Cell]) -> Square:
    wrong = [cell for cell in cells if not cell.agrees]
    return Square(
        expected=_marks((cell.way, cell.expected) for cell in cells),
        # What another has answered did not reach whom it was for.
        observed=_marks((cell.way, Outcome.UNREACHABLE if cell.by else cell.observed) for cell in cells),
        wrong=len(wrong),
        total=len(cells),
        words="; ".join(f"{cell.protocol} by {cell.way}: {cell.seen}, expected {cell.expected}" for cell in wrong[:6]),
    )


def _marks(outcomes: Iterable[tuple[Way, Outcome]]) -> str:
    reached: dict[Way, list[bool]] = {}
    for way, outcome in outcomes:
        reached.setdefault(way, []).append(outcome is Outcome.CONNECTED)
    return "".join(
        MARKS[way] if all(reached[way]) else MARKS[way].lower() if any(reached[way]) else NEVER
        for way in Way
        if way in reached
    )
