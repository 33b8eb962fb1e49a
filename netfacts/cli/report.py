"""`netfacts report`: render a record again."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console

from reports.page import write
from reports.record import locate, read
from reports.terminal import show

_Place = typer.Argument(..., metavar="DIR", help="A run's folder or its record.jsonl.")


def report(place: Path = _Place) -> None:
    """Make a run's page again from its record."""
    record = read(locate(place))
    show(record, write(place), console=Console())
