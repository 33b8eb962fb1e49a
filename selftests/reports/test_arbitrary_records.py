"""Whatever a record holds, as long as its types are right, is told; whatever else a file holds is refused in words."""

from __future__ import annotations

import enum
import io
import json
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from netfacts.model.errors import UsageError
from netfacts.model.record import FactLine, LabLine, Line, VerdictLine
from netfacts.verdict import Recorder
from reports import change_terminal, page, terminal, upgrade, wording
from reports.merge import lines
from reports.record import Record, read
from selftests.reports.conftest import full_record
from selftests.reports.test_report_page import ELEMENTS, NASTY, Parsed, assert_inert
from selftests.reports.test_upgrade_page import two

# What makes a terminal do something: write elsewhere, change its title or clipboard, hide what it shows as a link.
ORDERS = [
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x1b]8;;https://x\x1b\\here",
    "\x9b31m",
    "\x90q",
    "\r",
    "\b\b",
    "\x7f",
    "\u202e",
]
TEXTS = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(
        ["", "x" * 5000, "[bold]", "[/]", "[link=https://x]y[/link]", "\n", "\u2028", "10.0.0.0/8", "..."]
    )
    | st.sampled_from([*NASTY, *ORDERS])
    | st.sampled_from(["2026-03-01T02:14:05+00:00", "0001-01-01T00:00:00+12:00", "9999-12-31T23:59:59-12:00"])
)
SCALARS: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**64 - 1) | st.integers(-2, 100),
    float: st.floats(allow_nan=False, allow_infinity=False) | st.floats(0, 100),
    type(None): st.none(),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """All that a type allows."""
    if kind in SCALARS:
        return SCALARS[kind]
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return st.one_of(*map(values, parts))
    if origin is list:
        return st.lists(values(parts[0]), max_size=2)
    if origin is dict:
        return st.dictionaries(values(parts[0]), values(parts[1]), max_size=2)
    if origin is tuple and parts[1:] == (...,):
        return st.lists(values(parts[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, parts))
    if issubclass(kind, enum.Enum):
        return st.sampled_from(list(kind))
    assert issubclass(kind, msgspec.Struct), kind
    return _structs(kind)


def _structs(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    hints = {name: hint for name, hint in typing.get_type_hints(kind).items() if name != "schema"}
    return st.deferred(lambda: st.builds(kind, **{name: values(hint) for name, hint in hints.items()}))


@st.composite
def records(draw: st.DrawFn) -> Record:
    """A record that hangs together: facts once each, verdicts on facts, and for some the lab that they name."""
    record: Record = draw(values(Record))
    facts: list[FactLine] = draw(st.lists(values(FactLine), max_size=3, unique_by=lambda fact: fact.fact))
    verdicts: list[VerdictLine] = []
    labs: list[LabLine] = draw(st.lists(values(LabLine), max_size=2, unique_by=lambda lab: lab.shape))
    for number, fact in enumerate(facts):
        found = draw(st.lists(values(VerdictLine), max_size=2))
        verdicts += [msgspec.structs.replace(one, fact=fact.fact) for one in found]
        if labs:
            facts[number] = msgspec.structs.replace(fact, lab=labs[0].shape)
    return msgspec.structs.replace(record, facts=tuple(facts), verdicts=tuple(verdicts), labs=tuple(labs))


def lines_of(record: Record) -> Iterator[Line]:
    """The lines that a run writes."""
    yield from lines(msgspec.structs.replace(record, host=None, end=None))
    yield from filter(None, (record.host, record.end))


def printed(what: RenderableType) -> str:
    """What a terminal is sent, but for the styles of our own."""
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def assert_leads_nowhere_else(html: str) -> None:
    """Assert that a page of several runs does nothing of its own, and leads to files beside it or to the web alone."""
    parsed = Parsed(html)
    assert parsed.open == []
    assert parsed.elements <= ELEMENTS | {"nav"}
    assert not [name for _, name, _ in parsed.attributes if name.startswith("on") or name in {"style", "src", "action"}]
    for parts in map(urlsplit, parsed.values("href")):
        assert (parts.scheme, parts.netloc) == ("", "") or parts.scheme in ("http", "https")


def assert_tame(text: str) -> None:
    """Assert that a text gives a terminal nothing to do but to show it."""
    bad = {character for character in text if not character.isprintable() and character not in "\n\t \xa0\u3000"}
    assert not {one for one in bad if one.isascii() or "\x80" <= one <= "\x9f" or one in "\u202e\u2066"}


# Not made smaller where it fails: that takes minutes with what is so large.
@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(records())
def test_any_record_is_read_as_it_was_written_and_told_without_harm(
    tmp_path_factory: pytest.TempPathFactory, record: Record
) -> None:
    folder = tmp_path_factory.mktemp("record")
    with Recorder(folder / "record.jsonl") as recorder:
        for line in lines_of(record):
            recorder.write(line)

    assert read(folder) == record
    assert_inert(Parsed(page.render(record)))
    assert_tame(printed(terminal.render(record, folder / "index.html")))


@pytest.mark.parametrize("order", ORDERS)
def test_no_text_of_a_record_gives_orders_to_the_terminal(order: str) -> None:
    record = _filled(full_record(), order)

    said = printed(terminal.render(record, Path(f"/{order}/index.html")))

    assert_tame(said)
    assert "engine " in said


@pytest.mark.parametrize("text", ["[/]", "[bold]", "[link=https://x]y[/link]"])
def test_no_text_of_a_record_is_markup_to_the_terminal(make: Any, text: str) -> None:
    record = msgspec.structs.replace(
        make.full(), facts=(make.fact("a.one", area=text),), verdicts=(make.verdict("a.one"),)
    )

    assert text in printed(terminal.render(record, Path("/out/index.html")))


@pytest.mark.parametrize("stamp", ["0001-01-01T00:00:00+12:00", "9999-12-31T23:59:59-12:00", "2026-13-01", "\x1b", ""])
def test_time_that_is_none_stands_as_it_is(stamp: str) -> None:
    assert wording.moment(stamp) == stamp


def _filled(value: Any, text: str) -> Any:
    """A value with another text in place of every text that may be any."""
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(
            value,
            **{name: _filled(getattr(value, name), text) for name in value.__struct_fields__ if name != "lab"},
        )
    if isinstance(value, (list, tuple)):
        return type(value)(_filled(entry, text) for entry in value)
    if isinstance(value, dict):
        return {key: _filled(entry, text) for key, entry in value.items()}
    return f"{value}{text}" if type(value) is str else value


# -- files


def _damaged(data: st.DataObject, whole: bytes) -> bytes:
    """Bytes of a file changed, cut, put in, or exchanged for JSON of another type."""
    if data.draw(st.booleans(), label="as JSON"):
        rows = [json.loads(line) for line in whole.splitlines()]
        place: Any = rows
        while True:
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.integers(0, 4)) == 0:
                break
            place = place[key]
        near = [other for other in (place.values() if isinstance(place, dict) else place) if other != place[key]]
        place[key] = data.draw(st.sampled_from(near) | _JSON if near else _JSON)
        return b"".join(json.dumps(one).encode() + b"\n" for one in rows)
    broken = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(broken)))
        broken[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=6))
    return bytes(broken)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=6) | st.sampled_from([-1, 2**63, 2**64, 10**30, ""]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


def refused(attempt: Callable[[], object], *, where: Path) -> bool:
    """Whether something is refused, in few words and naming the file; whatever else it raises is no refusal."""
    try:
        attempt()
    except UsageError as error:
        return error.where == str(where) and bool(error.remedy) and len(str(error)) < 2000
    return False


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_record_is_told_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    path = tmp_path_factory.mktemp("damaged") / "record.jsonl"
    whole = b"".join(msgspec.json.encode(line) + b"\n" for line in lines(full_record()))
    path.write_bytes(_damaged(data, whole))

    if not refused(lambda: read(path), where=path):
        assert_inert(Parsed(page.render(read(path))))


@settings(deadline=None)
@given(st.binary(max_size=60) | _JSON.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b'{"kind":' * 100_000)
@example(b'{"kind":"run","schema":' + b"9" * 5000 + b"}")
@example(b'{"kind":"run","schema":3}\xef\xbb\xbf')
def test_any_bytes_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "record.jsonl"
    path.write_bytes(data)

    with pytest.raises(UsageError, match="this file is not a record"):
        read(path)


@pytest.mark.parametrize("last", [b"", b"\n"], ids=["cut short", "whole"])
def test_line_that_is_nested_without_end_is_refused(make: Any, tmp_path: Path, last: bytes) -> None:
    path = tmp_path / "record.jsonl"
    path.write_bytes(msgspec.json.encode(make.run) + b"\n" + b'{"a":' * 100_000 + last)

    if last:
        with pytest.raises(UsageError, match="could not read line 2 of a record"):
            read(path)
    else:
        assert read(path).verdicts == ()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_comparison_is_told_or_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("comparison")
    path = folder / upgrade.COMPARE
    path.write_bytes(_damaged(data, upgrade.encode(two()).encode().replace(b"\n", b"")))

    if not refused(lambda: upgrade.write(folder), where=path):
        assert_leads_nowhere_else((folder / "index.html").read_text("utf-8"))
        assert_tame(printed(change_terminal.render(upgrade.read(folder), folder / "index.html")))


MISFITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "there is no kind 'upgrade'": lambda sheet: sheet.update(kind="upgrade"),
    "there is no run 'after'": lambda sheet: sheet["runs"].pop(),
    "there is no role 'x'": lambda sheet: sheet["runs"].append(sheet["runs"][0] | {"role": "x"}),
    "there is no count 'fixed'": lambda sheet: sheet["counts"].pop("fixed"),
    "there is no kind of change 'x'": lambda sheet: sheet["facts"][0].update(kind="x"),
    "there is no place 'x'": lambda sheet: sheet["facts"][0]["seen"][0].update(where="x"),
    "there is no places 'x'": lambda sheet: sheet["facts"][0].update(where=["x"]),
    "there is no column 'x'": lambda sheet: sheet["facts"][0].update(before="x"),
    "there is no column 'y'": lambda sheet: sheet["facts"][0]["cells"].update(y=sheet["facts"][0]["cells"]["before"]),
    "there is no column 'after'": lambda sheet: sheet["columns"].pop(),
    "there is no run 'x'": lambda sheet: sheet["took"].update(x={}),
}


@pytest.mark.parametrize("words", MISFITS)
def test_comparison_whose_parts_do_not_fit_is_refused_with_what_is_missing(tmp_path: Path, words: str) -> None:
    """All of the right types, and yet no page could be made of it."""
    sheet = json.loads(upgrade.encode(two()))
    MISFITS[words](sheet)
    (tmp_path / upgrade.COMPARE).write_text(json.dumps(sheet))

    with pytest.raises(UsageError, match="could not read a comparison") as caught:
        upgrade.write(tmp_path)

    assert caught.value.returned == words


def test_comparison_that_is_nested_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / upgrade.COMPARE).write_bytes(b'{"a":' * 100_000)

    with pytest.raises(UsageError, match="could not read a comparison"):
        upgrade.write(tmp_path)
