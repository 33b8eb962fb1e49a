"""A record as one HTML page that needs nothing else: no network, no font, no script to be read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from netfacts.model.verdict import Finding, Scene, Verdict
from reports import html, wording
from reports.picture import Picture, picture
from reports.record import Record, locate, read
from reports.summary import Judged, summarise


def render(record: Record) -> str:
    """Give the page of a record, the same byte for byte whenever it is asked for."""
    summary = summarise(record.facts, record.verdicts, interrupted=record.interrupted)
    return html.page(
        "page.html.j2",
        styles=("page.css",),
        script="page.js",
        record=record,
        run=record.run,
        engine=record.run.engine,
        summary=summary,
        headline=wording.headline(summary.totals, record),
        missing=_missing(record),
        slowest=_slowest(record, summary.facts),
        sabotages=sorted((line for line in record.sabotages if line.tried), key=lambda line: line.killed),
        known={fact.fact for fact in record.facts},
        pictures=lambda judged: _pictures(record, judged),
    )


def write(path: Path) -> Path:
    """Write the page of a record, or of a run folder's record, beside it, and give where it is.

    Raises: UsageError for what isn't a record, or a folder that can't be written to.
    """
    return html.replace(
        locate(path).with_name(html.NAME),
        render(read(path)),
        what="the page of a record",
        remedy="copy the record to a folder of yours and give that one",
    )


def _missing(record: Record) -> list[tuple[str, str, int]]:
    """Give each feature that the machine lacks, what would help, and how many of the selected facts need it."""
    needed = Counter(need for fact in record.facts if fact.selected for need in fact.needs)
    return [(name, remedy, needed[name]) for name, remedy in sorted(record.run.missing.items()) if needed[name]]


def _slowest(record: Record, facts: tuple[Judged, ...]) -> list[tuple[str, float]]:
    if record.end and record.end.slowest:
        return record.end.slowest
    timed = [(judged.fact.fact, judged.duration_s) for judged in facts if judged.duration_s > 0]
    return sorted(timed, key=lambda pair: -pair[1])[:5]


def _pictures(record: Record, judged: Judged) -> list[tuple[Finding, Picture | None]]:
    """Give each case of a fact with its picture; None for one not exercised, or just like that of a case before."""
    drawn: list[Scene] = []
    result: list[tuple[Finding, Picture | None]] = []
    for case in judged.cases:
        skip = case.verdict is Verdict.NOT_EXERCISED or case.scene in drawn
        result.append((case, None if skip else picture(record.lab(judged.fact.lab), case.scene)))
        if not skip:
            drawn.append(case.scene)
    return result
