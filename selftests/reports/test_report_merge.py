"""Cases of a fact merge to one verdict."""

from __future__ import annotations

from itertools import permutations

import pytest

from netfacts.model.verdict import Verdict
from netfacts.verdict.merge import merge

C, D, U, N = Verdict.CONFORMS, Verdict.DEVIATES, Verdict.INCONCLUSIVE, Verdict.NOT_EXERCISED


@pytest.mark.parametrize(
    ("cases", "verdict"),
    [
        ((), N),
        ((N,), N),
        ((N, N), N),
        ((C,), C),
        ((C, N), C),
        ((U, N), U),
        ((U, C), U),
        ((D, N), D),
        ((D, C), D),
        ((D, U), D),
        ((D, U, C, N), D),
        ((U, C, N), U),
    ],
)
def test_merge_gives_the_strongest_verdict_in_any_order(cases: tuple[Verdict, ...], verdict: Verdict) -> None:
    """Deviates beats inconclusive beats conforms beats not exercised, in whatever order cases fall."""
    assert {merge(order) for order in permutations(cases)} == {verdict}


def test_merge_reads_an_iterator_once() -> None:
    """A generator is as good as a list."""
    assert merge(verdict for verdict in [C, D, C]) is D
