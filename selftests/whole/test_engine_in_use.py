"""A run keeps its engine from being removed for as long as it lives, however it ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from netfacts.engine import cache
from selftests.whole.conftest import ENGINE, Start


@pytest.mark.parametrize("workers", ["0", "1"])
def test_run_holds_its_engine_until_it_is_killed(staged: Path, start: Start, workers: str) -> None:
    entry = cache.newest(ENGINE)
    if entry is None:
        pytest.skip("the engine lies elsewhere than in the cache: NETFACTS_SELFTEST_ENGINE=debian:bookworm")
    run = start(staged, "-n", workers)
    run.until_waiting()

    assert run.process.pid in cache.users(entry)
    assert cache.in_use(entry)

    os.kill(run.process.pid, signal.SIGKILL)
    run.wait()
    run.until_nothing_is_left()

    assert run.process.pid not in cache.users(entry)
