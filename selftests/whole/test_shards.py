"""A run in shards: each judges its share, and merged they say what one run says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from netfacts.model.verdict import Verdict
from reports.page import render
from reports.record import read
from selftests.whole.conftest import Start
from selftests.whole.test_run import allure, junit, recorded, shown

_FACTS = ("dns.nxdomain", "dns.not-default-bridge", "dns.rename", "dns.scope", "dns.user-net-names")
_SELECT = ("-k", " or ".join(_FACTS))


def merge(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netfacts", "merge", *arguments],
        cwd=checkout,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_three_shards_merged_say_what_one_run_says(checkout: Path, start: Start, tmp_path: Path) -> None:
    # One of them without workers: who collects is another process then.
    workers = {1: "0", 2: "1", 3: "1"}
    whole = start(checkout, *_SELECT, "-n", "1")
    shards = [start(checkout, *_SELECT, "-n", workers[i], "--shard", f"{i}/3") for i in workers]
    for run in (whole, *shards):
        assert run.wait() == 0, run.said()
        run.until_nothing_is_left()
    selected = [{line["fact"] for line in run.of("fact") if line["selected"]} for run in shards]
    out = tmp_path / "merged"

    done = merge(checkout, *(str(run.out) for run in reversed(shards)), "--out", str(out))

    assert (done.returncode, done.stderr) == (0, "")
    assert "all conform on Docker Engine" in done.stdout
    assert sorted(fact for shard in selected for fact in shard) == sorted(_FACTS)
    assert [run.of("run")[0]["shard"] for run in shards] == ["1/3", "2/3", "3/3"]
    assert recorded(read(out)) == recorded(read(whole.out)) == dict.fromkeys(_FACTS, Verdict.CONFORMS)
    assert {(line.fact, line.case) for line in read(out).verdicts} == {
        (line.fact, line.case) for line in read(whole.out).verdicts
    }
    assert read(out).facts == read(whole.out).facts
    assert junit(out) == allure(out) == shown(out) == recorded(read(whole.out))
    assert (out / "index.html").read_text() == render(read(out))
    again = merge(checkout, *(str(run.out) for run in shards), "--out", str(out))
    assert again.returncode == 4
    assert "could not write a merged run over what is there" in again.stderr


def test_missing_shard_is_a_warning_and_exit_code_2(staged: Path, start: Start, tmp_path: Path) -> None:
    run = start(staged, "--shard", "1/2", "-n", "0", "-k", "first or last")
    assert run.wait() == 0, run.said()

    done = merge(staged, str(run.out / "record.jsonl"), "--out", str(tmp_path / "merged"))

    assert done.returncode == 2
    assert done.stderr == "netfacts: 1 shard is missing: 2/2\n"
    assert "Interrupted: 1 of 1 fact exercised" in done.stdout
    assert json.loads((tmp_path / "merged" / "record.jsonl").read_text().splitlines()[-1])["interrupted"]


@pytest.mark.parametrize("workers", ["0", "1"])
def test_more_shards_than_facts_are_refused(staged: Path, start: Start, workers: str) -> None:
    run = start(staged, "--shard", "1/9", "-n", workers, "-k", "first")

    assert run.wait() == 4, run.said()
    assert "shard 1/9 is empty" in run.said()
    assert run.of("verdict") == []


def test_what_is_no_shard_is_refused_before_an_engine_is_looked_at(staged: Path, start: Start) -> None:
    run = start(staged, "--shard", "3/2")

    assert run.wait() == 4, run.said()
    assert "'3/2' is no shard" in run.said()
    assert not run.out.exists()
