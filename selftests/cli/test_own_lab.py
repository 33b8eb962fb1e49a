"""What commands with a lab of their own have in common: an end by signals, and how many hosts there can be."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from netfacts.cli.own_lab import ended_by_signals, lab_of, wait_for_the_end


@pytest.fixture
def unignored() -> Iterator[None]:
    """A process that was not started with nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.usefixtures("unignored")
def test_signal_that_a_callback_swallowed_ends_the_wait(number: signal.Signals) -> None:
    with ended_by_signals():
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), number)

        with pytest.raises(KeyboardInterrupt):
            wait_for_the_end()


@pytest.mark.parametrize("count", [1, 16])
def test_lab_has_as_many_hosts_as_asked_for(count: int) -> None:
    assert sum(machine.engine for machine in lab_of(count, routed=False).machines) == count
