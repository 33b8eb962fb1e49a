"""The picture of what was measured: all values are in it, legible, whatever a record holds."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from netfacts.model.rounds import Rounds
from reports import page, terminal
from reports.drawing import Dot, Drawing, Rect, Stroke, Text
from reports.plot import plot
from selftests.reports.conftest import full_record
from selftests.reports.test_report_picture import assert_legible

LABELS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)


def drawn(**series: list[float]) -> Drawing:
    picture = plot(Rounds(unit="µs", series=series))
    assert picture is not None
    return picture.drawing


def dots(drawing: Drawing) -> list[Dot]:
    return [shape for shape in drawing.shapes if isinstance(shape, Dot)]


def test_each_value_is_a_dot_as_far_out_as_it_is_large() -> None:
    drawing = drawn(a=[1.0, 2.0, 4.0])

    one, two, four = (dot.x for dot in dots(drawing))
    assert four - two == pytest.approx(2 * (two - one), abs=1)


def test_rounds_stand_side_by_side() -> None:
    drawing = drawn(a=[1.0, 2.0, 3.0], b=[3.0, 2.0, 1.0])

    heights = [dot.y for dot in dots(drawing)]
    assert [lower - upper for upper, lower in zip(heights[:3], heights[3:], strict=True)] == [38, 38, 38]


def test_value_far_beyond_the_others_does_not_push_them_together_and_is_counted() -> None:
    drawing = drawn(a=[1.0] * 7 + [1000.0])

    assert [dot.kind for dot in dots(drawing)] == ["round"] * 7 + ["beyond"]
    assert dots(drawing)[0].x > drawing.width / 4
    assert "1 beyond" in [shape.text for shape in drawing.shapes if isinstance(shape, Text)]


def test_medians_and_the_half_of_the_rounds_are_in_the_words_as_well() -> None:
    picture = plot(Rounds(unit="µs", series={"host": [8.0, 8.5, 9.0], "bridge": [10.0, 11.0, 12.0]}))

    assert picture is not None
    assert "host: median 8.5 µs, half within 8.25 and 8.75 µs." in picture.words
    assert "bridge: median 11 µs" in picture.words


@pytest.mark.parametrize("series", [{}, {"a": []}, {"a": [0.0, 0.0]}, {"a": [-1.0]}, {"a": [float("inf")]}])
def test_nothing_is_drawn_of_nothing(series: dict[str, list[float]]) -> None:
    assert plot(Rounds(unit="µs", series=series)) is None


@given(st.dictionaries(LABELS, st.lists(st.floats() | st.floats(0, 100), max_size=20), max_size=5))
def test_whatever_was_recorded_is_drawn_legibly_within_the_frame(series: dict[str, list[float]]) -> None:
    picture = plot(Rounds(unit="Gbit/s", series=series))

    if picture is None:
        return
    drawing = picture.drawing
    assert_legible(drawing)
    assert len(dots(drawing)) == sum(map(len, series.values()))
    for shape in drawing.shapes:
        if isinstance(shape, Dot):
            assert 3 <= shape.x <= drawing.width - 3
            assert 3 <= shape.y <= drawing.height - 3
        elif isinstance(shape, Rect):
            assert 0 <= shape.x <= shape.x + shape.width <= drawing.width
        elif isinstance(shape, Stroke):
            assert 0 <= shape.x1 <= shape.x2 <= drawing.width


def test_page_and_terminal_tell_the_ratio_and_what_it_is_of() -> None:
    record = full_record()

    html = page.render(record)
    console = Console(file=io.StringIO(), width=80)
    console.print(terminal.render(record, Path("/out/index.html")))

    assert html.count('<circle class="round"') == 15
    assert html.count('<circle class="beyond"') == 1
    assert "<b>0.78 ×</b>" in html
    assert isinstance(console.file, io.StringIO)
    said = console.file.getvalue().splitlines()
    assert "ratio   publish.any-address: round trip, host : bridge 0.78 × (8.5 : 10.8 µs)" in said
    assert not [line for line in said if "gap of the flow" in line]


def test_rounds_come_back_from_a_record_as_they_were() -> None:
    rounds = Rounds(unit="µs", series={"a": [8.4, 8.5]})

    assert msgspec.json.decode(msgspec.json.encode(rounds), type=Rounds) == rounds
