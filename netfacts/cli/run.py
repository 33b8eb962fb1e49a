"""`netfacts run` and `netfacts sabotage`: pytest is the engine, this is the comfortable face."""

from __future__ import annotations

import datetime
import os
import secrets
from pathlib import Path

import pytest
import typer
from rich.console import Console

from netfacts.catalogue.load import FACTS
from netfacts.engine import KINDS
from netfacts.model.errors import UsageError
from reports.page import write
from reports.record import locate, read
from reports.terminal import show

_ROOT = FACTS.parent
_MOST_WORKERS = 4

_Select = typer.Option(
    "", "-k", metavar="EXPR", help="Only facts whose id, area or check matches: `-k 'dns and not scope'`."
)
_Engine = typer.Option("auto", "--engine", "-e", metavar="SPEC", help=f"{KINDS}.")
_Target = typer.Option("embedded", "--target", metavar="TARGET", help="Where the labs are: embedded.")
_Workers = typer.Option(
    -1, "-n", metavar="N", help="Labs at the same time; 0 runs all in one process.", show_default="cores, at most 4"
)
_Out = typer.Option(
    None, "--out", metavar="DIR", help="Folder for record and page.", show_default="reports/out/<run-id>"
)


def run(
    select: str = _Select, engine: str = _Engine, target: str = _Target, workers: int = _Workers, out: Path = _Out
) -> int:
    """Put the facts to an engine: record, page, JUnit and Allure results."""
    return _run(select, engine, target, workers, out, sabotage=False)


def sabotage(
    select: str = _Select, engine: str = _Engine, target: str = _Target, workers: int = _Workers, out: Path = _Out
) -> int:
    """Break the engine or the lab in every known way: each time the check must say `deviates`."""
    return _run(select, engine, target, workers, out, sabotage=True)


def _run(select: str, engine: str, target: str, workers: int, out: Path | None, *, sabotage: bool) -> int:
    suites = _ROOT / "suites"
    if not suites.is_dir():
        raise UsageError("the suites are not there", where=str(suites), remedy="run netfacts from its checkout")
    if target != "embedded":
        raise UsageError(f"{target!r} is no target", remedy="the target is `embedded`")
    if workers < 0:
        workers = min(os.cpu_count() or 1, _MOST_WORKERS)
    folder = (out or _new_folder()).resolve()
    arguments = [
        str(suites),
        f"--rootdir={_ROOT}",
        f"--confcutdir={_ROOT}",
        f"--engine={engine}",
        f"--target={target}",
        f"--out={folder}",
        "--progress",
        # Neither a cache in the checkout nor folders in /tmp: a run leaves its own folder and nothing else.
        "-p",
        "no:cacheprovider",
        "-p",
        "no:tmpdir",
    ]
    if select:
        arguments += ["-k", select]
    if sabotage:
        arguments.append("--sabotage")
    if workers:
        # worksteal: a worker that crashes takes only its own check with it.
        arguments += ["-n", str(workers), "--dist", "worksteal"]
    status = int(pytest.main(arguments))
    if status != UsageError.exit_code and (folder / "record.jsonl").exists():
        show(read(locate(folder)), write(folder), console=Console())
    return status


def _new_folder() -> Path:
    now = datetime.datetime.now(datetime.UTC)
    return _ROOT / "reports" / "out" / f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
