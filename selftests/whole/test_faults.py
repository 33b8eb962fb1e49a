"""What goes wrong below a run: engines, disks and moments. The fault costs its check, and the next gets a whole lab."""

from __future__ import annotations

import html
import os
import random
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from netfacts.model.verdict import Verdict
from reports.record import Record, read
from selftests.reports.test_arbitrary_records import assert_leads_nowhere_else
from selftests.whole.conftest import STAGE, Run, Start, held, users
from selftests.whole.test_kills import swept
from selftests.whole.test_run import allure, junit, shown

_KILLS = int(os.environ.get("NETFACTS_SELFTEST_KILLS", "20"))
# About what a run of the three checks takes.
_RUN_S = 6.0
# A run of three checks in a lab that is used again, on a busy machine.
_PROMPT_S = 30.0


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
    before = users(namespaces)

    run.process.send_signal(number)

    # By the signal itself where Python has not begun, or is about to end.
    assert run.wait() in (-number, 2, 130), run.said()
    run.until_nothing_is_left()
    assert held(namespaces, before) == set()
    if (run.out / "record.jsonl").exists():
        assert read(run.out).interrupted
    swept(run)


# -- faults that a check meets with by itself


@pytest.fixture
def faulty(checkout: Path) -> Path:
    """A checkout with the checks of `stage/faults.py` alone."""
    shutil.rmtree(checkout / "suites" / "dns")
    (checkout / "facts" / "dns.toml").unlink()
    shutil.copy(STAGE / "faults.toml", checkout / "facts" / "fault.toml")
    (checkout / "suites" / "fault").mkdir()
    shutil.copy(STAGE / "faults.py", checkout / "suites" / "fault" / "test_faults.py")
    return checkout


def assert_told(run: Run, expected: dict[str, Verdict]) -> Record:
    """Assert that record, page, JUnit and Allure have these verdicts, and that nothing is left. Gives the record."""
    assert verdicts(run) == junit(run.out) == allure(run.out) == expected
    told = shown(run.out)
    assert {fact: told[fact] for fact in expected} == expected
    record = read(run.out)
    assert record.end is not None
    assert not record.interrupted
    assert "Traceback" not in run.said()
    run.until_nothing_is_left()
    swept(run)
    return record


def test_no_free_subnet_costs_its_check_alone_and_is_told_in_the_engine_s_words(faulty: Path, start: Start) -> None:
    run = start(faulty, "-n", "0", "-k", "test_no_free_subnet or test_last")
    run.until_verdict()

    assert run.wait() == 3, run.said()
    record = assert_told(run, {"fault.no-subnet": Verdict.INCONCLUSIVE, "fault.last": Verdict.CONFORMS})
    reason = record.verdicts[0].reason
    assert "the engine refused to create network second" in reason
    # "fully subnetted" from 25 on, "non-overlapping" before.
    assert re.search(r"fully subnetted|non-overlapping IPv4 address pool", reason)
    assert reason.splitlines()[1].strip() in html.unescape((run.out / "index.html").read_text())


def test_containers_that_do_not_do_as_told_are_removed_all_the_same(faulty: Path, start: Start) -> None:
    """One takes no notice of SIGTERM, one is stopped: both go at once, and the next check gets the same lab."""
    run = start(faulty, "-n", "0", "-k", "test_deaf or test_stopped or test_last")
    run.until_verdict()

    assert run.wait() == 0, run.said()
    facts = ("fault.deaf", "fault.stopped", "fault.last")
    record = assert_told(run, dict.fromkeys(facts, Verdict.CONFORMS))
    assert record.end is not None
    assert record.end.labs == 1
    # What waits for an end in order waits for ten seconds with each.
    assert record.end.duration_s < _PROMPT_S


@pytest.mark.parametrize("workers", ["0", "1"])
def test_check_that_hangs_is_ended_and_costs_no_other(faulty: Path, start: Start, workers: str) -> None:
    run = start(faulty, "-n", workers, "-k", "test_first or test_hangs or test_last")
    run.until_verdict()

    assert run.wait() == 3, run.said()
    assert (run.stage / "hanging").exists()
    record = assert_told(
        run,
        {
            "fault.first": Verdict.CONFORMS,
            "fault.hangs": Verdict.INCONCLUSIVE,
            "fault.last": Verdict.CONFORMS,
        },
    )
    (hung,) = (line for line in record.verdicts if line.fact == "fault.hangs")
    assert "Timeout" in hung.reason
    assert hung.worker == ("gw0" if workers == "1" else "")
    assert "Timeout" in (run.out / "index.html").read_text()


@pytest.mark.parametrize("workers", ["0", "1"])
def test_check_without_a_judgement_is_inconclusive_everywhere(faulty: Path, start: Start, workers: str) -> None:
    """Allure would call a failure what has nothing to do with the engine."""
    run = start(faulty, "-n", workers, "-k", "test_stray or test_silent or test_last")
    run.until_verdict()

    assert run.wait() == 3, run.said()
    record = assert_told(
        run,
        {
            "fault.stray": Verdict.INCONCLUSIVE,
            "fault.silent": Verdict.INCONCLUSIVE,
            "fault.last": Verdict.CONFORMS,
        },
    )
    reasons = {line.fact: line.reason for line in record.verdicts}
    assert reasons["fault.stray"].startswith("AssertionError")
    assert "never came to `claim.judge`" in reasons["fault.silent"]


@pytest.mark.parametrize("workers", ["0", "1"])
def test_nasty_texts_are_told_everywhere_and_do_nothing_anywhere(faulty: Path, start: Start, workers: str) -> None:
    run = start(faulty, "-n", workers, "-k", "test_nasty or test_last")
    run.until_verdict()

    assert run.wait() == 1, run.said()
    record = assert_told(run, {"fault.nasty": Verdict.DEVIATES, "fault.last": Verdict.CONFORMS})
    evidence = next(one for one in record.verdicts[0].evidence if one.title.startswith("\x1b]0;mine"))
    assert evidence.text == evidence.title
    page = (run.out / "index.html").read_text()
    assert_leads_nowhere_else(page)
    assert "␛]0;mine␇␛[2J␀␋" in page
    assert not {"\x1b", "\x07", "\x00", "\x0b", "\x85"} & set(page + run.said())
    assert "␛]0;mine␇" in run.said()
