"""Judges what was measured. Softly: a figure is contradicted only where two things contradict it.

- More than three quarters of the ratios within rounds. What disturbs a machine for a while disturbs all that is
  measured in a round, and single rounds more than others.
- The values of all rounds: their middle halves lie apart by more than the bound. Where what is measured varies more
  than that by itself, nothing is to be seen.
"""

from __future__ import annotations

from collections.abc import Callable

from netfacts.model.rounds import FEWEST, Quartiles, Rounds, quartiles
from netfacts.model.verdict import Observation


def at_least(what: str, rounds: Rounds, one: str, other: str, bound: float, *, vantage: object = "") -> Observation:
    """Observe that one is at least so many times as much as the other, softly."""
    return _observe(
        (what, rounds, one, other),
        f"at least {bound}",
        ratio_agrees=lambda ratio: ratio >= bound,
        apart=lambda mine, theirs: mine.high < bound * theirs.low,
        vantage=vantage,
    )


def at_most(what: str, rounds: Rounds, one: str, other: str, bound: float, *, vantage: object = "") -> Observation:
    """Observe that one is at most so many times as much as the other, softly."""
    return _observe(
        (what, rounds, one, other),
        f"at most {bound}",
        ratio_agrees=lambda ratio: ratio <= bound,
        apart=lambda mine, theirs: mine.low > bound * theirs.high,
        vantage=vantage,
    )


def _observe(
    measured: tuple[str, Rounds, str, str],
    bound: str,
    *,
    ratio_agrees: Callable[[float], bool],
    apart: Callable[[Quartiles, Quartiles], bool],
    vantage: object,
) -> Observation:
    what, rounds, one, other = measured
    ratios = rounds.ratios(one, other)
    observed, agrees = f"{len(ratios)} rounds", False
    if ratios:
        half = quartiles(ratios)
        observed = f"{half.middle:.2f}, half within {half.low:.2f}–{half.high:.2f} ({observed})"
    if len(ratios) >= FEWEST:
        contradicted = 4 * sum(map(ratio_agrees, ratios)) < len(ratios)
        agrees = not (contradicted and apart(quartiles(rounds.series[one]), quartiles(rounds.series[other])))
    return Observation(
        what=f"{what}, {one} : {other}",
        vantage=str(vantage),
        expected=f"{bound}, in a quarter of the rounds or within their spread",
        observed=observed,
        agrees=agrees,
    )
