"""Reads record.jsonl, the only thing that reports are made from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import msgspec

from netfacts.model.errors import UsageError
from netfacts.model.record import (
    READABLE,
    EndLine,
    FactLine,
    HostLine,
    LabLine,
    Line,
    PortraitLine,
    RunLine,
    SabotageLine,
    TimingLine,
    VerdictLine,
)

NAME = "record.jsonl"
"""What a record is called in its run folder."""

# What msgspec raises over what it can't read; the last where lists are nested without end.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_HOW_TO_GET_ONE = "give a record.jsonl or the run folder that holds one; `netfacts run` writes both"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it was recorded. Without `end` it was interrupted."""

    run: RunLine
    labs: tuple[LabLine, ...] = ()
    facts: tuple[FactLine, ...] = ()
    portraits: tuple[PortraitLine, ...] = ()
    timings: tuple[TimingLine, ...] = ()
    verdicts: tuple[VerdictLine, ...] = ()
    sabotages: tuple[SabotageLine, ...] = ()
    host: HostLine | None = None
    """What became of the machine, where it was only visited."""
    end: EndLine | None = None

    @property
    def interrupted(self) -> bool:
        """Say whether the run stopped before everything that was selected had its turn."""
        return self.end is None or self.end.interrupted

    def lab(self, shape: str) -> LabLine | None:
        """Give the lab of this shape, if the run came to build one."""
        return next((lab for lab in self.labs if lab.shape == shape), None)


def locate(path: Path) -> Path:
    """Give the record that a path means: the file itself, or the one in a run folder."""
    # os.path's answer to a folder that may not be entered is no; what reads the file then says why.
    return path / NAME if os.path.isdir(path) else path


def read(path: Path) -> Record:
    """Read a record, or the one in a run folder.

    A last line that was cut short is left out: its run was killed while it wrote.

    Raises: UsageError for a missing file, one that isn't a record, another schema, and any line that can't be read.
    """
    file = locate(path)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(
            "could not read a record", where=str(file), returned=error.strerror or str(error), remedy=_HOW_TO_GET_ONE
        ) from None
    lines = _whole_lines(data)
    _check_first(lines[0] if lines else b"", file)
    run, *rest = (_decode(line, file, number) for number, line in enumerate(lines, start=1))
    if not isinstance(run, RunLine):
        raise TypeError("the first line was just seen to be a run line")
    return _sort(file, run, rest)


def _whole_lines(data: bytes) -> list[bytes]:
    *lines, last = data.split(b"\n")
    # A line is an object, so no beginning of one is JSON by itself: what reads as JSON is whole.
    if last and _is_json(last):
        lines.append(last)
    return lines


def _is_json(line: bytes) -> bool:
    try:
        msgspec.json.decode(line)
    except _UNREADABLE:
        return False
    return True


def _check_first(line: bytes, file: Path) -> None:
    # Before strict decoding, since another schema should read as that and not as some unknown field.
    head = msgspec.json.decode(line) if _is_json(line) else None
    if not isinstance(head, dict) or head.get("kind") != "run" or not isinstance(head.get("schema"), int):
        raise UsageError(
            "this file is not a record",
            where=str(file),
            returned=f"line 1 should be the `run` line with its schema, and is {_excerpt(line)}",
            remedy=_HOW_TO_GET_ONE,
        )
    if head["schema"] not in READABLE:
        raise UsageError(
            "could not read a record of another schema",
            where=str(file),
            returned=f"the record has schema {head['schema']}, this netfacts reads {', '.join(map(str, READABLE))}",
            remedy=f"read it with the netfacts that wrote it ({head.get('netfacts', 'not recorded')}), or run again",
        )


def _excerpt(line: bytes) -> str:
    text = line.decode(errors="replace")
    return repr(text if len(text) <= 60 else text[:59] + "…") if text else "empty"


def _decode(line: bytes, file: Path, number: int) -> Line:
    try:
        decoded: Line = msgspec.json.decode(line, type=Line)
    except _UNREADABLE as error:
        _refuse(file, number, f"{error}\n{_excerpt(line)}")
    return decoded


def _sort(file: Path, run: RunLine, lines: list[Line]) -> Record:
    facts: dict[str, FactLine] = {}
    labs: list[LabLine] = []
    portraits: list[PortraitLine] = []
    timings: list[TimingLine] = []
    verdicts: list[VerdictLine] = []
    sabotages: list[SabotageLine] = []
    host: HostLine | None = None
    end: EndLine | None = None
    for number, line in enumerate(lines, start=2):
        if end is not None:
            _refuse(file, number, "the record goes on after its `end` line")
        match line:
            case RunLine():
                _refuse(file, number, "a second `run` line: two runs wrote to one record")
            case LabLine():
                labs.append(line)
            case PortraitLine():
                portraits.append(line)
            case TimingLine():
                timings.append(line)
            case FactLine():
                if line.fact in facts:
                    _refuse(file, number, f"the fact {line.fact} stands twice")
                facts[line.fact] = line
            case VerdictLine():
                if line.fact not in facts:
                    _refuse(file, number, f"a verdict on {line.fact}, which no line before introduces as a fact")
                verdicts.append(line)
            case SabotageLine():
                sabotages.append(line)
            case HostLine():
                host = line
            case EndLine():
                end = line
    return Record(
        run=run,
        labs=tuple(labs),
        facts=tuple(facts.values()),
        portraits=tuple(portraits),
        timings=tuple(timings),
        verdicts=tuple(verdicts),
        sabotages=tuple(sabotages),
        host=host,
        end=end,
    )


def _refuse(file: Path, number: int, returned: str) -> NoReturn:
    raise UsageError(
        f"could not read line {number} of a record",
        where=str(file),
        returned=returned,
        remedy="a record is written by one run and not edited: run again, or remove the line if you know it",
    )
