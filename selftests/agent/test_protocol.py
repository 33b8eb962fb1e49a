"""The agent's language: messages survive any cutting of the stream."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netfacts.agent import protocol

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MESSAGES = st.dictionaries(st.text(max_size=5), VALUES, max_size=4)


@given(MESSAGES)
def test_message_is_one_line_and_comes_back_equal(message: dict[str, Any]) -> None:
    line = protocol.encode(message)

    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert protocol.decode(line) == message


@given(st.lists(MESSAGES, max_size=6), st.lists(st.integers(0, 10**6), max_size=12))
def test_any_chunking_of_messages_gives_the_same_messages(messages: list[dict[str, Any]], cuts: list[int]) -> None:
    stream = b"".join(map(protocol.encode, messages))
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    lines = protocol.Lines()

    heard = [line for start, end in pairwise(places) for line in lines.feed(stream[start:end])]

    assert [protocol.decode(line) for line in heard] == messages


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=6), st.integers(1, 7))
def test_lines_leave_out_nothing_but_empty_ones(lines: list[bytes], step: int) -> None:
    stream = b"".join(line + b"\n" for line in lines)
    cutter = protocol.Lines()

    heard = [line for start in range(0, len(stream), step) for line in cutter.feed(stream[start : start + step])]

    assert heard == [line for line in lines if line]


def test_message_comes_only_with_its_end() -> None:
    lines = protocol.Lines()

    assert lines.feed(b'{"id":1') == []
    assert lines.feed(b"") == []
    assert lines.feed(b"}\n\n{") == [b'{"id":1}']
    assert lines.feed(b"}\n") == [b"{}"]


def test_line_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_LINE_BYTES", 10)
    lines = protocol.Lines()
    assert lines.feed(b"x" * 10) == []

    with pytest.raises(ValueError, match="too long"):
        lines.feed(b"x")


@pytest.mark.parametrize("line", [b"[]", b"1", b"null", b'"x"', b"", b"{", b"\xff", b"{}{}"])
def test_what_is_no_object_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match=r"expected an object|Expecting|Extra data|decode"):
        protocol.decode(line)


def test_half_a_character_becomes_a_question_mark() -> None:
    """What a service answers need not be text; it must not stop the conversation, nor a report that quotes it."""
    assert protocol.decode(protocol.encode({"out\udfff": ["\ud800\\ud", "🐳"]})) == {"out?": ["?\\ud", "🐳"]}
    assert json.loads(protocol.encode({"out": "🐳"})) == {"out": "🐳"}


@given(st.binary(max_size=60) | VALUES.map(lambda value: json.dumps(value).encode()))
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b'{"a": 1' + b"0" * 5000 + b"}")
@example(b'{"id": "\\ud83d"}')
def test_any_line_is_an_object_of_whole_texts_or_refused(line: bytes) -> None:
    try:
        message = protocol.decode(line)
    except ValueError:
        return
    assert json.dumps(message, ensure_ascii=False).encode()


@given(MESSAGES)
@example({"id": True})
@example({"id": 1.0})
def test_number_is_an_integer_or_refused(message: dict[str, Any]) -> None:
    try:
        number = protocol.number_of(message)
    except ValueError:
        assert type(message.get("id")) is not int
    else:
        assert number == message["id"]
