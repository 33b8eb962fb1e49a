"""`netfacts facts`: the catalogue."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from netfacts.catalogue import load
from netfacts.model.errors import UsageError
from netfacts.model.fact import Accuracy, Fact

app = typer.Typer(help="The catalogue of facts.", no_args_is_help=True)


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
    Console().print(Padding(_text(load()[fact_id]), (0, 0, 1, 0)))


def _text(fact: Fact) -> Text:
    text = Text()
    text.append(f"{fact.id}\n", style="bold")
    text.append(f"{fact.claim}\n")
    if fact.note:
        title = "Note" if fact.accuracy is Accuracy.TRUE else f"The notes are {fact.accuracy.value} here"
        text.append(f"\n{title}\n", style="bold yellow" if fact.accuracy is not Accuracy.TRUE else "bold")
        text.append(f"  {fact.note}\n")
    text.append("\nExpected\n", style="bold")
    for expectation in fact.expect:
        text.append(f"  engine {expectation.engine:18} {expectation.outcome.value}")
        text.append(f"  {expectation.source}\n" if expectation.source else "\n", style="dim")
    text.append("\nBy hand\n", style="bold")
    for command in fact.show:
        text.append(f"  {command}\n")
    text.append("\nSources\n", style="bold")
    for source in fact.sources:
        text.append(f"  {source}\n")
    text.append("\nLab    ", style="bold")
    text.append(f"{fact.lab}" + (f", needs {', '.join(fact.needs)}" if fact.needs else ""))
    return text
