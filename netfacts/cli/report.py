"""`netfacts report`: render a run, an upgrade or a comparison again, or so that it may be published."""

from __future__ import annotations

import socket
from pathlib import Path

import msgspec
import typer
from rich.console import Console

from netfacts.model.errors import UsageError
from reports import change_terminal, html, terminal, upgrade
from reports.merge import lines
from reports.page import write
from reports.record import NAME, Record, locate, read
from reports.redact import redact, redact_all

_SHORTEST_WORD = 3

_Place = typer.Argument(
    ..., metavar="DIR", help="A run's folder or its record.jsonl; the folder of an upgrade or of a comparison."
)
_Redact = typer.Option(
    False,
    "--redact",
    help="Write records and pages without host names, addresses, MACs and paths to another folder.",
)
_Out = typer.Option(
    None, "--out", metavar="DIR", help="With --redact: the folder to make.", show_default="<folder>-redacted"
)
_Also = typer.Option(
    [],
    "--also",
    metavar="WORD",
    help="With --redact: another word that goes, wherever it stands; may be given several times.",
    show_default=False,
)


def report(place: Path = _Place, redacted: bool = _Redact, out: Path | None = _Out, also: list[str] = _Also) -> None:
    """Make a page again: of a run from its record, of an upgrade from its runs, of a comparison from its JSON."""
    console = Console()
    if redacted:
        _redact(place, out, also, console)
        return
    if out is not None or also:
        raise UsageError(f"{'--out' if out is not None else '--also'} says how to redact", remedy="add --redact")
    if upgrade.is_one(place):
        sheet = upgrade.read(place)
        change_terminal.show(sheet, upgrade.write(place), console=console)
        return
    record = read(locate(place))
    terminal.show(record, write(place), console=console)


def _redact(place: Path, out: Path | None, words: list[str], console: Console) -> None:
    """Write a redacted run, or all runs of an upgrade, with their pages to a folder that is not there yet.

    Raises: UsageError for what is neither, for words too short to tell from others, and for a folder that is there.
    """
    if short := [word for word in words if len(word) < _SHORTEST_WORD]:
        raise UsageError(
            f"--also {short[0]!r} would go from the middle of other words",
            remedy=f"give a word of {_SHORTEST_WORD} characters or more",
        )
    hosts = [socket.gethostname()]
    if upgrade.is_one(place):
        source = upgrade.folder_of(place).resolve()
        runs = redact_all(upgrade.records(source), hosts=hosts, words=words)
        folder = _make(out or _beside(source))
        for role, record in runs.items():
            _write(record, _make(folder / role))
        change_terminal.show(upgrade.read(folder), upgrade.write(folder), console=console)
    else:
        source = locate(place).resolve().parent
        record = redact(read(locate(place)), hosts=hosts, words=words)
        folder = _make(out or _beside(source))
        terminal.show(record, _write(record, folder), console=console)
    console.print(
        "[dim]not copied:[/] captures, JUnit's and Allure's results. Read the page before you publish it: names that "
        "netfacts can't know, such as those of other machines, go with --also NAME.",
        highlight=False,
    )


def _beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-redacted")


def _write(record: Record, folder: Path) -> Path:
    """Write a record and its page into a folder, and give the page."""
    text = b"".join(msgspec.json.encode(line) + b"\n" for line in lines(record)).decode()
    html.replace(folder / NAME, text, what="a redacted record", remedy="--out DIR, a folder of yours")
    return write(folder)


def _make(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UsageError(
            "a redacted record goes to a folder of its own",
            where=str(folder),
            returned="it is there already",
            remedy="--out DIR, a folder that is not there yet",
        ) from None
    except OSError as error:
        raise UsageError(
            "could not make the folder of a redacted record",
            where=str(folder),
            returned=error.strerror or str(error),
            remedy="--out DIR, in a folder of yours",
        ) from None
    return folder
