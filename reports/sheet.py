"""All that the page of a comparison says, as one struct: of two runs, or of the four of an upgrade.

A compare's JSON is a sheet and its page is made from it; an upgrade's is made from its runs' records anew.
"""

from __future__ import annotations

import msgspec

from netfacts.model.record import EngineInfo
from reports.comparison import Change
from reports.portrait import Portrait
from reports.side import Side
from reports.timing import Spread, Timing

SCHEMA = 1

ROLES = ("before", "after", "carried", "back")
"""What a run may be: fresh A, fresh B, A's state taken over by B, B's taken over by A."""
PLACES = {"fresh": "after", "carried": "carried_old", "anew": "carried_new"}
"""Where a change is seen: on a fresh B, on what was carried over, on what was built anew; each with its column."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One of the runs that are compared. `role` is one of ROLES; `page` leads to its page."""

    role: str
    page: str
    run_id: str
    engine: EngineInfo
    predecessor: EngineInfo | None
    target: str
    kernel: str
    machine: str
    started_at: str
    netfacts: str
    interrupted: bool
    duration_s: float | None
    total: int
    exercised: int
    redacted: bool = False


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of the facts' table: the version that judged, and whose work it judged."""

    key: str
    role: str
    version: str
    words: str


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a fact in one place. `before` and `after` are the columns that were compared."""

    where: str
    kind: str
    change: Change
    before: str
    after: str
    reason: str
    source: str


class FactRow(msgspec.Struct, frozen=True, kw_only=True):
    """A fact: the worst that became of it, where that was seen, and what each run says of it."""

    fact: str
    area: str
    claim: str
    kind: str
    change: Change
    deviates: bool
    where: list[str]
    before: str
    after: str
    reason: str
    source: str
    seen: list[Seen]
    back: list[Seen]
    cells: dict[str, Side]


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A figure as one column has it; None where there was nothing to measure."""

    value: float | None
    detail: str


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure that checks took, by column. `ratio`: of what was measured in turns, and not of anything held."""

    fact: str
    case: str
    what: str
    unit: str
    values: dict[str, Value]
    ratio: bool = False


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison, ready to be read."""

    schema: int = SCHEMA
    kind: str
    """`compare` or `upgrade`."""
    headline: str
    exit_code: int
    counts: dict[str, int]
    """Facts of each of KINDS."""
    warnings: list[str]
    runs: list[Run]
    columns: list[Column]
    facts: list[FactRow]
    figures: list[Figure]
    timings: list[Timing]
    took: dict[str, dict[str, Spread]]
    """How long operations took in the runs with an engine in another's place, by the run's role."""
    portraits: list[Portrait]
    upgraded: list[Portrait] = []
    """The portraits of a fresh B beside those of a B that took A's place."""

    def run(self, role: str) -> Run | None:
        """Give the run with this role."""
        return next((run for run in self.runs if run.role == role), None)

    def column(self, key: str) -> Column | None:
        """Give the column with this key."""
        return next((column for column in self.columns if column.key == key), None)
