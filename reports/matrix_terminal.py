"""A matrix for a terminal: expected and observed side by side, wrong squares marked, and what is wrong in words."""

from __future__ import annotations

from pathlib import Path

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from netfacts.model.matrix import Matrix
from reports.matrix import LEGEND, Grid, Square, by_group, by_relation, by_station, faults, headline, subject
from reports.wording import count, duration, visible

# More stations than this are shown by groups, and more groups as relations: rows would not fit beside each other.
_MOST_STATIONS = 14
_MOST_FAULTS = 20
# rich says how wide a table would be up to the width that it is given.
_WIDEST = 10_000
# Groups beyond this leave no room for how many cells are wrong.
_MOST_COUNTED = 8
# Questions of one station to another: three by each way.
_ONE_PAIR = 9


def show(matrix: Matrix, page: Path, *, console: Console) -> None:
    """Print a matrix; `page` is named as the place to read on."""
    console.print(render(matrix, page, console=console))


def render(matrix: Matrix, page: Path, *, console: Console) -> RenderableType:
    """Give a matrix as something that this console can print."""
    parts: list[RenderableType] = [
        Text(),
        Text(visible(headline(matrix)), style="bold red" if matrix.wrong else "bold green"),
        Text(visible(subject(matrix)), style="dim"),
        Text(),
        _squares(matrix, console),
        Text(),
        Text(LEGEND, style="dim"),
    ]
    if matrix.wrong:
        parts += [Text(), *_faults(matrix)]
    return Group(*parts, Text(), *_footer(matrix, page))


def _squares(matrix: Matrix, console: Console) -> RenderableType:
    """Give them by station, or by group, or by relation: the first that is small enough to be read."""
    unbounded = console.options.update_width(_WIDEST)
    few = len(matrix.stations) <= _MOST_STATIONS
    for grid in [by_station(matrix), by_group(matrix)] if few else [by_group(matrix)]:
        tables = [_table("expected", grid, seen=False), _table("observed", grid, seen=True)]
        fits = all(console.measure(table, options=unbounded).maximum <= console.width for table in tables)
        if fits and len(grid.labels) <= _MOST_STATIONS:
            return Columns(tables, padding=(0, 4))
    return _relations(matrix)


def _relations(matrix: Matrix) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in ("from", "to", "on", "expected", "observed"):
        table.add_column(title, overflow="fold")
    for title in ("cells", "wrong"):
        table.add_column(title, justify="right", overflow="fold")
    for relation in by_relation(matrix):
        square = relation.square
        table.add_row(
            Text(visible(relation.source)),
            Text(visible(relation.destination)),
            Text(relation.where, style="dim"),
            _square(square, seen=False, counted=False),
            _square(square, seen=True, counted=False),
            str(square.total),
            Text(str(square.wrong or "·"), style="bold red" if square.wrong else "dim"),
        )
    return table


def _table(title: str, grid: Grid, *, seen: bool) -> Table:
    table = Table(
        title=title,
        title_style="bold",
        title_justify="left",
        box=None,
        pad_edge=False,
        header_style="dim",
        padding=(0, 1, 0, 0),
    )
    table.add_column("from", no_wrap=True)
    if any(grid.groups):
        table.add_column("", no_wrap=True, style="dim")
    table.add_column("", justify="right", style="dim")
    for number in range(len(grid.labels)):
        table.add_column(str(number + 1), no_wrap=True)
    counted = len(grid.labels) <= _MOST_COUNTED
    for number, ((label, size), group, row) in enumerate(zip(grid.labels, grid.groups, grid.squares, strict=True), 1):
        name = f"{label} × {size}" if size > 1 else label
        table.add_row(
            Text(visible(name)),
            *([Text(visible(group))] if any(grid.groups) else []),
            str(number),
            *(_square(square, seen=seen, counted=counted) for square in row),
        )
    return table


def _square(square: Square | None, *, seen: bool, counted: bool) -> Text:
    if square is None:
        return Text()
    if not seen:
        return Text(square.expected, style="dim")
    if not square.wrong:
        return Text(square.observed, style="green")
    much = f" {square.wrong}/{square.total}" if counted and square.total > _ONE_PAIR else ""
    return Text(f"✗{square.observed}{much}", style="bold red")


def _faults(matrix: Matrix) -> list[RenderableType]:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for title in ("from", "to", "asked", "expected", "observed"):
        table.add_column(title, overflow="fold")
    found = faults(matrix, most=_MOST_FAULTS)
    for fault in found[:_MOST_FAULTS]:
        cell = fault.example
        times = f" × {fault.number}" if fault.number > 1 else ""
        table.add_row(
            Text(visible(fault.source)),
            Text(visible(fault.destination)),
            Text(fault.asked),
            Text(str(cell.expected)),
            Text(visible(f"✗ {cell.seen}{times}"), style="bold red"),
        )
    left = len(found) - _MOST_FAULTS
    return [table, *([Text(f"… and {left} more: see the page", style="dim")] if left > 0 else [])]


def _footer(matrix: Matrix, page: Path) -> list[RenderableType]:
    engine, took = matrix.engine, matrix.took_s
    probing = took.get("probing", 0.0)
    rate = f", {len(matrix.cells) / probing:.0f} cells a second" if probing else ""
    steps = ", ".join(f"{step} {duration(seconds)}" for step, seconds in took.items())
    return [
        Text(
            visible(f"engine  {engine.version} ({engine.spec}), {engine.firewall} · kernel {matrix.kernel}"),
            style="dim",
        ),
        Text(f"took    {steps} ({count(len(matrix.cells), 'cell')}{rate})", style="dim"),
        Text.assemble(("page    ", "dim"), (visible(str(page)), "bold")),
    ]
