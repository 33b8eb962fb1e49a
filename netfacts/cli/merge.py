"""`netfacts merge`: the runs of several shards become one run."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import typer
from rich.console import Console

from netfacts.cli.session import new_folder
from netfacts.model.errors import UsageError
from netfacts.verdict import Recorder
from reports import merge as shards
from reports.page import write
from reports.record import NAME, Record, locate, read
from reports.summary import exit_code
from reports.terminal import show

_ALLURE = "allure-results"
_JUNIT = "junit.xml"

_Runs = typer.Argument(..., metavar="DIR...", help="The shards' run folders, or their record.jsonl.")
_Out = typer.Option(
    None, "--out", metavar="DIR", help="Folder for record and page.", show_default="reports/out/merged-<time>"
)


def merge(runs: list[Path] = _Runs, out: Path | None = _Out) -> int:
    """Make one run of those of its shards: record, page, JUnit and Allure results. Needs no root."""
    folder = (out or new_folder("merged-")).resolve()
    places = {str(path): locate(path) for path in runs}
    merged = shards.merge({where: read(path) for where, path in places.items()}, run_id=folder.name)
    _begin(folder)
    _write(merged.record, folder)
    sources = {read(path).run.shard: path.parent for path in places.values()}
    _gather(sources, folder)
    for warning in merged.warnings:
        print(f"netfacts: {warning}", file=sys.stderr)
    show(merged.record, write(folder), console=Console())
    if merged.record.end is None:
        raise TypeError("a merged record has its end")
    return exit_code(merged.record.end, merged.record.sabotages)


def _begin(folder: Path) -> None:
    if (folder / NAME).exists():
        raise UsageError(
            "could not write a merged run over what is there",
            where=str(folder / NAME),
            remedy="give another folder by --out, or none for one in reports/out",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            "could not make the merged run's folder",
            where=str(folder),
            returned=error.strerror or "",
            remedy="--out DIR",
        ) from None


def _write(record: Record, folder: Path) -> None:
    with Recorder(folder / NAME) as recorder:
        for line in shards.lines(record):
            recorder.write(line)


def _gather(sources: dict[str, Path], folder: Path) -> None:
    """Put the shards' JUnit files and Allure's results together, where they are there."""
    suites = {shard: source / _JUNIT for shard, source in sorted(sources.items()) if (source / _JUNIT).exists()}
    if suites:
        (folder / _JUNIT).write_bytes(shards.junit({shard: path.read_bytes() for shard, path in suites.items()}))
    for source in sources.values():
        if (source / _ALLURE).is_dir():
            # Every result has a name of its own, a random number.
            shutil.copytree(source / _ALLURE, folder / _ALLURE, dirs_exist_ok=True)
