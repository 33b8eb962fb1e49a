"""What one run says of one fact: the side that a comparison has two of."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from netfacts.model.record import FactLine, VerdictLine
from netfacts.model.verdict import Expected, Verdict
from reports.record import Record
from reports.summary import Judged, summarise

NOT_SELECTED = "not selected in that run"
NOT_IN_CATALOGUE = "the catalogue of that run does not have it"

_MOST_CASES = 4


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A fact as one run judged it. Without a verdict the run knows nothing of it, and `reason` says why.

    `cases` maps each case to its verdict, `evidence` names what the deciding cases have brought along.
    """

    verdict: Verdict | None = None
    expected: Expected = Expected.HOLDS
    source: str = ""
    reason: str = ""
    cases: dict[str, Verdict] = {}
    evidence: list[str] = []
    recorded: bool = True
    """Whether a check said so; else the run ended before it or never had a check for it."""

    @property
    def concluded(self) -> bool:
        """Whether the fact was put to the engine and an answer came back."""
        return self.verdict in (Verdict.CONFORMS, Verdict.DEVIATES)

    @property
    def deviates(self) -> bool:
        """Whether the engine contradicts the catalogue."""
        return self.verdict is Verdict.DEVIATES

    @property
    def inconclusive(self) -> bool:
        """Whether it was tried to no avail."""
        return self.verdict is Verdict.INCONCLUSIVE

    @property
    def absent(self) -> bool:
        """Whether it is documented that the engine does not have what the fact speaks of."""
        return self.verdict is Verdict.NOT_EXERCISED and self.expected is Expected.ABSENT and self.recorded

    @property
    def documented(self) -> bool:
        """Whether the engine is as the catalogue says."""
        return self.verdict is Verdict.CONFORMS or self.absent


UNKNOWN = Side(reason=NOT_IN_CATALOGUE)
"""The side of a run that does not know a fact."""


def sides(record: Record) -> dict[str, Side]:
    """Give all facts of a record, in the catalogue's order; facts that were not selected have no verdict.

    In a record of one engine taking another's place, what was carried over and what was built anew are cases of
    the same fact.
    """
    judged = _judge(record, [_named(line) if line.carried else line for line in record.verdicts])
    return {
        fact.fact: _side(fact, judged[fact.fact]) if fact.fact in judged else Side(reason=NOT_SELECTED)
        for fact in record.facts
    }


def taken_over(record: Record, predecessor: Record, *, carried: bool) -> dict[str, Side]:
    """Give the facts that were put to an engine after it had taken another's place.

    `carried` chooses between what the predecessor had built and what was built anew. Facts that were left out there say
    nothing about it, unless the run was interrupted before them.
    """
    lines = [line for line in record.verdicts if line.carried is carried]
    sources = {fact.fact: fact for fact in predecessor.facts}
    found: dict[str, Side] = {}
    for fact, judged in _judge(record, lines).items():
        side = _side(judged.fact, judged, sources.get(fact))
        told = side.verdict is not Verdict.NOT_EXERCISED or side.absent
        if told or (not side.recorded and record.interrupted):
            found[fact] = side
    return found


def named(cases: Iterable[str]) -> str:
    """Name some cases."""
    names = [case or "(unnamed case)" for case in cases]
    rest = len(names) - _MOST_CASES
    return ", ".join(names[:_MOST_CASES]) + (f" and {rest} more" if rest > 0 else "")


def _named(line: VerdictLine) -> VerdictLine:
    return msgspec.structs.replace(line, case=f"carried {line.case}".rstrip())


def _judge(record: Record, lines: list[VerdictLine]) -> dict[str, Judged]:
    summary = summarise(record.facts, lines, interrupted=record.interrupted)
    return {judged.fact.fact: judged for judged in summary.facts}


def _side(fact: FactLine, judged: Judged, predecessor: FactLine | None = None) -> Side:
    # What a predecessor has built may be expected to stay as that one made it.
    expected = judged.cases[0].expected if judged.cases else fact.expected
    source = fact.expected_source
    if expected is not fact.expected:
        # And what the takeover itself ends holds for neither engine by itself: then the fact's own sources say so.
        source = next((one for one in fact.sources if "://" in one), "")
        if predecessor and predecessor.expected is expected:
            source = predecessor.expected_source
    deciding = [case for case in judged.cases if case.verdict is judged.verdict]
    cases: dict[str, Verdict] = {}
    # The worst comes first, and a case that was recorded twice is as bad as that.
    for case in judged.cases:
        cases.setdefault(case.case, case.verdict)
    return Side(
        verdict=judged.verdict,
        expected=expected,
        source=source,
        reason=_without(fact.claim, judged.reason),
        cases=dict(sorted(cases.items())) if len(cases) > 1 else cases,
        evidence=list(dict.fromkeys(one.title for case in deciding for one in case.evidence))
        if judged.verdict in (Verdict.DEVIATES, Verdict.INCONCLUSIVE)
        else [],
        recorded=bool(judged.cases),
    )


def _without(claim: str, reason: str) -> str:
    # A deviation's reason repeats what it contradicts, which stands beside it wherever a side is shown.
    return reason.replace(f"{claim}\n", "").replace(f": {claim}", "") if claim else reason
