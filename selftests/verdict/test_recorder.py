"""The recorder: a line for each thing known, the moment it is known, and a reader that gets the same back."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from netfacts.model.record import Line
from netfacts.model.verdict import Evidence
from netfacts.verdict import Recorder
from reports.record import Record, read
from selftests.reports.conftest import full_record, sabotage_record


def lines_of(record: Record) -> list[Line]:
    end = [record.end] if record.end else []
    return [record.run, *record.labs, *record.facts, *record.verdicts, *record.sabotages, *end]


@pytest.mark.parametrize("make", [full_record, sabotage_record])
def test_record_that_was_written_reads_back_equal(tmp_path: Path, make: object) -> None:
    record: Record = make()  # type: ignore[operator]

    with Recorder(tmp_path / "run" / "record.jsonl") as recorder:
        for line in lines_of(record):
            recorder.write(line)

    assert read(tmp_path / "run") == record


def test_every_line_is_on_disk_as_soon_as_it_is_written(tmp_path: Path) -> None:
    """What stands in the file at any moment is a record of an interrupted run."""
    record = full_record()
    lines = lines_of(record)

    with Recorder(tmp_path / "record.jsonl") as recorder:
        for number, line in enumerate(lines, 1):
            recorder.write(line)
            assert recorder.path.read_bytes().count(b"\n") == number
            assert read(recorder.path).interrupted is (line is not record.end)


def test_record_goes_on_where_it_was(tmp_path: Path) -> None:
    """A second writer never truncates what a first has written."""
    record = full_record()
    path = tmp_path / "record.jsonl"
    lines = lines_of(record)

    for part in (lines[:3], lines[3:]):
        with Recorder(path) as recorder:
            for line in part:
                recorder.write(line)

    assert read(path) == record


def test_line_breaks_and_markup_in_texts_stay_in_their_line(tmp_path: Path) -> None:
    full = full_record()
    nasty = "a\nb\r\n\u2028<script>\x00\ud7ff"
    record = msgspec.structs.replace(
        full, run=msgspec.structs.replace(full.run, kernel=nasty), labs=(), facts=(), verdicts=()
    )

    with Recorder(tmp_path / "record.jsonl") as recorder:
        for line in lines_of(record):
            recorder.write(line)

    assert read(tmp_path).run.kernel == nasty
    assert len((tmp_path / "record.jsonl").read_bytes().splitlines()) == 2


def test_half_a_character_costs_neither_its_line_nor_the_run(tmp_path: Path) -> None:
    full = full_record()
    (verdict, *others) = full.verdicts
    odd = Evidence(title="name\ud83d", text="\udfff🐳\n")
    halved = msgspec.structs.replace(verdict, reason="\ud800", evidence=[odd], case=verdict.case)

    with Recorder(tmp_path / "record.jsonl") as recorder:
        for line in lines_of(msgspec.structs.replace(full, verdicts=(halved, *others))):
            recorder.write(line)

    record = read(tmp_path)
    assert record.verdicts[0].reason == "?"
    assert record.verdicts[0].evidence == [Evidence(title="name?", text="?🐳\n")]
    assert msgspec.structs.replace(record, verdicts=(verdict, *record.verdicts[1:])) == full
