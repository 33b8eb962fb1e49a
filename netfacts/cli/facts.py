"""`netfacts facts`: the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from netfacts.catalogue import load
from netfacts.catalogue.chapters import load_chapters
from netfacts.catalogue.coverage import PAGE as COVERAGE
from netfacts.catalogue.coverage import load_notes, selected
from netfacts.catalogue.coverage import markdown as coverage_page
from netfacts.catalogue.notes import Hosts, read_notes, verify
from netfacts.catalogue.regressions import PAGE as REGRESSIONS
from netfacts.catalogue.regressions import how_caught, load_regressions
from netfacts.catalogue.regressions import markdown as regressions_page
from netfacts.catalogue.sabotages import read_sabotages
from netfacts.cli.coverage import coverage
from netfacts.cli.fact import sheet
from netfacts.model.errors import UsageError

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
    """Show one fact: what it claims, since and until when, how to see and to break it, and where it comes from."""
    fact = load()[fact_id]
    Console().print(sheet(fact, read_notes(), read_sabotages(of=fact.id).get(fact.id, [])))


@app.command("coverage")
def show_coverage(
    hosts: Annotated[Hosts | None, typer.Option(help="Only claims that one host can show, or several.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Make docs/coverage.md anew.")] = False,
    notes: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Compare with the notes themselves, which are in this folder.")
    ] = None,
) -> None:
    """Count the claims of the notes that facts show. Exits with 1 while one that could be shown is open."""
    catalogue = load()
    found = load_notes(catalogue)
    if notes and (wrong := [line for note in found for line in verify(note, notes)]):
        raise UsageError("what is said about the notes is not so", returned="\n".join(wrong))
    Console().print(coverage(found, hosts))
    if write:
        _write(COVERAGE, coverage_page(found, catalogue))
    if any(claim.open for note in found for claim in selected(note, hosts)):
        raise typer.Exit(1)


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
        _write(REGRESSIONS, regressions_page(found))


@app.command("support")
def show_support(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN", help="Runs: their folders or their record.jsonl; folders of upgrades.", show_default=False
        ),
    ],
    write: Annotated[bool, typer.Option("--write", help="Put the table into docs/support-matrix.md.")] = False,
) -> None:
    """Make a table of several runs: which systems were exercised on which engine and kernel, which not, and why."""
    from reports import support

    records = support.read(runs)
    table = support.markdown(records, load_chapters(load()))
    if write:
        support.require_whole(records)
        Console(soft_wrap=True).print(Text(str(support.write(table, support.PAGE))))
    else:
        print(table, end="")


@app.command("docs")
def write_guide(
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where to write it.", show_default="reports/out/guide.html")
    ] = None,
) -> None:
    """Write the catalogue as a guide to Docker networking: one HTML page, chapter by chapter."""
    # Templates take longer to import than all else of the catalogue's commands.
    from reports import guide

    page = guide.render(load_chapters(load()), read_notes(), read_sabotages())
    Console(soft_wrap=True).print(Text(str(guide.write(out or guide.PLACE, page))))


def _write(target: Path, page: str) -> None:
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UsageError("could not write the page", where=str(target), returned=error.strerror or "") from None
