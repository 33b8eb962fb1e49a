"""`netfacts engines`: the cache of engines, of images of applications, and of programs that labs run."""

from __future__ import annotations

import re
from pathlib import Path

import typer
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from netfacts.engine import cache
from netfacts.engine.cache import Entry
from netfacts.engine.packaged import obtain
from netfacts.engine.progress import shown
from netfacts.engine.source import add, cached
from netfacts.engine.stock import PACKAGED
from netfacts.model.errors import UsageError
from reports.wording import visible

app = typer.Typer(
    help="The cache of engines, of images of applications, and of programs that labs run.", no_args_is_help=True
)

_WIDE = 200
_Spec = typer.Argument(
    ...,
    metavar="SPEC",
    help=f"debian:SUITE, ubuntu:SUITE, static:PATH, version:X.Y.Z, {', '.join(PACKAGED)}.",
)
_Doomed = typer.Argument("", metavar="[NAME|SPEC]", help="An engine as `list` shows it; a spec means all of that spec.")
_All = typer.Option(False, "--all", help="All engines.")


@app.command("list")
def list_engines() -> None:
    """List the engines of the cache, the newest first: of each spec a run takes the first."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("name", "spec", "version", "size", "added", "in use"):
        # The name whole, also where the window is narrow: it is there to be copied.
        table.add_column(
            title, no_wrap=title != "spec", overflow="fold", justify="right" if title == "size" else "left"
        )
    for entry in cached():
        manifest = entry.manifest
        table.add_row(
            *(Text(visible(cell)) for cell in (entry.name, manifest.spec, _short(manifest.version))),
            decimal(manifest.size_bytes),
            f"{manifest.added_at.astimezone():%Y-%m-%d %H:%M}",
            "yes" if cache.in_use(entry) else "",
        )
    if not table.row_count:
        _say(f"no engines in {cache.engines()}; `netfacts engines add SPEC` adds one, and so does a run")
        return
    console = Console()
    # A line per engine for whoever reads this through a pipe.
    (console if console.is_terminal else Console(width=_WIDE)).print(table)


def _short(version: str) -> str:
    """A version without the distribution's part, which stands in the name."""
    return re.split(r"[+~]", version, maxsplit=1)[0]


@app.command("add")
def add_engine(spec: str = _Spec) -> None:
    """Get what a spec names now, and add it beside what is there; runs take it from then on."""
    before = {entry.name for entry in cached()}
    with shown() as progress:
        packaged = PACKAGED.get(spec)
        entry = obtain(packaged, fresh=True, progress=progress) if packaged else add(spec, progress=progress)
    new = "added" if entry.name not in before else "the same is there already:"
    what = packaged.main if packaged else "Docker Engine"
    _say(f"{new} {entry.name} ({what} {entry.manifest.version}, {decimal(entry.manifest.size_bytes)})")


@app.command("remove")
def remove_engines(doomed: str = _Doomed, everything: bool = _All) -> None:
    """Remove engines from the cache, but none that a run is using."""
    if bool(doomed) == everything:
        raise UsageError("what is to be removed?", remedy="name an engine or a spec, or say --all")
    cache.sweep()
    used = []
    for entry in _chosen(doomed):
        if everything and cache.in_use(entry):
            used.append(entry.name)
            continue
        cache.remove(entry)
        _say(f"removed {entry.name} ({decimal(entry.manifest.size_bytes)})")
    if used:
        raise UsageError(
            f"in use, not removed: {', '.join(used)}", remedy="wait for the end of those runs, or end them"
        )


def _chosen(doomed: str) -> list[Entry]:
    entries = cached()
    if not doomed:
        return entries
    kind, _, path = doomed.partition(":")
    spec = f"static:{Path(path).absolute()}" if kind == "static" else doomed
    chosen = [entry for entry in entries if doomed == entry.name or spec == entry.manifest.spec]
    if not chosen:
        names = "\n".join(entry.name for entry in entries)
        raise UsageError(
            f"there is no engine {doomed!r} in the cache",
            where=str(cache.engines()),
            returned=names,
            remedy="`netfacts engines list` shows what there is",
        )
    return chosen


def _say(text: str) -> None:
    Console().print(visible(text), markup=False, highlight=False, soft_wrap=True)
