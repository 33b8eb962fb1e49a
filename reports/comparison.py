"""Two records become a comparison: what changed of each fact, of times, of how the engine sets its machine up. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec

from netfacts.model.errors import EngineError, UsageError
from netfacts.model.fact import engine_version
from netfacts.model.record import FactLine
from netfacts.model.verdict import Verdict
from reports.portrait import Portrait, portraits
from reports.record import Record
from reports.side import UNKNOWN, Side, named, sides
from reports.timing import Timing, timings
from reports.wording import VERDICTS, count


class Change(StrEnum):
    """What became of a fact between two runs."""

    REGRESSED = "regressed"
    """The engine did as documented and does not any more."""
    LOST = "lost"
    """There was an answer, and there is none now."""
    FIXED = "fixed"
    """The engine did not do as documented and does now."""
    CHANGED_AS_DOCUMENTED = "changed_as_documented"
    """The engine does otherwise than before, and both times as documented."""
    NEW = "new"
    """There was no answer, and there is one now."""
    UNCHANGED = "unchanged"


_DEVIATING = {Change.NEW: "new_deviating", Change.UNCHANGED: "still_deviating"}
KINDS = (
    "regressed",
    "lost",
    "new_deviating",
    "still_deviating",
    "unclear",
    "fixed",
    "changed_as_documented",
    "new",
    "unchanged",
)
"""Changes from worst to best: of several that are seen of one fact, the first stands for it."""


class FactChange(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one fact. `reason` says why, `source` where a change is documented."""

    fact: str
    area: str
    claim: str
    change: Change
    before: Side
    after: Side
    reason: str = ""
    source: str = ""

    @property
    def worrying(self) -> bool:
        """Whether someone should look at it before going on: it regressed, was lost, or deviates now."""
        return self.change in (Change.REGRESSED, Change.LOST) or self.after.deviates

    @property
    def kind(self) -> str:
        """Its change, told apart further by what the fact comes to now: one of KINDS."""
        return kind(self.change, self.after)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All that two runs differ in; `warnings` say what makes them hard to compare."""

    facts: tuple[FactChange, ...]
    timings: tuple[Timing, ...]
    portraits: tuple[Portrait, ...]
    warnings: tuple[str, ...]

    def of(self, change: Change) -> tuple[FactChange, ...]:
        """Give the facts of which this became."""
        return tuple(fact for fact in self.facts if fact.change is change)


def kind(change: Change, after: Side) -> str:
    """Tell what is new or as it was apart by what the fact comes to now; gives one of KINDS."""
    if after.deviates and change in _DEVIATING:
        return _DEVIATING[change]
    return "unclear" if after.inconclusive and change is Change.UNCHANGED else change.value


def compare(before: Record, after: Record) -> Comparison:
    """Compare two runs.

    Facts that neither run selected are left out.

    Raises: UsageError for a record of sabotages, whose engines were broken on purpose.
    """
    for record in (before, after):
        refuse_sabotage(record)
    return Comparison(
        facts=tuple(changes(lines(before, after), sides(before), sides(after))),
        timings=timings(before, after),
        portraits=portraits(before.portraits, after.portraits),
        warnings=tuple(_warnings(before, after)),
    )


def refuse_sabotage(record: Record) -> None:
    """Raise a UsageError for a record of sabotages."""
    if record.sabotages:
        raise UsageError(
            "a record of sabotages can't be compared",
            where=f"run {record.run.run_id}",
            returned="its engines were broken on purpose: it says whether checks notice, and nothing of an engine",
            remedy="give the record of a `netfacts run`",
        )


def lines(*records: Record) -> dict[str, FactLine]:
    """Give each fact as the last of the records has it, in the catalogue's order; then those it has no more."""
    found: dict[str, FactLine] = {}
    for record in reversed(records):
        for fact in record.facts:
            found.setdefault(fact.fact, fact)
    return found


def changes(
    known: Mapping[str, FactLine], before: Mapping[str, Side], after: Mapping[str, Side]
) -> Iterator[FactChange]:
    """Say of each fact what became of it; facts that both sides know nothing of are left out."""
    for fact, line in known.items():
        pair = before.get(fact, UNKNOWN), after.get(fact, UNKNOWN)
        if any(side.verdict is not None for side in pair):
            yield fact_change(line, *pair)


def fact_change(line: FactLine, before: Side, after: Side) -> FactChange:
    """Say what became of a fact between two sides."""
    change = change_of(before, after)
    return FactChange(
        fact=line.fact,
        area=line.area,
        claim=line.claim,
        change=change,
        before=before,
        after=after,
        reason=_reason(change, before, after),
        source=(after.source or before.source) if before.expected is not after.expected else "",
    )


def change_of(before: Side, after: Side) -> Change:
    """Say what became of a fact: a truth table of two sides.

    What is documented to be absent was not put to the engine, so there was no answer that could be lost; and what
    comes from there and deviates is new, for nobody has relied on it.
    """
    if before.documented and after.documented:
        return Change.UNCHANGED if before.expected is after.expected else Change.CHANGED_AS_DOCUMENTED
    if before.deviates and after.documented:
        return Change.FIXED
    if before.concluded and after.concluded:
        return Change.REGRESSED if before.documented else Change.UNCHANGED
    if before.concluded:
        return Change.LOST
    return Change.NEW if after.concluded else Change.UNCHANGED


def _reason(change: Change, before: Side, after: Side) -> str:
    match change:
        case Change.REGRESSED:
            # Holding where it did, and failing where it did: the change that is documented did not come.
            same = "" if before.expected is after.expected else "as before, though documented to be otherwise now: "
            return same + _some_cases(before, after) + _told(after)
        case Change.LOST:
            return _some_cases(before, after) + _no_answer(after)
        case Change.FIXED:
            gone = "what it speaks of does not exist any more, as documented; " if after.absent else ""
            return f"{gone}deviated before: {before.reason or 'no reason was recorded'}"
        case Change.NEW:
            known = "documented not to exist before" if before.absent else f"before: {_no_answer(before)}"
            return f"{_told(after)} ({known})" if after.deviates else known
        case Change.CHANGED_AS_DOCUMENTED:
            return _other_cases(before, after)
        case Change.UNCHANGED:
            if after.deviates:
                return f"still deviates: {_told(after)}" + _behind(_other_cases(before, after))
            if before.documented and after.documented:
                return _other_cases(before, after)
            return f"no answer on either side: {_no_answer(after)}"


def _told(side: Side) -> str:
    return side.reason or "no reason was recorded"


def _no_answer(side: Side) -> str:
    if side.verdict is None:
        return side.reason
    if side.absent:
        return "documented not to exist"
    return f"{VERDICTS[side.verdict][1]}: {_told(side)}"


def _some_cases(before: Side, after: Side) -> str:
    """Name the cases behind a changed verdict, where others are as they were."""
    if len(after.cases) < 2:
        return ""
    deciding = [case for case, verdict in after.cases.items() if verdict is after.verdict]
    changed = [case for case in deciding if before.cases.get(case) is not after.verdict]
    if not changed or len(changed) == len(after.cases):
        return ""
    return f"{len(changed)} of {count(len(after.cases), 'case')} ({named(changed)}): "


def _other_cases(before: Side, after: Side) -> str:
    """Name the cases that changed below a verdict that did not."""
    if not before.concluded or not after.concluded or max(len(before.cases), len(after.cases)) < 2:
        return ""
    found: dict[str, list[str]] = {}
    for case, verdict in sorted(after.cases.items(), key=lambda pair: list(VERDICTS).index(pair[1])):
        earlier = before.cases.get(case)
        if earlier is None and verdict is Verdict.DEVIATES:
            found.setdefault("deviates and was not there before", []).append(case)
        elif earlier not in (None, verdict):
            found.setdefault(f"{VERDICTS[verdict][1]} now", []).append(case)
    gone = [case for case in before.cases if case not in after.cases]
    if gone:
        found["not there any more"] = gone
    return "; ".join(f"{count(len(cases), 'case')} {words}: {named(cases)}" for words, cases in found.items())


def _behind(text: str) -> str:
    return f" – {text}" if text else ""


def _warnings(before: Record, after: Record) -> Iterator[str]:
    for record, which in ((before, "before"), (after, "after")):
        if record.interrupted:
            yield (
                f"The run {which} was interrupted: facts that it did not come to have no verdict there"
                + (" and count as lost." if record is after else ".")
            )
        if record.run.predecessor is not None:
            yield (
                f"In the run {which} one engine took another's place: what it judged of that one's containers"
                " stands among the cases."
            )
    yield from differences(before, after)
    selected = [{fact.fact for fact in record.facts if fact.selected} for record in (before, after)]
    only = len(selected[0] - selected[1]), len(selected[1] - selected[0])
    if any(only):
        yield (f"The runs did not select the same facts: {only[0]} were selected before alone, {only[1]} after alone.")


def differences(before: Record, after: Record) -> Iterator[str]:
    """Say what else than the engine's version differs between two runs, and so may be why they differ."""
    one, other = before.run, after.run
    if one.target != other.target:
        yield (
            f"The targets differ ({one.target}, {other.target}): what else is on a machine, its firewall above all,"
            " may be why facts differ."
        )
    for what, first, second in (
        ("kernels", one.kernel, other.kernel),
        ("machines", one.machine, other.machine),
        ("firewalls", one.engine.firewall, other.engine.firewall),
        ("storage drivers", one.engine.storage, other.engine.storage),
        ("engine's flags", " ".join(one.engine.flags) or "none", " ".join(other.engine.flags) or "none"),
        ("versions of netfacts", one.netfacts, other.netfacts),
    ):
        if first != second and first and second:
            yield f"The {what} differ: {first} before, {second} after."
    changed = _reworded(before, after)
    if changed:
        yield f"{count(changed, 'fact claims', 'facts claim')} something else in the two catalogues."
    if _older(after.run.engine.version, before.run.engine.version):
        yield (
            f"{other.engine.version} is older than {one.engine.version}: this compares a way back, and Docker"
            " documents none."
        )


def _reworded(before: Record, after: Record) -> int:
    claims = {fact.fact: fact.claim for fact in before.facts}
    return sum(claims.get(fact.fact, fact.claim) != fact.claim for fact in after.facts)


def _older(version: str, other: str) -> bool:
    try:
        return engine_version(version) < engine_version(other)
    except EngineError:
        return False
