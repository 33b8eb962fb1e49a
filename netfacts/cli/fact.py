"""How `netfacts facts show` shows a fact in a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from netfacts.catalogue.notes import Note
from netfacts.catalogue.sabotages import Sabotage
from netfacts.model.fact import Accuracy, Fact
from reports.wording import CARRIED


def sheet(fact: Fact, notes: tuple[Note, ...], sabotages: list[Sabotage]) -> Group:
    """Say all that is known of a fact."""
    return Group(_head(fact), _expected(fact), _middle(fact), _sabotages(sabotages), _sources(fact, notes), _foot(fact))


def _head(fact: Fact) -> Text:
    text = Text()
    text.append(f"{fact.id}\n", style="bold")
    text.append(f"{fact.claim}\n")
    if fact.note:
        title = "Note" if fact.accuracy is Accuracy.TRUE else f"The notes are {fact.accuracy.value} here"
        text.append(f"\n{title}\n", style="bold yellow" if fact.accuracy is not Accuracy.TRUE else "bold")
        text.append(f"  {fact.note}\n")
    return text


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_style="bold",
        title_justify="left",
        box=None,
        show_header=False,
        padding=(0, 1, 0, 2),
        pad_edge=True,
    )


def _expected(fact: Fact) -> Table:
    table = _table("Expected")
    for title in ("engine", "outcome", "source"):
        last = title == "source"
        table.add_column(title, no_wrap=not last, overflow="fold", style="dim" if last else "")
    for expectation in fact.expect:
        cells = (f"engine {expectation.engine}", expectation.outcome.value, expectation.source)
        table.add_row(*map(Text, cells))
    return table


def _middle(fact: Fact) -> Text:
    text = Text()
    text.append("\nCarried over to another engine\n", style="bold")
    text.append(f"  {CARRIED[fact.carried]}\n")
    text.append("\nBy hand\n", style="bold")
    for command in fact.show:
        text.append(f"  {command}\n")
    return text


def _sabotages(sabotages: list[Sabotage]) -> Table:
    table = _table("How netfacts breaks it")
    table.add_column("title", overflow="fold")
    table.add_column("engines", no_wrap=True, style="dim")
    for sabotage in sabotages:
        table.add_row(Text(sabotage.title), Text(f"engine {sabotage.engines}" if sabotage.engines else ""))
    return table


def _sources(fact: Fact, notes: tuple[Note, ...]) -> Text:
    """List where a fact comes from; below a line of a note, what stands there."""
    text = Text()
    text.append("\nSources\n", style="bold")
    for source in fact.sources:
        text.append(f"  {source}\n")
        for claim in (claim for note in notes for claim in note.said(fact.id, source)):
            text.append(f"    {claim.says}\n", style="dim")
    return text


def _foot(fact: Fact) -> Text:
    text = Text()
    text.append("Lab    ", style="bold")
    text.append(f"{fact.lab}" + (f", needs {', '.join(fact.needs)}" if fact.needs else "") + "\n")
    return text
