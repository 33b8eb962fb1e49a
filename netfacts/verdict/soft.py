"""Judges what was measured. Softly: a figure is contradicted only where three quarters of the rounds contradict it.

A machine that does something else meanwhile, or is slow, disturbs single rounds, and all that is measured in a round.
So what is judged are the ratios within rounds, and of these the best quarter decides.
"""

from __future__ import annotations

from netfacts.model.rounds import FEWEST, Rounds, quartiles
from netfacts.model.verdict import Observation


def at_least(what: str, rounds: Rounds, one: str, other: str, bound: float, *, vantage: object = "") -> Observation:
    """Observe that one is at least so many times as much as the other, by the best quarter of the rounds."""
    ratios = rounds.ratios(one, other)
    agrees = len(ratios) >= FEWEST and quartiles(ratios).high >= bound
    return _observation(f"{what}, {one} : {other}", f"at least {bound}", ratios, agrees=agrees, vantage=vantage)


def at_most(what: str, rounds: Rounds, one: str, other: str, bound: float, *, vantage: object = "") -> Observation:
    """Observe that one is at most so many times as much as the other, by the best quarter of the rounds."""
    ratios = rounds.ratios(one, other)
    agrees = len(ratios) >= FEWEST and quartiles(ratios).low <= bound
    return _observation(f"{what}, {one} : {other}", f"at most {bound}", ratios, agrees=agrees, vantage=vantage)


def _observation(what: str, bound: str, ratios: list[float], *, agrees: bool, vantage: object) -> Observation:
    observed = f"{len(ratios)} rounds"
    if ratios:
        half = quartiles(ratios)
        observed = f"{half.middle:.2f}, half within {half.low:.2f}–{half.high:.2f} ({observed})"
    return Observation(
        what=what,
        vantage=str(vantage),
        expected=f"{bound}, in a quarter of the rounds",
        observed=observed,
        agrees=agrees,
    )
