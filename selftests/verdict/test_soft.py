"""Soft judgement: what chance can do to single rounds turns nothing red, and what all rounds say does."""

from __future__ import annotations

import random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.model.rounds import FEWEST, Rounds, quartiles
from netfacts.verdict import at_least, at_most

FIGURES = st.floats(0.001, 1e6)
PAIRS = st.lists(st.tuples(FIGURES, FIGURES), min_size=FEWEST, max_size=40)


def rounds(pairs: list[tuple[float, float]]) -> Rounds:
    return Rounds(unit="µs", series={"a": [a for a, _ in pairs], "b": [b for _, b in pairs]})


def agrees(pairs: list[tuple[float, float]], bound: float = 0.9) -> bool:
    return at_least("speed", rounds(pairs), "a", "b", bound).agrees


@given(PAIRS, st.floats(0.1, 10))
def test_it_takes_three_quarters_of_the_rounds_and_middle_halves_that_lie_apart_to_contradict(
    pairs: list[tuple[float, float]], bound: float
) -> None:
    good = sum(a / b >= bound for a, b in pairs)
    mine, theirs = (quartiles(list(values)) for values in zip(*pairs, strict=True))

    assert agrees(pairs, bound) is (good >= len(pairs) / 4 or mine.high >= bound * theirs.low)


@given(st.lists(FIGURES, min_size=FEWEST, max_size=40), st.data())
def test_what_varies_more_by_itself_than_the_two_differ_contradicts_nothing(
    values: list[float], data: st.DataObject
) -> None:
    """Whatever the order in which two equals were measured."""
    assert agrees(list(zip(values, data.draw(st.permutations(values)), strict=True)), 1.0)


@given(PAIRS, st.floats(0.1, 10))
def test_least_and_most_are_mirrored(pairs: list[tuple[float, float]], bound: float) -> None:
    mirrored = at_most("speed", rounds(pairs), "b", "a", 1 / bound).agrees
    near = any(abs(a / b / bound - 1) < 1e-9 for a, b in pairs)

    assert near or agrees(pairs, bound) is mirrored


@given(PAIRS, st.randoms(use_true_random=False))
def test_neither_the_order_of_rounds_nor_the_unit_matters(
    pairs: list[tuple[float, float]], chance: random.Random
) -> None:
    shuffled = chance.sample(pairs, len(pairs))
    # By a power of two, so that no ratio is rounded otherwise.
    other_unit = [(a * 2.0**-9, b * 2.0**-9) for a, b in pairs]

    assert agrees(shuffled) is agrees(other_unit) is agrees(pairs)


@given(st.integers(FEWEST, 40), st.data())
def test_any_disturbance_of_less_than_three_quarters_of_the_rounds_leaves_it_green(
    count: int, data: st.DataObject
) -> None:
    spoilt = data.draw(st.integers(0, 3 * count // 4))
    pairs = [data.draw(st.tuples(FIGURES, FIGURES)) for _ in range(spoilt)] + [(1.0, 1.0)] * (count - spoilt)

    assert agrees(pairs)


@given(st.integers(FEWEST, 40))
def test_what_all_rounds_contradict_is_red(count: int) -> None:
    assert not agrees([(0.89, 1.0)] * count)
    assert not at_most("speed", rounds([(1.11, 1.0)] * count), "a", "b", 1.1).agrees


@pytest.mark.parametrize("count", [0, 1, FEWEST - 1])
def test_of_too_few_rounds_nothing_is_said_to_hold(count: int) -> None:
    seen = at_least("speed", rounds([(2.0, 1.0)] * count), "a", "b", 0.9)

    assert not seen.agrees
    assert f"{count} rounds" in seen.observed


def test_round_without_a_figure_to_divide_by_is_left_out() -> None:
    assert rounds([(1.0, 0.0), (3.0, 2.0)]).ratios("a", "b") == [1.5]
    assert rounds([(1.0, 1.0)]).ratios("a", "nobody") == []


def test_words_name_both_and_how_far_the_rounds_lie_apart() -> None:
    said = rounds([(1.0, 2.0), (2.0, 2.0), (3.0, 2.0)]).words("a", "b")

    assert said == "a 2 µs, b 2 µs; half of 3 rounds within 0.75–1.25"
    assert rounds([]).words("a", "b") == "no round was completed"


@given(st.lists(st.floats(-1e6, 1e6), min_size=1))
def test_quartiles_lie_in_order_around_the_median(values: list[float]) -> None:
    found = quartiles(values)

    assert min(values) <= found.low <= found.middle <= found.high <= max(values)
    assert found.middle == pytest.approx(median(values))
