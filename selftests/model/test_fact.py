"""Facts and engine versions: which expectation is an engine's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from netfacts.model.errors import EngineError
from netfacts.model.fact import Expectation, Fact, engine_version
from netfacts.model.verdict import Expected

FACT = Fact(
    id="reach.routed",
    area="reach",
    claim="Containers are reached by a route.",
    sources=("notes/1.txt:1",),
    lab="routed",
    show=("ping",),
    expect=(
        Expectation(engine=">=20.10,<28", outcome=Expected.HOLDS),
        Expectation(engine=">=28,<29", outcome=Expected.FAILS, source="28.0 release note"),
        Expectation(engine=">=29.1", outcome=Expected.ABSENT),
    ),
)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("20.10.24+dfsg1", "20.10.24"),
        ("26.1.5+dfsg1", "26.1.5"),
        ("28.5.2+dfsg3-2", "28.5.2"),
        ("19.03.15~ce", "19.3.15"),
        ("5:27.3.1-1~debian.12~bookworm".partition(":")[2], "27.3.1.post1"),
        ("v28.5.2", "28.5.2"),
        (" 28.5.2\n", "28.5.2"),
        ("28.0.0-rc.1", "28.0.0rc1"),
        ("29.0.0-beta.2", "29.0.0b2"),
        ("25.0", "25.0"),
    ],
)
def test_engine_version_is_read_without_what_a_distribution_adds(text: str, version: str) -> None:
    assert engine_version(text) == Version(version)


@pytest.mark.parametrize("text", ["", "dev", "library-import", "20.10.24, build 297e128", "+dfsg1", "v", "🐳"])
def test_engine_version_that_is_none_is_refused_with_the_text_that_came(text: str) -> None:
    with pytest.raises(EngineError) as caught:
        engine_version(text)

    assert repr(text) in str(caught.value)
    assert "28.5.2" in caught.value.remedy


@given(st.text())
def test_engine_version_gives_a_version_or_an_engine_error(text: str) -> None:
    try:
        version = engine_version(text)
    except EngineError:
        return
    assert version >= Version("0.dev0")


@pytest.mark.parametrize(
    ("engine", "version", "covered"),
    [
        (">=20.10", "20.10", True),
        (">=20.10", "20.10.0", True),
        (">=20.10", "19.3.15", False),
        (">=20.10,<28", "27.5.1", True),
        (">=20.10,<28", "28.0.0", False),
        (">=28", "28.0.0rc1", True),
        ("<28", "28.0.0rc1", False),
        (">=28", "28.0.0.dev1", True),
        (">=27.3.1", "27.3.1.post1", True),
        ("==26.*", "26.1.5", True),
        ("", "20.10.24", True),
    ],
)
def test_expectation_covers_a_version_when_its_release_lies_in_the_range(
    engine: str, version: str, covered: bool
) -> None:
    assert Expectation(engine=engine, outcome=Expected.HOLDS).covers(Version(version)) is covered


@pytest.mark.parametrize(
    ("version", "outcome"),
    [
        ("20.10.24+dfsg1", Expected.HOLDS),
        ("27.99", Expected.HOLDS),
        ("28.0.0-rc.1", Expected.FAILS),
        ("28.5.2+dfsg1", Expected.FAILS),
        ("29.1.0", Expected.ABSENT),
        ("30.0.0", Expected.ABSENT),
    ],
)
def test_fact_gives_the_expectation_of_the_range_that_covers(version: str, outcome: Expected) -> None:
    assert FACT.expectation(engine_version(version)).outcome is outcome


@pytest.mark.parametrize("version", ["19.3.15", "29.0.0", "29.0.99"])
def test_fact_says_where_a_range_is_missing_when_none_covers(version: str) -> None:
    with pytest.raises(EngineError) as caught:
        FACT.expectation(Version(version))

    assert str(caught.value) == (
        f"no expectation of reach.routed covers engine {version}\n"
        "  → add a range for it to `expect` of [reach.routed] in facts/reach.toml"
    )
