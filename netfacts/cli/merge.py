"""`netfacts merge`: the runs of several shards become one run."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from pathlib import Path

import typer
from rich.console import Console

from netfacts.catalogue.shard import Shard
from netfacts.cli.session import new_folder
from netfacts.model.errors import UsageError
from netfacts.verdict import Recorder
from reports import merge as shards
from reports.page import write
from reports.record import NAME, Record, locate, read
from reports.terminal import show

_ALLURE = "allure-results"
_CAPTURES = "captures"
_JUNIT = "junit.xml"

_Runs = typer.Argument(..., metavar="DIR...", help="The shards' run folders, or their record.jsonl.")
_Out = typer.Option(
    None, "--out", metavar="DIR", help="Folder for record and page.", show_default="reports/out/merged-<time>"
)


def merge(runs: list[Path] = _Runs, out: Path | None = _Out) -> int:
    """Make one run of those of its shards: record, page, JUnit and Allure results. Needs no root."""
    folder = (out or new_folder("merged-")).resolve()
    records = _read(runs)
    merged = shards.merge({str(path): record for path, record in records.items()}, run_id=folder.name)
    _begin(folder)
    _write(merged.record, folder)
    _gather({Shard.parse(record.run.shard): locate(path).parent for path, record in records.items()}, folder)
    for warning in merged.warnings:
        print(f"netfacts: {warning}", file=sys.stderr)
    show(merged.record, write(folder), console=Console())
    return merged.exit_code


def _read(runs: list[Path]) -> dict[Path, Record]:
    if twice := [str(path) for path, number in Counter(runs).items() if number > 1]:
        raise UsageError("this run is named twice", where=", ".join(twice), remedy="name each shard once")
    return {path: read(path) for path in runs}


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


def _gather(sources: dict[Shard, Path], folder: Path) -> None:
    """Put the shards' JUnit files, Allure's results and captures together, where they are there."""
    ordered = [(str(shard), sources[shard] / _JUNIT) for shard in sorted(sources, key=lambda shard: shard.number)]
    if suites := {shard: path.read_bytes() for shard, path in ordered if path.exists()}:
        (folder / _JUNIT).write_bytes(shards.junit(suites))
    for source in sources.values():
        # Every result of Allure's has a name of its own, a random number, and a capture that of a fact of this shard.
        for name in (_ALLURE, _CAPTURES):
            if (source / name).is_dir():
                shutil.copytree(source / name, folder / name, dirs_exist_ok=True)
