"""`ip -j netns list` is read into names."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.model.errors import ProbeError
from netfacts.observe.named import parse_netns


def test_names_are_read_whether_they_have_numbers_or_not() -> None:
    assert parse_netns('[{"name":"test2"},{"name":"test1","id":0}]\n') == ["test2", "test1"]


@pytest.mark.parametrize("text", ["", "\n", "[]", "[ ]\n"])
def test_nothing_is_no_name(text: str) -> None:
    assert parse_netns(text) == []


@pytest.mark.parametrize("text", ["test1 (id: 0)", "{}x", "[1]", '[{"id":0}]', "null", "7"])
def test_what_is_no_list_of_names_is_refused(text: str) -> None:
    with pytest.raises(ProbeError) as caught:
        parse_netns(text)

    assert text in caught.value.returned


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_text_is_names_or_a_probe_error(text: str) -> None:
    with contextlib.suppress(ProbeError):
        assert isinstance(parse_netns(text), list)
