"""What a run of sabotages makes of those that are noticed, of those that are not, and of facts without one."""

from __future__ import annotations

from pathlib import Path

from selftests.whole.conftest import Run, Start

_SUITE = """

from fixtures.sabotage import Stage, strike  # noqa: E402


@strike("stage.first", "the container's interface is down")
def _(stage: Stage) -> None:
    stage.container("box").vantage.run("ip link set eth0 down")


@strike("stage.first", "nothing is broken")
def _(stage: Stage) -> None:
    pass


@strike("stage.waits", "nothing is broken", engines="<1")
def _(stage: Stage) -> None:
    pass
"""
_BARE = "the fact has no sabotage for this engine"


def _sabotaged(staged: Path, start: Start, *facts: str, other: str) -> Run:
    """Run the sabotages of these facts, of which `stage.waits` is `other` than for all engines."""
    catalogue, suite = staged / "facts" / "stage.toml", staged / "suites" / "stage" / "test_stage.py"
    head, mark, tail = catalogue.read_text().partition("[stage.last]")
    first, waits, rest = head.partition("[stage.waits]")
    catalogue.write_text(f"{first}{waits}{rest.replace('holds', other)}{mark}{tail}")
    suite.write_text(suite.read_text() + _SUITE)
    run = start(staged, "-n", "1", "-k", " or ".join(facts), command="sabotage")
    run.go()
    return run


def test_fact_that_is_absent_here_needs_no_sabotage(staged: Path, start: Start) -> None:
    run = _sabotaged(staged, start, "stage.waits", other="absent")

    # Nothing could be exercised, and nothing has survived.
    assert run.wait() == 5, run.said()

    (line,) = run.of("sabotage")
    assert (line["fact"], line["turned"], line["killed"]) == ("stage.waits", "not_exercised", False)
    assert "does not have this" in line["reason"]
    assert "survived" not in run.said()


def test_survivors_and_facts_without_a_sabotage_are_named(staged: Path, start: Start) -> None:
    run = _sabotaged(staged, start, "stage.first", "stage.waits", other="holds")

    assert run.wait() == 1, run.said()

    lines = {(line["fact"], line["sabotage"]): (line["turned"], line["killed"]) for line in run.of("sabotage")}
    assert lines == {
        ("stage.first", "the container's interface is down"): ("deviates", True),
        ("stage.first", "nothing is broken"): ("conforms", False),
        ("stage.waits", ""): ("conforms", False),
    }
    assert "1 of 3 sabotages killed" in run.said()
    assert "stage.first survived: nothing is broken → conforms" in run.said()
    assert f"stage.waits survived: {_BARE} → conforms" in run.said()


def test_fact_without_a_sabotage_is_not_killed_by_an_engine_that_deviates(staged: Path, start: Start) -> None:
    run = _sabotaged(staged, start, "stage.waits", other="fails")

    assert run.wait() == 1, run.said()

    (line,) = run.of("sabotage")
    assert (line["turned"], line["killed"]) == ("deviates", False)
    assert line["reason"].splitlines()[0] == _BARE
