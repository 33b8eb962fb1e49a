"""`netfacts upgrade`: what changes when one engine takes another's place."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import typer
from rich.console import Console

from netfacts.cli.run import SELECT, WORKERS
from netfacts.cli.session import ROOT, Session, new_folder
from netfacts.engine import KINDS
from netfacts.model.errors import NetfactsError, UsageError
from netfacts.run import foreground
from reports import upgrade as page
from reports.change_terminal import show

_From = typer.Option(..., "--from", metavar="SPEC", help=f"The engine of today: {KINDS}.")
_To = typer.Option(..., "--to", metavar="SPEC", help="The engine of tomorrow.")
_Fresh = typer.Option(False, "--fresh-only", help="Compare fresh engines only: nothing is carried over or rolled back.")
_Out = typer.Option(
    None, "--out", metavar="DIR", help="Folder for the runs and the page.", show_default="reports/out/upgrade-<time>"
)
_INTERRUPTED = 2
# An outer limit for a run that hangs although each of its checks has a limit.
_RUN_S = 3600.0


@dataclass(frozen=True)
class _Run:
    """One of an upgrade's runs: the folder that it goes to, what it is in words, and the session."""

    role: str
    words: str
    session: Session


def upgrade(
    before: str = _From,
    after: str = _To,
    select: str = SELECT,
    fresh_only: bool = _Fresh,
    workers: int = WORKERS,
    out: Path | None = _Out,
) -> int:
    """Say what changes from one engine to another: fresh, for what already runs, and on the way back."""
    folder = (out or new_folder("upgrade-")).resolve()
    console = Console()
    runs = [
        run for run in _runs(before, after, select, workers, folder) if not (fresh_only and run.session.predecessor)
    ]
    for number, run in enumerate(runs, start=1):
        console.print(f"[bold]{number}/{len(runs)}[/bold] {run.words}", highlight=False)
        status = _carry_out(run.session)
        if status == UsageError.exit_code:
            return status
        if not (run.session.out / "record.jsonl").exists():
            raise NetfactsError(
                "a run of the upgrade left no record", where=str(run.session.out), returned=f"exit status {status}"
            )
        if status == _INTERRUPTED:
            return _INTERRUPTED
    sheet = page.read(folder)
    show(sheet, page.write(folder), console=console)
    return sheet.exit_code


def _runs(before: str, after: str, select: str, workers: int, folder: Path) -> Iterator[_Run]:
    def session(role: str, engine: str, predecessor: str = "") -> Session:
        return Session(out=folder / role, engine=engine, predecessor=predecessor, select=select, workers=workers)

    yield _Run("before", f"a fresh {before}", replace(session("before", before), portrait=True))
    yield _Run("after", f"a fresh {after}", replace(session("after", after), portrait=True))
    yield _Run(
        "carried",
        f"{after} takes over what {before} has built: containers keep running",
        session("carried", after, before),
    )
    yield _Run(
        "back",
        f"and back: {before} takes over what {after} has built, and starts the containers again",
        # Docker documents no way back: what is asked is whether what stands can be had again.
        replace(session("back", before, after), restart=True, brief=True),
    )


def _carry_out(session: Session) -> int:
    """Run a session in a process of its own: pytest is made for one session per process."""
    argv = [sys.executable, "-m", "pytest", *session.arguments()]
    return foreground(argv, cwd=ROOT, env=dict(os.environ), timeout_s=_RUN_S)
