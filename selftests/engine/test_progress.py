"""Progress of what takes long: a bar for a person, a few lines for a log."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from netfacts.engine.progress import Step, shown


def told(*steps: Step, terminal: bool) -> str:
    out = io.StringIO()
    with shown(Console(file=out, force_terminal=terminal, width=60)) as progress:
        for step in steps:
            progress(step)
    return out.getvalue()


def test_log_has_a_line_for_each_step() -> None:
    first, second = Step("debian:bookworm: reading package lists"), Step("debian:bookworm: unpacking")

    assert told(first, first, second, terminal=False) == f"{first.text}\n{second.text}\n"


def test_log_of_a_download_has_a_few_lines() -> None:
    lines = told(*(Step("downloading", done, 1000) for done in range(1001)), terminal=False).splitlines()

    assert lines[0] == "downloading: 0 bytes of 1.0 kB"
    assert lines[-1] == "downloading: 1.0 kB of 1.0 kB"
    assert len(lines) == 5


def test_log_of_a_download_of_unknown_length_has_one_line() -> None:
    assert told(*(Step("downloading", done) for done in range(1, 5000)), terminal=False).count("\n") == 1


def test_lines_are_neither_wrapped_nor_taken_for_markup() -> None:
    text = f"static:/[bold]/{'long/' * 40}: unpacking"

    assert told(Step(text), terminal=False) == f"{text}\n"


def test_terminal_has_a_bar_that_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    text = told(Step("[bold]downloading", 500, 1000), terminal=True)

    assert "[bold]downloading" in text
    assert "500 bytes of 1.0 kB" in text
    assert text.endswith("\x1b[2K")


def test_terminal_stays_empty_where_nothing_takes_long() -> None:
    assert "━" not in told(terminal=True)
