"""Puts the sheet of a comparison together from records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from netfacts.model.record import FactLine, VerdictLine
from reports import change_wording
from reports.comparison import (
    KINDS,
    Change,
    Comparison,
    FactChange,
    compare,
    differences,
    fact_change,
    lines,
    refuse_sabotage,
)
from reports.portrait import portraits
from reports.record import Record
from reports.sheet import PLACES, Column, FactRow, Figure, Run, Seen, Sheet, Value
from reports.side import UNKNOWN, Side, sides, taken_over
from reports.summary import summarise
from reports.timing import WHOLE_RUN, Spread, timings, took


def of_two(before: Record, after: Record, *, pages: Mapping[str, str]) -> Sheet:
    """Give the sheet of two runs; `pages` maps `before` and `after` to where their pages are."""
    return _sheet("compare", {"before": before, "after": after}, compare(before, after), pages)


def of_upgrade(records: Mapping[str, Record], *, pages: Mapping[str, str]) -> Sheet:
    """Give the sheet of an upgrade from its records: `before`, `after`, and where they are `carried` and `back`."""
    for record in records.values():
        refuse_sabotage(record)
    return _sheet("upgrade", records, compare(records["before"], records["after"]), pages)


def _sheet(what: str, records: Mapping[str, Record], fresh: Comparison, pages: Mapping[str, str]) -> Sheet:
    before, after = records["before"], records["after"]
    carried, back = records.get("carried"), records.get("back")
    columns = list(_columns(what, records))
    cells = {"before": sides(before), "after": sides(after)}
    for role, record, builder in (("carried", carried, before), ("back", back, after)):
        if record is not None:
            cells[f"{role}_old"] = taken_over(record, builder, carried=True)
            cells[f"{role}_new"] = taken_over(record, builder, carried=False)
    rows = [_row(line, cells) for line in lines(*filter(None, (back, carried, before, after))).values()]
    rows = [row for row in rows if row.seen or row.back]
    counts = Counter(row.kind for row in rows if row.seen)
    runs = [_run(role, record, pages.get(role, "")) for role, record in records.items()]
    return Sheet(
        kind=what,
        headline=change_wording.headline(
            counts,
            before.run.engine,
            after.run.engine,
            interrupted=any(record.interrupted for role, record in records.items() if role != "back"),
            nothing=_nothing(rows),
            fresh_only=what == "upgrade" and carried is None,
        ),
        exit_code=_exit_code(rows),
        counts={one: counts[one] for one in KINDS},
        warnings=[*fresh.warnings, *_warnings(records)],
        runs=runs,
        columns=columns,
        facts=rows,
        figures=_figures(records),
        timings=list(timings(before, after)),
        took={role: _operations(records[role]) for role in ("carried", "back") if role in records},
        portraits=list(fresh.portraits),
        upgraded=list(portraits(after.portraits, carried.portraits)) if carried and carried.portraits else [],
    )


def _columns(what: str, records: Mapping[str, Record]) -> Iterator[Column]:
    before, after = change_wording.versions(records["before"].run.engine, records["after"].run.engine)
    yield Column(key="before", role="before", version=before, words="before" if what == "compare" else "fresh")
    yield Column(key="after", role="after", version=after, words="after" if what == "compare" else "fresh")
    if "carried" in records:
        yield Column(key="carried_old", role="carried", version=after, words=f"on what {before} built")
        yield Column(key="carried_new", role="carried", version=after, words="built anew after that")
    if "back" in records:
        yield Column(key="back_old", role="back", version=before, words=f"back, on what {after} built")
        yield Column(key="back_new", role="back", version=before, words="back, built anew")


def _run(role: str, record: Record, page: str) -> Run:
    run = record.run
    totals = summarise(record.facts, record.verdicts, interrupted=record.interrupted).totals
    return Run(
        role=role,
        page=page,
        run_id=run.run_id,
        engine=run.engine,
        predecessor=run.predecessor,
        target=run.target,
        kernel=run.kernel,
        machine=run.machine,
        started_at=run.started_at,
        netfacts=run.netfacts,
        interrupted=record.interrupted,
        duration_s=record.end.duration_s if record.end else None,
        total=totals.total,
        exercised=totals.exercised,
        redacted=run.redacted,
    )


def _row(line: FactLine, cells: Mapping[str, Mapping[str, Side]]) -> FactRow:
    own = {key: column[line.fact] for key, column in cells.items() if line.fact in column}
    seen = list(_seen(line, own, tuple(PLACES.items())))
    worst = min(seen, key=lambda one: KINDS.index(one.kind), default=None)
    return FactRow(
        fact=line.fact,
        area=line.area,
        claim=line.claim,
        kind=worst.kind if worst else "unchanged",
        change=worst.change if worst else Change.UNCHANGED,
        deviates=any(own[one.after].deviates for one in seen if one.after in own),
        where=[one.where for one in seen if worst and one.kind == worst.kind],
        before=worst.before if worst else "",
        after=worst.after if worst else "",
        reason=worst.reason if worst else "",
        source=worst.source if worst else "",
        seen=seen,
        back=list(_seen(line, own, (("back_old", "back_old"), ("back_new", "back_new")))),
        cells=own,
    )


def _seen(line: FactLine, cells: Mapping[str, Side], places: tuple[tuple[str, str], ...]) -> Iterator[Seen]:
    for where, after in places:
        # Of a run with an engine in another's place a fact is told only if it was looked at there.
        if after != "after" and after not in cells:
            continue
        before = _baseline(cells, after)
        found: FactChange = fact_change(line, cells.get(before, UNKNOWN), cells.get(after, UNKNOWN))
        if found.before.verdict is None and found.after.verdict is None:
            continue
        yield Seen(
            where=where,
            kind=found.kind,
            change=found.change,
            before=before,
            after=after,
            reason=found.reason,
            source=found.source,
        )


def _baseline(cells: Mapping[str, Side], after: str) -> str:
    """Give the column that another is compared with: A's, unless only a fresh B has an answer to what B built."""
    if after == "carried_new" and not cells.get("before", UNKNOWN).concluded and cells.get("after", UNKNOWN).concluded:
        return "after"
    return "before"


def _nothing(rows: list[FactRow]) -> bool:
    """Whether no fact came to an answer on the engine after."""
    counted = [row.cells[one.after] for row in rows for one in row.seen if one.after in row.cells]
    return not any(side.concluded or side.inconclusive for side in counted)


def _exit_code(rows: list[FactRow]) -> int:
    if any(row.kind == "regressed" for row in rows):
        return 6
    if any(row.deviates for row in rows):
        return 1
    if any(_not_found_out(row, one) for row in rows for one in row.seen):
        return 3
    return 5 if _nothing(rows) else 0


def _not_found_out(row: FactRow, seen: Seen) -> bool:
    """Whether something could not be found out after that was not as unclear before."""
    after = row.cells.get(seen.after, UNKNOWN)
    before = row.cells.get(seen.before, UNKNOWN)
    unfinished = seen.change is Change.LOST and after.verdict is not None and not after.recorded
    return unfinished or (after.inconclusive and not before.inconclusive)


def _warnings(records: Mapping[str, Record]) -> Iterator[str]:
    after = records["after"].run.engine
    for role, words, judged, built in (
        ("carried", "the upgrade in place", "after", "before"),
        ("back", "the way back", "before", "after"),
    ):
        record = records.get(role)
        if record is None:
            continue
        if record.interrupted:
            yield f"The run of {words} was interrupted: facts that it did not come to have no verdict there."
        engines = [(record.run.engine, records[judged].run.engine)]
        if record.run.predecessor is None:
            yield f"The record of {words} names no engine whose place was taken: was it one?"
        else:
            engines.append((record.run.predecessor, records[built].run.engine))
        for found, fresh in engines:
            if found.version != fresh.version:
                yield f"In {words} there was an engine {found.version}, and the fresh one was {fresh.version}."
        yield from (f"In {words}: {one}" for one in _machine(records[judged], record))
    if "carried" not in records and any(record.run.predecessor for record in records.values()):
        yield f"No run with {after.version} in another engine's place: what happens to running containers is not known."


def _machine(fresh: Record, record: Record) -> list[str]:
    told = ("The targets", "The kernels", "The machines", "The firewalls", "The storage")
    return [one for one in differences(fresh, record) if one.startswith(told)]


def _operations(record: Record) -> dict[str, Spread]:
    # How long such a run takes as a whole compares with nothing: it exercises some facts twice and others never.
    return {operation: spread for operation, spread in took(record).items() if operation != WHOLE_RUN}


def _figures(records: Mapping[str, Record]) -> list[Figure]:
    found: dict[tuple[str, str, str, str, bool, int], dict[str, Value]] = {}
    for role, record in records.items():
        times: Counter[tuple[str | bool, ...]] = Counter()
        for line in record.verdicts:
            column = _column_of(role, line)
            for one in line.measured:
                key = (line.fact, line.case, one.what, one.unit, one.rounds is not None)
                nth = times[column, *key]
                times[column, *key] += 1
                found.setdefault((*key, nth), {})[column] = Value(value=one.value, detail=one.detail)
    return [
        Figure(fact=fact, case=case, what=what, unit=unit, values=values, ratio=ratio)
        for (fact, case, what, unit, ratio, _), values in found.items()
    ]


def _column_of(role: str, line: VerdictLine) -> str:
    if role in ("carried", "back"):
        return f"{role}_{'old' if line.carried else 'new'}"
    return role
