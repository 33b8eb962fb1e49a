"""Whatever is killed in mid-run: nothing stays, what was learnt stays, and the rest goes on where it can."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from netfacts.lab.wait import until
from netfacts.model.verdict import Verdict
from reports.record import read
from selftests.whole.conftest import ROOT, Run, Start, held, users
from selftests.whole.test_run import allure, junit


def swept(run: Run) -> None:
    """Assert that `netfacts sweep` leaves no cgroup folder of a run."""
    done = subprocess.run(
        [sys.executable, "-m", "netfacts", "sweep"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "of dead runs removed" in done.stdout
    assert run.cgroups() == []


def links() -> set[str]:
    """The links of this machine's own network namespace."""
    return {path.name for path in Path("/sys/class/net").iterdir()}


def mounts() -> set[str]:
    """The mount points of this machine's own mount namespace."""
    return {line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


# -- Ctrl-C


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_leaves_its_page_and_nothing_else(
    staged: Path, start: Start, workers: str, number: signal.Signals
) -> None:
    run = start(staged, "-n", workers)
    run.until_verdict()
    run.until_waiting()
    namespaces = run.namespaces()
    assert run.named("dockerd ")
    before = users(namespaces)

    if number == signal.SIGINT:
        # A terminal tells the whole foreground group.
        os.killpg(run.process.pid, number)
    else:
        run.process.send_signal(number)

    assert run.wait() == 2
    run.until_nothing_is_left()
    assert held(namespaces, before) == set()
    assert run.cgroups() == []
    record = read(run.out)
    assert record.end is not None
    assert record.end.interrupted
    assert record.interrupted
    assert (record.verdicts[0].fact, record.verdicts[0].verdict) == ("stage.first", Verdict.CONFORMS)
    assert "stage.last" not in {line.fact for line in record.verdicts}
    assert "<h1>Interrupted: " in (run.out / "index.html").read_text()
    assert "Interrupted: " in run.said()
    assert "Traceback" not in run.said()


@pytest.mark.parametrize("workers", ["0", "1"])
@pytest.mark.parametrize("again", ["at once", "while it ends"])
def test_run_that_is_interrupted_twice_still_ends(staged: Path, start: Start, workers: str, again: str) -> None:
    """The impatient press Ctrl-C again; the record stays readable, and nothing is left."""
    run = start(staged, "-n", workers)
    run.until_waiting()
    namespaces = run.namespaces()
    before = users(namespaces)

    os.killpg(run.process.pid, signal.SIGINT)
    if again == "while it ends":
        until(lambda: "ending the labs" in run.said(), what="the first to be heard", timeout_s=30)
    os.killpg(run.process.pid, signal.SIGINT)

    assert run.wait() == 2, run.said()
    run.until_nothing_is_left()
    assert held(namespaces, before) == set()
    record = read(run.out)
    assert record.end is not None
    assert record.interrupted
    assert "<h1>Interrupted: " in (run.out / "index.html").read_text()
    assert "Traceback" not in run.said()
    swept(run)


def test_run_that_is_interrupted_three_times_ends_at_once(staged: Path, start: Start) -> None:
    run = start(staged, "-n", "1")
    run.until_waiting()
    namespaces = run.namespaces()
    before = users(namespaces)

    os.killpg(run.process.pid, signal.SIGINT)
    until(lambda: "ending the labs" in run.said(), what="the first to be heard", timeout_s=30)
    os.killpg(run.process.pid, signal.SIGINT)
    until(lambda: "still ending; once more" in run.said(), what="the second to be answered", timeout_s=30)
    os.killpg(run.process.pid, signal.SIGINT)

    assert run.wait() == -signal.SIGINT, run.said()
    run.until_nothing_is_left()
    assert held(namespaces, before) == set()
    assert read(run.out).interrupted
    swept(run)


# -- SIGKILL


@pytest.mark.parametrize("workers", ["0", "1"])
def test_killed_run_leaves_nothing_but_its_record(staged: Path, start: Start, workers: str) -> None:
    linked, mounted = links(), mounts()
    run = start(staged, "-n", workers)
    run.until_verdict()
    run.until_waiting()
    namespaces = run.namespaces()
    assert len(namespaces) >= 4
    assert run.named("dockerd ")
    assert run.named("netfacts.agent")
    assert run.cgroups()
    before = users(namespaces)

    run.process.kill()

    assert run.wait() == -signal.SIGKILL
    run.until_nothing_is_left()
    assert held(namespaces, before) == set()
    assert links() <= linked
    assert mounts() <= mounted
    record = read(run.out)
    assert record.end is None
    assert [line.fact for line in record.verdicts] == ["stage.first"]
    swept(run)


def test_killed_worker_costs_its_check_alone(staged: Path, start: Start) -> None:
    run = start(staged, "-n", "2")
    worker = run.until_waiting()
    assert worker in run.look()
    assert worker != run.process.pid

    os.kill(worker, signal.SIGKILL)

    assert run.wait() == 3
    run.until_nothing_is_left()
    record = read(run.out)
    assert {line.fact: line.verdict for line in record.verdicts} == {
        "stage.first": Verdict.CONFORMS,
        "stage.waits": Verdict.INCONCLUSIVE,
        "stage.last": Verdict.CONFORMS,
    }
    crashed = next(line for line in record.verdicts if line.fact == "stage.waits")
    assert "the worker that ran it crashed" in crashed.reason
    assert record.end is not None
    assert record.end.facts["inconclusive"] == 1
    assert not record.interrupted
    assert junit(run.out)["stage.waits"] is Verdict.INCONCLUSIVE
    assert allure(run.out)["stage.waits"] is Verdict.INCONCLUSIVE
    assert junit(run.out) == allure(run.out) == {line.fact: line.verdict for line in record.verdicts}
    assert "inconclusive" in run.said()
    swept(run)


def test_killed_workers_are_all_replaced(staged: Path, start: Start) -> None:
    """Nothing hangs when one dies that has nothing to do; what it was to do next is inconclusive at worst."""
    run = start(staged, "-n", "2")
    run.until_verdict()
    waiting = run.until_waiting()
    workers = [pid for pid in run.children() if "netfacts.agent" not in run.look()[pid]]
    assert waiting in workers
    assert len(workers) == 2

    for worker in workers:
        os.kill(worker, signal.SIGKILL)

    assert run.wait() == 3
    run.until_nothing_is_left()
    verdicts = {line.fact: line.verdict for line in read(run.out).verdicts}
    assert verdicts.pop("stage.waits") is Verdict.INCONCLUSIVE
    assert verdicts.keys() == {"stage.first", "stage.last"}
    assert set(verdicts.values()) <= {Verdict.CONFORMS, Verdict.INCONCLUSIVE}
    swept(run)


def test_killed_only_worker_is_replaced(staged: Path, start: Start) -> None:
    run = start(staged, "-n", "1")
    worker = run.until_waiting()

    os.kill(worker, signal.SIGKILL)

    assert run.wait() == 3
    run.until_nothing_is_left()
    assert {line.fact: line.verdict for line in read(run.out).verdicts} == {
        "stage.first": Verdict.CONFORMS,
        "stage.waits": Verdict.INCONCLUSIVE,
        "stage.last": Verdict.CONFORMS,
    }
    assert ElementTree.parse(run.out / "junit.xml").find("testsuite").get("errors") == "1"  # type: ignore[union-attr]
    swept(run)


@pytest.mark.parametrize("workers", ["0", "1"])
def test_killed_agent_costs_its_check_alone(staged: Path, start: Start, workers: str) -> None:
    """The machine is lost with it; the next check gets a new lab."""
    run = start(staged, "-n", workers)
    run.until_waiting()
    (agent,) = run.named("nf-host: ")

    os.kill(agent, signal.SIGKILL)
    run.go()

    assert run.wait() == 3
    run.until_nothing_is_left()
    record = read(run.out)
    assert {line.fact: line.verdict for line in record.verdicts} == {
        "stage.first": Verdict.CONFORMS,
        "stage.waits": Verdict.INCONCLUSIVE,
        "stage.last": Verdict.CONFORMS,
    }
    assert junit(run.out) == allure(run.out) == {line.fact: line.verdict for line in record.verdicts}
    assert record.end is not None
    assert record.end.labs == 2
    swept(run)


def test_killed_fork_server_is_replaced(staged: Path, start: Start) -> None:
    """Machines go on without it, and the next is forked by a new one."""
    run = start(staged, "-n", "0")
    run.until_waiting()
    (server,) = run.children()
    (agent,) = run.named("nf-host: ")

    os.kill(server, signal.SIGKILL)
    until(lambda: server not in run.left(), what="the fork server to end", timeout_s=10)
    assert agent in run.left()
    os.kill(agent, signal.SIGKILL)
    run.go()

    assert run.wait() == 3
    run.until_nothing_is_left()
    record = read(run.out)
    assert {line.fact: line.verdict for line in record.verdicts} == {
        "stage.first": Verdict.CONFORMS,
        "stage.waits": Verdict.INCONCLUSIVE,
        "stage.last": Verdict.CONFORMS,
    }
    assert record.end is not None
    assert record.end.labs == 2
    swept(run)


def test_killed_engine_costs_its_check_alone(staged: Path, start: Start) -> None:
    run = start(staged, "-n", "0")
    run.until_waiting()
    (engine,) = run.named("dockerd --host")

    os.kill(engine, signal.SIGKILL)
    run.go()

    code = run.wait()
    verdicts = {line.fact: line.verdict for line in read(run.out).verdicts}
    assert verdicts["stage.first"] is verdicts["stage.last"] is Verdict.CONFORMS
    assert code == (0 if verdicts["stage.waits"] is Verdict.CONFORMS else 3)
    run.until_nothing_is_left()
    swept(run)
