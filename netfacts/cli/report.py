"""`netfacts report`: render a record, an upgrade or a comparison again, or a record so that it may be published."""

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
from reports.record import NAME, locate, read
from reports.redact import redact

_SHORTEST_WORD = 3

_Place = typer.Argument(
    ..., metavar="DIR", help="A run's folder or its record.jsonl; the folder of an upgrade or of a comparison."
)
_Redact = typer.Option(
    False,
    "--redact",
    help="Write a record and a page without host names, addresses, MACs and paths to another folder.",
)
_Out = typer.Option(
    None, "--out", metavar="DIR", help="With --redact: the folder to make.", show_default="<run folder>-redacted"
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
    """Write a redacted record and its page to a folder that is not there yet.

    Raises: UsageError for what is no run, for words too short to tell from others, and for a folder that is there.
    """
    if upgrade.is_one(place):
        raise UsageError(
            "an upgrade or a comparison is redacted run by run",
            where=str(place),
            remedy="`netfacts report RUN --redact` for each of its runs, then `netfacts compare` for a page of two",
        )
    if short := [word for word in words if len(word) < _SHORTEST_WORD]:
        raise UsageError(
            f"--also {short[0]!r} would go from the middle of other words",
            remedy=f"give a word of {_SHORTEST_WORD} characters or more",
        )
    record = redact(read(locate(place)), hosts=[socket.gethostname()], words=words)
    source = locate(place).resolve().parent
    folder = _make(out or source.with_name(f"{source.name}-redacted"))
    text = b"".join(msgspec.json.encode(line) + b"\n" for line in lines(record)).decode()
    html.replace(folder / NAME, text, what="a redacted record", remedy="--out DIR, a folder of yours")
    terminal.show(record, write(folder), console=console)
    console.print(
        "[dim]not copied:[/] captures, JUnit's and Allure's results. Read the page before you publish it: names that "
        "netfacts can't know, such as those of other machines, go with --also NAME.",
        highlight=False,
    )


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
