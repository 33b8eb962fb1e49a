"""Whatever stands in a file of facts: it is a catalogue, or a refusal for the user."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from netfacts.catalogue import load
from netfacts.model.errors import UsageError

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
SCALARS = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
# Shapes near a good entry, so that the later checks are reached as well.
NEAR = st.fixed_dictionaries(
    {},
    optional={
        "claim": TEXTS | VALUES,
        "sources": st.lists(TEXTS, max_size=2) | VALUES,
        "lab": st.sampled_from(["one-host", "routed"]) | VALUES,
        "show": st.lists(TEXTS, max_size=2) | VALUES,
        "expect": st.lists(
            st.fixed_dictionaries(
                {"engine": st.sampled_from([">=20.10", "", "<", "==1.*"]) | TEXTS},
                optional={"outcome": st.sampled_from(["holds", "fails", "absent"]) | VALUES, "source": TEXTS},
            ),
            max_size=2,
        )
        | VALUES,
        "note": TEXTS | VALUES,
        "accuracy": st.sampled_from(["true", "wrong"]) | VALUES,
        "needs": st.lists(TEXTS, max_size=2) | VALUES,
        "more": VALUES,
    },
)
NAMES = st.sampled_from(["dns", "scope", "a-b"]) | TEXTS


def toml(value: Any) -> str:
    """A value as TOML: strings are JSON's, floats are Python's, tables stand inline."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(str(key))} = {toml(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value).lower()


def load_text(data: bytes) -> None:
    """Load it; only a refusal for the user may come of it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "dns.toml").write_bytes(data)
        try:
            catalogue = load(Path(folder))
        except UsageError:
            return
        for fact in catalogue:
            assert fact.claim
            assert fact.expect
            assert catalogue[fact.id] is fact


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, NEAR, max_size=2) | VALUES, max_size=2))
def test_any_tables_are_a_catalogue_or_a_usage_error(tables: dict[str, Any]) -> None:
    load_text("\n".join(f"{toml(name)} = {toml(table)}" for name, table in tables.items()).encode())


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="replace")))
@example(b"a=" + b"[" * 5000)
def test_any_bytes_are_a_catalogue_or_a_usage_error(data: bytes) -> None:
    load_text(data)
