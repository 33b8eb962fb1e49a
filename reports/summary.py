"""What a run comes to: one verdict per fact, and how many there are of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from netfacts.model.record import EndLine, FactLine, HostLine, SabotageLine
from netfacts.model.verdict import Finding, Verdict
from netfacts.verdict.merge import merge

ENDED_BEFORE = "the run ended before it"
"""Why a selected fact of an interrupted run has no verdict."""
NO_VERDICT = "no verdict was recorded for it"
"""Why a selected fact of a finished run has none: its check is missing, or failed outside the harness's sight."""

_WORST_FIRST = (Verdict.DEVIATES, Verdict.INCONCLUSIVE, Verdict.CONFORMS, Verdict.NOT_EXERCISED)


@dataclass(frozen=True)
class Totals:
    """Selected facts by verdict. `exercised` are all that came to a verdict, inconclusive ones too."""

    total: int
    exercised: int
    conforms: int
    deviates: int
    inconclusive: int
    not_exercised: int

    def of(self, verdict: Verdict) -> int:
        """Give the number of facts with this verdict."""
        return {
            Verdict.CONFORMS: self.conforms,
            Verdict.DEVIATES: self.deviates,
            Verdict.INCONCLUSIVE: self.inconclusive,
            Verdict.NOT_EXERCISED: self.not_exercised,
        }[verdict]


@dataclass(frozen=True)
class Judged:
    """A fact with its cases and the one verdict they come to; the worst cases come first."""

    fact: FactLine
    verdict: Verdict
    cases: tuple[Finding, ...]
    reason: str

    @property
    def cases_exercised(self) -> int:
        """The number of cases that were not left out."""
        return sum(case.verdict is not Verdict.NOT_EXERCISED for case in self.cases)

    @property
    def duration_s(self) -> float:
        """The time that all cases took together."""
        return sum(case.duration_s for case in self.cases)


@dataclass(frozen=True)
class Area:
    """The judged facts of one area; the worst come first."""

    name: str
    facts: tuple[Judged, ...]
    totals: Totals


@dataclass(frozen=True)
class Summary:
    """A run's facts by area; areas with deviating facts come first, else all is in the order of the catalogue."""

    totals: Totals
    areas: tuple[Area, ...]
    unselected: tuple[FactLine, ...]

    @property
    def facts(self) -> tuple[Judged, ...]:
        """All selected facts, in the order of the page."""
        return tuple(judged for area in self.areas for judged in area.facts)


def summarise(facts: Iterable[FactLine], findings: Iterable[Finding], *, interrupted: bool) -> Summary:
    """Give one verdict per selected fact, and the totals.

    Facts that were not selected count nowhere and are listed apart. A selected fact without a finding counts as not
    exercised.
    """
    cases: dict[str, list[Finding]] = {}
    for finding in findings:
        cases.setdefault(finding.fact, []).append(finding)
    facts = list(facts)
    areas: dict[str, list[Judged]] = {}
    for fact in facts:
        if fact.selected:
            judged = _judge(fact, cases.get(fact.fact, []), interrupted=interrupted)
            areas.setdefault(fact.area, []).append(judged)
    ordered = sorted(
        (
            Area(name, tuple(sorted(members, key=lambda judged: _WORST_FIRST.index(judged.verdict))), _count(members))
            for name, members in areas.items()
        ),
        key=lambda area: area.totals.deviates == 0,
    )
    return Summary(
        totals=_count([judged for area in ordered for judged in area.facts]),
        areas=tuple(ordered),
        unselected=tuple(fact for fact in facts if not fact.selected),
    )


def exit_code(end: EndLine, sabotages: Sequence[SabotageLine], host: HostLine | None = None) -> int:
    """0 all conform, 1 a fact deviates or a sabotage survives, 2 interrupted, 3 inconclusive, 5 nothing exercised.

    3 as well where a `host` that was only visited is not as it was before, whatever the facts.
    """
    if end.interrupted:
        return 2
    if host is not None and not host.is_as_before:
        return 3
    if sabotages:
        tried = [line for line in sabotages if line.tried]
        return 5 if not tried else int(not all(line.killed for line in tried))
    if end.facts[Verdict.DEVIATES.value]:
        return 1
    if end.facts[Verdict.INCONCLUSIVE.value]:
        return 3
    return 0 if end.facts["exercised"] else 5


def _judge(fact: FactLine, cases: Sequence[Finding], *, interrupted: bool) -> Judged:
    if not cases:
        return Judged(fact, Verdict.NOT_EXERCISED, (), ENDED_BEFORE if interrupted else NO_VERDICT)
    ordered = sorted(cases, key=lambda case: _WORST_FIRST.index(case.verdict))
    verdict = merge(case.verdict for case in ordered)
    reasons = dict.fromkeys(case.reason for case in ordered if case.verdict is verdict and case.reason)
    return Judged(fact, verdict, tuple(ordered), "; ".join(reasons))


def _count(facts: Sequence[Judged]) -> Totals:
    by = Counter(judged.verdict for judged in facts)
    left_out = by[Verdict.NOT_EXERCISED]
    return Totals(
        total=len(facts),
        exercised=len(facts) - left_out,
        conforms=by[Verdict.CONFORMS],
        deviates=by[Verdict.DEVIATES],
        inconclusive=by[Verdict.INCONCLUSIVE],
        not_exercised=left_out,
    )
