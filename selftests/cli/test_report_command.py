"""`netfacts report`: renders what is a record, and says of everything else what it is."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from netfacts.model.record import Line
from netfacts.verdict import Recorder
from reports.record import Record
from selftests.cli.conftest import Netfacts
from selftests.reports.conftest import full_record


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run's folder with a whole record."""
    record: Record = full_record()
    assert record.end is not None
    lines: list[Line] = [record.run, *record.labs, *record.facts, *record.verdicts, record.end]
    with Recorder(tmp_path / "record.jsonl") as recorder:
        for line in lines:
            recorder.write(line)
    return tmp_path


@pytest.mark.parametrize("place", ["", "record.jsonl"])
def test_record_is_rendered_and_summed_up(netfacts: Netfacts, run_folder: Path, place: str) -> None:
    done = netfacts("report", str(run_folder / place))

    assert done.returncode == 0
    assert "1 fact deviates on Docker Engine 20.10.24" in done.stdout
    assert str(run_folder / "index.html") in done.stdout
    assert (run_folder / "index.html").read_text().endswith("</html>\n")


def test_truncated_record_is_rendered_as_interrupted(netfacts: Netfacts, run_folder: Path) -> None:
    path = run_folder / "record.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b'"kind":"end"') + 5])

    done = netfacts("report", str(run_folder))

    assert done.returncode == 0
    assert "Interrupted: " in done.stdout
    assert "<h1>Interrupted" in (run_folder / "index.html").read_text()


def test_missing_record_is_refused(netfacts: Netfacts, tmp_path: Path) -> None:
    done = netfacts("report", str(tmp_path))

    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr == (
        f"netfacts: could not read a record (on {tmp_path / 'record.jsonl'})\n"
        "  No such file or directory\n"
        "  → give a record.jsonl or the run folder that holds one; `netfacts run` writes both\n"
    )


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"{}\n", b"\xff\xfe\x00", b"<html></html>\n"])
def test_foreign_file_is_refused(netfacts: Netfacts, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "record.jsonl").write_bytes(data)

    done = netfacts("report", str(tmp_path))

    assert done.returncode == 4
    assert "this file is not a record" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "index.html").exists()


def test_record_of_another_schema_is_refused_with_both_numbers(netfacts: Netfacts, run_folder: Path) -> None:
    path = run_folder / "record.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"schema":2', b'"schema":7', 1))

    done = netfacts("report", str(run_folder))

    assert done.returncode == 4
    assert "the record has schema 7, this netfacts reads 1 and 2" in done.stderr
    assert not (run_folder / "index.html").exists()


def test_folder_that_can_not_be_written_to_is_refused(unprivileged: Netfacts, run_folder: Path) -> None:
    """Someone else's run may be read, but its page goes nowhere."""
    # Not below tmp_path, which nobody else may enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(run_folder / "record.jsonl", folder)
        folder.chmod(0o555)

        done = unprivileged("report", name)

        folder.chmod(0o755)
    assert done.returncode == 4
    assert "could not write the page of a record" in done.stderr
    assert "copy the record to a folder of yours" in done.stderr
