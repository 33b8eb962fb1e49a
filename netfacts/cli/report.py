"""`netfacts report`: render a record, an upgrade or a comparison again."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console

from reports import change_terminal, terminal, upgrade
from reports.page import write
from reports.record import locate, read

_Place = typer.Argument(
    ..., metavar="DIR", help="A run's folder or its record.jsonl; the folder of an upgrade or of a comparison."
)


def report(place: Path = _Place) -> None:
    """Make a page again: of a run from its record, of an upgrade from its runs, of a comparison from its JSON."""
    console = Console()
    if upgrade.is_one(place):
        sheet = upgrade.read(place)
        change_terminal.show(sheet, upgrade.write(place), console=console)
        return
    record = read(locate(place))
    terminal.show(record, write(place), console=console)
