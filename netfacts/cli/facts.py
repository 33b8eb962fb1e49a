"""`netfacts facts`: the catalogue."""

from __future__ import annotations

import typer
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from netfacts.catalogue import load
from netfacts.catalogue.regressions import PAGE, how_caught, load_regressions, markdown
from netfacts.model.errors import UsageError
from netfacts.model.fact import Accuracy, Carried, Fact

app = typer.Typer(help="The catalogue of facts.", no_args_is_help=True)

_CARRIED = {
    Carried.RUNNING: "as expected of the engine that runs then, whoever built it",
    Carried.STARTED: "as expected of the engine that built it; once started again, as of the engine that runs then",
    Carried.INSTALLED: "as expected of the first engine that was started on the machine",
    Carried.FAILS: "does not hold any more, whichever engine takes over",
    Carried.FAILS_LIVE: "does not hold any more where containers keep running, whichever engine takes over",
    Carried.HOLDS: "holds, whichever engine takes over",
}


@app.command("list")
def list_facts(area: str = typer.Argument("", help="Only this area, such as dns.")) -> None:
    """List the facts, by area."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("area", "fact", "claim"):
        table.add_column(title, no_wrap=title != "claim")
    for fact in load():
        if area in ("", fact.area):
            table.add_row(fact.area, fact.id, fact.claim)
    if not table.row_count:
        areas = dict.fromkeys(fact.area for fact in load())
        raise UsageError(f"there is no area {area!r}", remedy=f"one of {', '.join(areas)}")
    Console().print(table)


@app.command("show")
def show_fact(fact_id: str = typer.Argument(..., metavar="ID", help="A fact's id, such as dns.scope.")) -> None:
    """Show one fact: what it claims, since and until when, where it comes from, and how to see it by hand."""
    fact = load()[fact_id]
    Console().print(Group(_head(fact), _expected(fact), _foot(fact)))


@app.command("regressions")
def list_regressions(
    write: bool = typer.Option(False, "--write", help="Make docs/upgrade-regressions.md anew."),
) -> None:
    """List regressions of the past, and which facts would have caught them."""
    found = load_regressions(load())
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("issue", "broke in", "what", "caught by"):
        table.add_column(title, no_wrap=title == "broke in")
    for one in found:
        caught = Text("\n".join((*one.caught_by, *filter(None, [how_caught(one)]))))
        about = (Text(text) for text in ("\n".join(one.issues), one.broke_in, one.what))
        table.add_row(*about, caught or Text(one.reason, style="dim"))
    Console().print(table)
    if write:
        _write(markdown(found))


def _write(page: str) -> None:
    try:
        PAGE.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError("could not write the page", where=str(PAGE), returned=error.strerror or "") from None


def _head(fact: Fact) -> Text:
    text = Text()
    text.append(f"{fact.id}\n", style="bold")
    text.append(f"{fact.claim}\n")
    if fact.note:
        title = "Note" if fact.accuracy is Accuracy.TRUE else f"The notes are {fact.accuracy.value} here"
        text.append(f"\n{title}\n", style="bold yellow" if fact.accuracy is not Accuracy.TRUE else "bold")
        text.append(f"  {fact.note}\n")
    return text


def _expected(fact: Fact) -> Table:
    table = Table(
        title="Expected",
        title_style="bold",
        title_justify="left",
        box=None,
        show_header=False,
        padding=(0, 1, 0, 2),
        pad_edge=True,
    )
    for title in ("engine", "outcome", "source"):
        last = title == "source"
        table.add_column(title, no_wrap=not last, overflow="fold", style="dim" if last else "")
    for expectation in fact.expect:
        cells = (f"engine {expectation.engine}", expectation.outcome.value, expectation.source)
        table.add_row(*map(Text, cells))
    return table


def _foot(fact: Fact) -> Text:
    text = Text()
    text.append("\nCarried over to another engine\n", style="bold")
    text.append(f"  {_CARRIED[fact.carried]}\n")
    text.append("\nBy hand\n", style="bold")
    for command in fact.show:
        text.append(f"  {command}\n")
    text.append("\nSources\n", style="bold")
    for source in fact.sources:
        text.append(f"  {source}\n")
    text.append("\nLab    ", style="bold")
    text.append(f"{fact.lab}" + (f", needs {', '.join(fact.needs)}" if fact.needs else "") + "\n")
    return text
