"""What was measured in turns, round by round: what disturbs a machine for a while disturbs all of it alike."""

from __future__ import annotations

from math import isfinite
from statistics import median, quantiles

import msgspec

FEWEST = 8
"""Of fewer rounds nothing is said: chance could contradict as many."""


class Quartiles(msgspec.Struct, frozen=True, kw_only=True):
    """What a quarter, half and three quarters of some values lie below."""

    low: float
    middle: float
    high: float


class Rounds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A quantity of several things: `series` maps the label of each to its values, one for each round."""

    unit: str
    series: dict[str, list[float]]

    def ratios(self, one: str, other: str) -> list[float]:
        """Give how many times as much one was as the other, by round."""
        pairs = zip(self.series.get(one, ()), self.series.get(other, ()), strict=False)
        return [mine / yours for mine, yours in pairs if yours > 0 and isfinite(mine) and isfinite(yours)]

    def words(self, one: str, other: str) -> str:
        """Say what the medians of the two were, and how far the ratios of the rounds lie apart."""
        ratios = self.ratios(one, other)
        if not ratios:
            return "no round was completed"
        half = quartiles(ratios)
        each = ", ".join(f"{label} {median(self.series[label]):.3g} {self.unit}" for label in (one, other))
        return f"{each}; half of {len(ratios)} rounds within {half.low:.2f}–{half.high:.2f}"


def quartiles(values: list[float]) -> Quartiles:
    """Give the quartiles of at least one value."""
    if len(values) == 1:
        return Quartiles(low=values[0], middle=values[0], high=values[0])
    low, middle, high = quantiles(values, method="inclusive")
    return Quartiles(low=low, middle=middle, high=high)
