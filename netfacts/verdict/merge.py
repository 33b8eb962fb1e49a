"""Several cases of one fact become one verdict."""

from __future__ import annotations

from collections.abc import Iterable

from netfacts.model.verdict import Verdict

_STRONGEST_FIRST = (Verdict.DEVIATES, Verdict.INCONCLUSIVE, Verdict.CONFORMS)


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """Give the one verdict of a fact: deviates beats inconclusive beats conforms beats not exercised.

    No verdicts at all are a fact that was not exercised.
    """
    seen = set(verdicts)
    return next((verdict for verdict in _STRONGEST_FIRST if verdict in seen), Verdict.NOT_EXERCISED)
