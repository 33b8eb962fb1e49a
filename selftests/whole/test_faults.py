"""What goes wrong below a run: engines, disks and moments. The fault costs its check, and the next gets a whole lab."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path

import pytest

from netfacts.model.verdict import Verdict
from reports.record import read
from selftests.whole.conftest import Run, Start, held, now
from selftests.whole.test_kills import swept
from selftests.whole.test_run import allure, junit

_KILLS = int(os.environ.get("NETFACTS_SELFTEST_KILLS", "20"))
# About what a run of the three checks takes.
_RUN_S = 6.0


def verdicts(run: Run) -> dict[str, Verdict]:
    """What the record says, by fact."""
    return {line.fact: line.verdict for line in read(run.out).verdicts}


def within(pid: int, *argv: str) -> None:
    """Run a program in the machine of this process, seeing its mounts."""
    subprocess.run(["nsenter", f"--target={pid}", "--mount", *argv], check=True, timeout=30)


def test_killed_containerd_costs_no_other_check(staged: Path, start: Start) -> None:
    """dockerd starts it again; what was running goes on meanwhile."""
    run = start(staged, "-n", "0")
    run.until_waiting()
    (containerd,) = run.named("containerd: ")

    os.kill(containerd, signal.SIGKILL)
    run.go()

    assert run.wait() in (0, 3), run.said()
    found = verdicts(run)
    assert found["stage.first"] is found["stage.last"] is Verdict.CONFORMS
    assert found["stage.waits"] in (Verdict.CONFORMS, Verdict.INCONCLUSIVE)
    assert (run.out / "index.html").exists()
    run.until_nothing_is_left()
    swept(run)


def test_full_disk_costs_its_check_alone(staged: Path, start: Start) -> None:
    """The engine's disk is the machine's tmpfs, which is made small and filled."""
    run = start(staged, "-n", "0", environment={"STAGE_BUILDS": "late"})
    run.until_waiting()
    (agent,) = run.named("nf-host: ")

    within(agent, "mount", "-o", "remount,size=32m", "/run")
    full = subprocess.run(
        ["nsenter", f"--target={agent}", "--mount", "dd", "if=/dev/zero", "of=/run/filler", "bs=1M", "count=64"],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert "No space left" in full.stderr
    run.go()

    assert run.wait() == 3, run.said()
    assert verdicts(run) == {
        "stage.first": Verdict.CONFORMS,
        "stage.waits": Verdict.INCONCLUSIVE,
        "stage.last": Verdict.CONFORMS,
    }
    assert "no space left on device" in (run.out / "index.html").read_text()
    run.until_nothing_is_left()
    swept(run)


def test_engine_that_hangs_costs_its_check_alone(staged: Path, start: Start) -> None:
    """A call that is never answered has a limit, and what the engine can't remove goes with its lab."""
    run = start(staged, "-n", "0", environment={"STAGE_BUILDS": "late"})
    run.until_waiting()
    (engine,) = run.named("dockerd --host")

    os.kill(engine, signal.SIGSTOP)
    run.go()

    assert run.wait() == 3, run.said()
    assert verdicts(run) == {
        "stage.first": Verdict.CONFORMS,
        "stage.waits": Verdict.INCONCLUSIVE,
        "stage.last": Verdict.CONFORMS,
    }
    assert junit(run.out) == allure(run.out) == verdicts(run)
    run.until_nothing_is_left()
    swept(run)


def test_two_runs_at_once_do_not_meet(staged: Path, start: Start) -> None:
    first, second = start(staged, "-n", "0"), start(staged, "-n", "0")
    for run in (first, second):
        run.until_waiting()
    assert not first.namespaces() & second.namespaces()

    for run in (first, second):
        run.go()

    for run in (first, second):
        assert run.wait() == 0, run.said()
        assert set(verdicts(run).values()) == {Verdict.CONFORMS}
        run.until_nothing_is_left()
        assert run.cgroups() == []


@pytest.mark.parametrize("seed", range(_KILLS))
def test_run_that_ends_at_any_moment_leaves_nothing(staged: Path, start: Start, seed: int) -> None:
    """Whatever it is that ends it, and whenever."""
    chance = random.Random(seed)
    number = chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    run = start(staged, "-n", chance.choice(["0", "2"]))
    # Nobody tells the one that waits to go on: the run is still there.
    with pytest.raises(subprocess.TimeoutExpired):
        run.process.wait(chance.uniform(0, _RUN_S))
    namespaces = run.namespaces()
    ended_at = now()

    run.process.send_signal(number)

    # By the signal itself where Python has not begun, or is about to end.
    assert run.wait() in (-number, 2, 130), run.said()
    run.until_nothing_is_left()
    assert held(namespaces, since=ended_at) == set()
    if (run.out / "record.jsonl").exists():
        assert read(run.out).interrupted
    swept(run)
