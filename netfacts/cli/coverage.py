"""How `netfacts facts coverage` looks in a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from netfacts.catalogue.coverage import Tally, selected
from netfacts.catalogue.notes import Hosts, Note


def coverage(notes: tuple[Note, ...], hosts: Hosts | None) -> Group:
    """Count the claims about so many hosts, note by note; below stands what is open."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("note", no_wrap=True)
    for title in ("claims", "by facts", "open", "untestable", "of the testable"):
        table.add_column(title, justify="right")
    for note in notes:
        table.add_row(f"{note.number}  {note.title}", *_cells(Tally.of(selected(note, hosts))))
    table.add_section()
    total = Tally.of(claim for note in notes for claim in selected(note, hosts))
    table.add_row("all", *_cells(total), style="bold")
    return Group(table, _open(notes, hosts))


def _cells(tally: Tally) -> list[str]:
    return [*map(str, (tally.claims, tally.shown, tally.open, tally.untestable)), tally.share]


def _open(notes: tuple[Note, ...], hosts: Hosts | None) -> Text:
    text = Text()
    for note in notes:
        for claim in selected(note, hosts):
            if claim.open:
                text.append(f"\n{note.number}:{claim.lines}  {claim.says}\n")
                text.append(f"  {claim.open}\n", style="dim")
    return Text("\nOpen", style="bold").append_text(text) if text else text
