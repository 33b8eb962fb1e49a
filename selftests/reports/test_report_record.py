"""Records are read as they were written, or refused with the line that is to blame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from netfacts.model.errors import UsageError
from reports.record import Record, read

Written = Callable[[Record], Path]


def refused(path: Path) -> UsageError:
    """The refusal of a file."""
    with pytest.raises(UsageError) as caught:
        read(path)
    assert caught.value.exit_code == 4
    assert caught.value.where == str(path)
    assert caught.value.remedy
    return caught.value


def test_record_reads_back_as_written(sample: tuple[str, Record], written: Written) -> None:
    """A record comes back equal, by its file and by its folder."""
    record = sample[1]
    path = written(record)

    assert read(path) == record
    assert read(path.parent) == record


def test_record_of_another_schema_is_refused_as_that(make: Any, written: Written) -> None:
    """Another schema gives the schema error, even where a field is new as well."""
    path = written(make.full())
    path.write_bytes(path.read_bytes().replace(b'"schema":5', b'"schema":6,"brand_new":true', 1))

    error = refused(path)
    assert error.returned == "the record has schema 6, this netfacts reads 1, 2, 3, 4, 5"
    assert "brand_new" not in str(error)


@pytest.mark.parametrize(
    ("schema", "added"),
    [
        (4, [b',"rounds":null']),
        (3, [b',"rounds":null', b',"redacted":false']),
        (2, [b',"rounds":null', b',"redacted":false', b',"state":[]', b',"captures":[]']),
        (
            1,
            [
                *(b',"rounds":null', b',"redacted":false', b',"state":[]', b',"captures":[]'),
                *(b',"predecessor":null', b',"carried":false', b',"measured":[]'),
            ],
        ),
    ],
)
def test_record_of_an_earlier_schema_is_read(make: Any, written: Written, schema: int, added: list[bytes]) -> None:
    """Schemas added fields and lines alone: a record without them is as good as one that has none of them."""
    full = make.full()
    path = written(full)
    data = path.read_bytes().replace(b'"schema":5', b'"schema":%d' % schema, 1)
    for field in added:
        assert field in data
        data = data.replace(field, b"")
    path.write_bytes(data)

    assert read(path) == msgspec.structs.replace(full, run=msgspec.structs.replace(full.run, schema=schema))


@pytest.mark.parametrize(
    "text", ["", "\n", "not json\n", "[1]\n", '{"kind":"end"}\n', '{"kind":"run"}\n', '{"kind":"run","sch']
)
def test_file_that_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    """A file whose first line isn't a run line is no record."""
    path = tmp_path / "record.jsonl"
    path.write_text(text)

    assert refused(path).attempted == "this file is not a record"


def test_missing_file_is_refused(tmp_path: Path) -> None:
    """A file that isn't there is named, with what came back; so is the record that a folder lacks."""
    assert "No such file" in refused(tmp_path / "none.jsonl").returned
    with pytest.raises(UsageError, match="could not read a record"):
        read(tmp_path)


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage",
        b"",
        b"{}",
        b'{"kind":"novel"}',
        b'{"kind":"end","facts":{},"duration_s":1,"more":1}',
        b'{"a":"\xff"}',
    ],
)
def test_broken_line_in_the_middle_is_refused_with_its_number(make: Any, written: Written, garbage: bytes) -> None:
    """A line that can't be read is named by its number."""
    path = written(make.full())
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:3], garbage, *lines[3:]]))

    assert "line 4 " in refused(path).attempted


def test_broken_last_line_that_was_finished_is_refused(make: Any, written: Written) -> None:
    """Only a line without its newline was cut short; one that has it was written like that."""
    path = written(make.full())
    count = path.read_bytes().count(b"\n")
    with path.open("ab") as file:
        file.write(b'{"kind":"verd\n')

    assert f"line {count + 1} " in refused(path).attempted


def test_last_line_that_was_cut_short_is_left_out(make: Any, written: Written) -> None:
    """A run that was killed while it wrote leaves all its whole lines, cut wherever it was."""
    full = make.full()
    path = written(full)
    data = path.read_bytes()
    *_, last = data.splitlines()

    for keep in range(len(last)):
        path.write_bytes(data[: len(data) - 1 - len(last) + keep])
        assert read(path) == msgspec.structs.replace(full, end=None)
    path.write_bytes(data[:-1])
    assert read(path) == full


@pytest.mark.parametrize("late", ["run", "verdict"])
def test_record_that_goes_on_after_its_end_is_refused(make: Any, written: Written, late: str) -> None:
    """Two runs in one file, or a late writer, are not one run."""
    path = written(make.full())
    line = {"run": make.run, "verdict": make.verdict("dns.not-default-bridge")}[late]
    with path.open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")

    assert "goes on after its `end`" in refused(path).returned


def test_verdict_on_an_unknown_fact_is_refused(make: Any, written: Written) -> None:
    """A verdict whose fact no line introduces would be lost from the totals."""
    full = make.full()
    path = written(msgspec.structs.replace(full, verdicts=(make.verdict("dns.never-heard-of"),)))

    assert "dns.never-heard-of" in refused(path).returned


def test_record_knows_that_it_was_interrupted(make: Any) -> None:
    """Without an end line, or with one that says so, a run was interrupted."""
    full = make.full()
    stopped = msgspec.structs.replace(make.end, interrupted=True)

    assert not full.interrupted
    assert msgspec.structs.replace(full, end=None).interrupted
    assert msgspec.structs.replace(full, end=stopped).interrupted
