"""Waiting has a deadline, and says what it waited for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from netfacts.lab import wait
from netfacts.lab.wait import until
from netfacts.model.errors import EngineError, LabError


class Clock:
    """A clock that moves only when somebody waits, and an event that moves it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits = 0

    def monotonic(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        self.waits += 1
        return False


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    # In that module alone: pytest and xdist have clocks and events of their own.
    monkeypatch.setattr(wait, "time", SimpleNamespace(monotonic=clock.monotonic))
    monkeypatch.setattr(wait, "threading", SimpleNamespace(Event=lambda: clock))
    return clock


def test_until_gives_what_the_condition_found(clock: Clock) -> None:
    assert until(lambda: "found", what="x", timeout_s=1) == "found"
    assert clock.waits == 0


def test_until_asks_again_as_long_as_there_is_nothing(clock: Clock) -> None:
    answers = iter([None, None, 0, "", "found"])

    assert until(lambda: next(answers), what="x", timeout_s=1) == "found"
    assert clock.waits == 4


def test_until_gives_up_at_the_deadline_and_says_what_it_waited_for(clock: Clock) -> None:
    with pytest.raises(LabError) as caught:
        until(lambda: None, what="dockerd to answer", timeout_s=30)

    assert str(caught.value) == "waited 30 s for dockerd to answer, in vain"
    assert 30 <= clock.now < 30.1


def test_until_raises_the_error_it_was_given(clock: Clock) -> None:
    with pytest.raises(EngineError, match="for x, in vain"):
        until(lambda: None, what="x", timeout_s=0.5, error=EngineError)


def test_until_asks_at_least_once_even_without_time(clock: Clock) -> None:
    assert until(lambda: 7, what="x", timeout_s=0) == 7


def test_until_asks_a_last_time_after_the_deadline_has_come(clock: Clock) -> None:
    """A condition that came true while this process was off the CPU is not missed."""

    def slow() -> str | None:
        clock.now += 100
        return "found" if clock.now > 150 else None

    assert until(slow, what="x", timeout_s=120) == "found"


def test_until_lets_the_condition_s_own_error_through(clock: Clock) -> None:
    def broken() -> None:
        raise EngineError("dockerd ended with status 1")

    with pytest.raises(EngineError, match="ended with status 1"):
        until(broken, what="dockerd to answer", timeout_s=30)

    assert clock.waits == 0
