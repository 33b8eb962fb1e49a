"""nft's JSON is read object by object."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netfacts.model.errors import ProbeError
from netfacts.observe.firewall import parse_nft

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("suite", "tables"),
    [("bookworm", {("ip", "nat"), ("ip", "filter")}), ("forky", {("ip", "nat"), ("ip", "filter"), ("ip", "raw")})],
)
def test_ruleset_of_a_real_engine_is_read(
    golden: Callable[[str], str], suite: str, tables: set[tuple[str, str]]
) -> None:
    entries = parse_nft(golden(f"nft.{suite}.json"))

    found = {(entry["table"]["family"], entry["table"]["name"]) for entry in entries if "table" in entry}
    chains = {entry["chain"]["name"] for entry in entries if "chain" in entry}
    assert tables <= found
    assert {"DOCKER", "DOCKER-USER", "POSTROUTING"} <= chains
    assert not [entry for entry in entries if "metainfo" in entry]
    assert any(
        {"masquerade": None} in entry["rule"]["expr"] or _says(entry["rule"], "MASQUERADE")
        for entry in entries
        if "rule" in entry
    )


def _says(rule: dict[str, Any], target: str) -> bool:
    return target in json.dumps(rule)


@given(st.lists(st.dictionaries(st.text(min_size=1, max_size=8), JSON, max_size=2), max_size=5))
def test_objects_come_back_as_they_were_but_for_the_metainfo(objects: list[dict[str, Any]]) -> None:
    objects = [entry for entry in objects if "metainfo" not in entry]

    # Compared as JSON: a NaN equals nothing, not even itself.
    read = parse_nft(json.dumps({"nftables": [{"metainfo": {"version": "1.0.6"}}, *objects]}))

    assert json.dumps(read) == json.dumps(objects)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nft: command not found",
        "[]",
        "null",
        '"nftables"',
        "{}",
        '{"nftables": 1}',
        '{"nftables": [1]}',
        "1" * 5000,
    ],
    ids=lambda text: text[:20] or "empty",
)
def test_text_that_is_no_ruleset_is_refused_with_its_beginning(text: str) -> None:
    with pytest.raises(ProbeError) as caught:
        parse_nft(text)

    assert text[:20] in caught.value.returned


@given(st.text() | JSON.map(json.dumps) | JSON.map(lambda value: json.dumps({"nftables": value})))
@example("[" * 100_000)
def test_any_text_is_a_ruleset_or_a_probe_error(text: str) -> None:
    try:
        entries = parse_nft(text)
    except ProbeError:
        return
    assert all(isinstance(entry, dict) for entry in entries)
