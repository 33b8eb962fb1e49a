"""`netfacts run` and `netfacts sabotage`: pytest is the engine, this is the comfortable face."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from rich.console import Console

from netfacts.cli.interrupt import end_at_once
from netfacts.cli.session import TARGETS, Session, new_folder
from netfacts.engine import KINDS
from netfacts.model.errors import UsageError
from reports.page import write
from reports.record import locate, read
from reports.terminal import show

SELECT = typer.Option(
    "", "-k", metavar="EXPR", help="Only facts whose id, area or check matches: `-k 'dns and not scope'`."
)
WORKERS = typer.Option(
    -1,
    "-n",
    metavar="N",
    help="Labs at the same time; 0 runs all in one process.",
    show_default="2 × cores, at most 4; with --from 4 ×, at most 8",
)
_Engine = typer.Option("auto", "--engine", "-e", metavar="SPEC", help=f"{KINDS}.")
_From = typer.Option(
    "", "--from", metavar="SPEC", help="An engine whose place --engine takes, with all that it has built."
)
_Restart = typer.Option(
    False, "--restart", help="With --from: containers are stopped and started again, instead of kept running."
)
_Shard = typer.Option(
    "", "--shard", metavar="I/N", help="Only the I-th of N shares of the facts: `netfacts merge` makes one run of all."
)
_Share = typer.Option("", "--shard", metavar="I/N", help="Only the I-th of N shares of the facts.")
_Shuffle = typer.Option(
    None,
    "--shuffle",
    metavar="SEED",
    help="Run the checks in an order made of this number, to see that none depends on those before it.",
)
_TARGETS = "; ".join(f"{name}: {what}" for name, what in TARGETS.items())
_Target = typer.Option("embedded", "--target", metavar="TARGET", help=f"Where the labs are. {_TARGETS}.")
_SshConfig = typer.Option(
    "", "--ssh-config", metavar="FILE", help="With --target ssh://…: the configuration that ssh reads."
)
_KeepLab = typer.Option(
    False, "--keep-lab", help="Stop at the first check that does not conform, and keep its lab: `netfacts lab shell`."
)
_Out = typer.Option(
    None, "--out", metavar="DIR", help="Folder for record and page.", show_default="reports/out/<run-id>"
)


def run(
    select: str = SELECT,
    engine: str = _Engine,
    predecessor: str = _From,
    restart: bool = _Restart,
    shard: str = _Shard,
    shuffle: int | None = _Shuffle,
    target: str = _Target,
    ssh_config: str = _SshConfig,
    workers: int = WORKERS,
    keep_lab: bool = _KeepLab,
    out: Path | None = _Out,
) -> int:
    """Put the facts to an engine: record, page, JUnit and Allure results."""
    session = Session(
        out=(out or new_folder()).resolve(),
        engine=engine,
        predecessor=predecessor,
        restart=restart,
        target=target,
        ssh_config=str(Path(ssh_config).resolve()) if ssh_config else "",
        select=select,
        shard=shard,
        shuffle=shuffle,
        workers=workers,
        keep_lab=keep_lab,
        # Seconds that a look at a few facts is not to wait for; of several shards the first looks for all.
        portrait=not select and not predecessor and target == "embedded" and shard.partition("/")[0] in ("", "1"),
    )
    return _run(session)


def sabotage(
    select: str = SELECT,
    engine: str = _Engine,
    target: str = _Target,
    shard: str = _Share,
    workers: int = WORKERS,
    out: Path | None = _Out,
) -> int:
    """Break the engine or the lab in every known way: each time the check must say `deviates`."""
    folder = (out or new_folder()).resolve()
    session = Session(
        out=folder, engine=engine, target=target, select=select, shard=shard, workers=workers, sabotage=True
    )
    return _run(session)


def _run(session: Session) -> int:
    # Until its plugins are there; one of them is to answer.
    end_at_once()
    status = int(pytest.main(session.arguments()))
    if status != UsageError.exit_code and (session.out / "record.jsonl").exists():
        show(read(locate(session.out)), write(session.out), console=Console())
    return status
