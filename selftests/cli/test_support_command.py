"""`netfacts facts support`: what it prints and writes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from netfacts.catalogue import load
from netfacts.catalogue.chapters import load_chapters
from netfacts.cli.main import main
from reports import support
from reports.support import BEGIN, END
from selftests.cli.conftest import Netfacts
from selftests.reports.conftest import full_record, sabotage_record
from selftests.reports.upgrades import put, small_upgrade


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """The folder of an upgrade, and that of a run."""
    for role, record in small_upgrade().items():
        put(record, tmp_path / "upgrade" / role, with_page=False)
    put(full_record(), tmp_path / "run", with_page=False)
    return [str(tmp_path / "upgrade"), str(tmp_path / "run")]


def test_table_is_printed_as_it_would_be_written(netfacts: Netfacts, runs: list[str]) -> None:
    done = netfacts("facts", "support", *runs, COLUMNS="40")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == support.markdown(support.read(map(Path, runs)), load_chapters(load()))
    assert "\n| **dns** | Names | " in done.stdout


def test_table_is_put_into_the_page_that_is_named(
    runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "support-matrix.md"
    page.write_text(f"Mine.\n\n{BEGIN}\n{END}\n")
    monkeypatch.setattr(support, "PAGE", page)

    assert main(["facts", "support", *runs, "--write"]) == 0

    assert capsys.readouterr().out == f"{page}\n"
    assert page.read_text().startswith(f"Mine.\n\n{BEGIN}\n\n| system | about | 20.10.24<br>")


def test_table_of_parts_does_not_take_the_place_of_a_whole_one(
    runs: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "support-matrix.md"
    monkeypatch.setattr(support, "PAGE", page)
    part = runs[1]

    assert main(["facts", "support", part, "--write"]) == 4
    assert "none of these runs selected all facts" in capsys.readouterr().err
    assert not page.exists()
    assert main(["facts", "support", part]) == 0


def test_root_is_not_needed_to_be_told_that_there_is_no_record(unprivileged: Netfacts) -> None:
    done = unprivileged("facts", "support", "/nonexistent")

    assert (done.returncode, done.stdout) == (4, "")
    assert "could not read a record (on /nonexistent)" in done.stderr


@pytest.mark.parametrize("role", ["carried", "broken"])
def test_run_that_says_nothing_of_an_engine_by_itself_is_refused(
    netfacts: Netfacts, runs: list[str], tmp_path: Path, role: str
) -> None:
    put((small_upgrade() | {"broken": sabotage_record()})[role], tmp_path / role, with_page=False)

    done = netfacts("facts", "support", *runs, str(tmp_path / role))

    assert (done.returncode, done.stdout) == (4, "")
    assert "this run does not say what an engine supports" in done.stderr
    assert "Traceback" not in done.stderr


def test_folder_without_a_record_is_refused(netfacts: Netfacts, runs: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    done = netfacts("facts", "support", *runs, str(tmp_path / "empty"), "--write")

    assert (done.returncode, done.stdout) == (4, "")
    assert str(tmp_path / "empty" / "record.jsonl") in done.stderr
    assert "→ give a record.jsonl or the run folder that holds one" in done.stderr
