"""Suites and catalogue that do not fit are refused before a single check has run."""

from __future__ import annotations

from pathlib import Path

import pytest

from selftests.whole.conftest import Run, Start


def refused(run: Run) -> str:
    """Assert that a run was refused; gives what it said."""
    assert run.wait() == 4, run.said()
    run.until_nothing_is_left()
    assert run.of("verdict") == []
    assert not (run.out / "index.html").exists()
    assert "Traceback" not in run.said()
    assert run.cgroups() == []
    return run.said()


WORKERS = pytest.mark.parametrize("workers", ["0", "2"])


@WORKERS
def test_check_without_a_fact_is_refused_by_its_name(staged: Path, start: Start, workers: str) -> None:
    (staged / "suites/stage/test_more.py").write_text('def test_nothing() -> None:\n    """No fact."""\n')

    said = refused(start(staged, "-n", workers))

    assert "every check of the suites judges exactly one fact" in said
    assert "suites/stage/test_more.py::test_nothing" in said
    assert '→ mark it with @pytest.mark.fact("area.name")' in said


@WORKERS
def test_check_of_an_unknown_fact_is_refused_with_the_nearest(staged: Path, start: Start, workers: str) -> None:
    path = staged / "suites/stage/test_stage.py"
    path.write_text(path.read_text().replace('fact("stage.first")', 'fact("stage.frist")'))

    said = refused(start(staged, "-n", workers))

    assert "there is no fact 'stage.frist'" in said
    assert "test_stage.py::test_first_ends_at_once" in said
    assert "did you mean stage.first" in said


@WORKERS
def test_fact_without_a_check_is_refused_by_its_name(staged: Path, start: Start, workers: str) -> None:
    path = staged / "suites/stage/test_stage.py"
    path.write_text(path.read_text().replace('fact("stage.first")', 'fact("stage.last")'))

    said = refused(start(staged, "-n", workers))

    assert "facts without a check: stage.first" in said


def test_broken_catalogue_is_refused_with_its_place(staged: Path, start: Start) -> None:
    (staged / "facts/stage.toml").write_text('[stage.first]\nclaim = "x"\nclaims = "y"\n')

    said = refused(start(staged))

    assert "[stage.first] in " in said
    assert "facts/stage.toml" in said


@WORKERS
def test_suite_that_can_not_be_imported_is_an_error_that_shows_why(staged: Path, start: Start, workers: str) -> None:
    (staged / "suites/stage/test_more.py").write_text("import no_such_module\n")

    run = start(staged, "-n", workers)

    assert run.wait() == 3, run.said()
    assert "no_such_module" in run.said()
    assert run.of("verdict") == []
    run.until_nothing_is_left()


@WORKERS
def test_selection_that_fits_nothing_exercises_nothing(staged: Path, start: Start, workers: str) -> None:
    run = start(staged, "-k", "nosuchfact", "-n", workers)

    assert run.wait() == 5, run.said()
    run.until_nothing_is_left()
    assert run.of("verdict") == []


def test_folder_that_can_not_be_made_is_refused_by_its_name(staged: Path, start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    run = start(staged, "--out", str(tmp_path / "file" / "run"))

    assert run.wait() == 4, run.said()
    assert "could not make the run's folder" in run.said()
    assert "Traceback" not in run.said()
