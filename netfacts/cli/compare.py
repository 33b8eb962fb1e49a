"""`netfacts compare`: what changed between two runs."""

from __future__ import annotations

import datetime
import secrets
from pathlib import Path

import typer
from rich.console import Console

from reports import upgrade
from reports.change_terminal import show

_OUT = Path(upgrade.__file__).parent / "out"

_Before = typer.Argument(..., metavar="A", help="The run before: its folder or its record.jsonl.")
_After = typer.Argument(..., metavar="B", help="The run after.")
_Out = typer.Option(
    None,
    "--out",
    metavar="DIR",
    help="Folder for compare.json and the page.",
    show_default="reports/out/compare-<time>",
)
_Json = typer.Option(False, "--json", help="Print compare.json instead of the summary.")


def compare(before: Path = _Before, after: Path = _After, out: Path | None = _Out, json: bool = _Json) -> int:
    """Say fact by fact what changed between two runs: regressions, documented changes, what was lost. Needs no root."""
    folder = (out or _new_folder()).resolve()
    sheet = upgrade.compare(before, after, folder)
    page = upgrade.write_compare(sheet, folder)
    if json:
        print(upgrade.encode(sheet), end="")
    else:
        show(sheet, page, console=Console())
    return sheet.exit_code


def _new_folder() -> Path:
    now = datetime.datetime.now(datetime.UTC)
    return _OUT / f"compare-{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
