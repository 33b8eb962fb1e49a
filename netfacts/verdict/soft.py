"""Judges what was measured. Softly: a figure is contradicted only where more than three quarters of the rounds do so.

A machine that is slow, or does something else meanwhile, disturbs all that is measured in a round, and single rounds
more than others. So what is judged are the ratios within rounds, and a quarter of these that agrees is enough.
"""

from __future__ import annotations

from collections.abc import Callable

from netfacts.model.rounds import FEWEST, Rounds, quartiles
from netfacts.model.verdict import Observation


def at_least(what: str, rounds: Rounds, one: str, other: str, bound: float, *, vantage: object = "") -> Observation:
    """Observe that one is at least so many times as much as the other, softly."""
    return _observation(
        f"{what}, {one} : {other}",
        rounds.ratios(one, other),
        f"at least {bound}",
        lambda ratio: ratio >= bound,
        vantage,
    )


def at_most(what: str, rounds: Rounds, one: str, other: str, bound: float, *, vantage: object = "") -> Observation:
    """Observe that one is at most so many times as much as the other, softly."""
    return _observation(
        f"{what}, {one} : {other}", rounds.ratios(one, other), f"at most {bound}", lambda ratio: ratio <= bound, vantage
    )


def _observation(
    what: str, ratios: list[float], bound: str, agrees: Callable[[float], bool], vantage: object
) -> Observation:
    observed = f"{len(ratios)} rounds"
    if ratios:
        half = quartiles(ratios)
        observed = f"{half.middle:.2f}, half within {half.low:.2f}–{half.high:.2f} ({observed})"
    return Observation(
        what=what,
        vantage=str(vantage),
        expected=f"{bound}, in a quarter of the rounds",
        observed=observed,
        agrees=len(ratios) >= FEWEST and 4 * sum(map(agrees, ratios)) >= len(ratios),
    )
