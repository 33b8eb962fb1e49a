"""How long things took on two engines: medians, ratios, and how far single tries lie apart."""

from __future__ import annotations

from statistics import median

import msgspec

from reports.record import Record

WHOLE_RUN = "the whole run"


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """All tries of one operation, in seconds."""

    median_s: float
    least_s: float
    most_s: float
    tries: int


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """One operation on two engines; None where one was not timed. `ratio` is after by before, by their medians."""

    operation: str
    before: Spread | None
    after: Spread | None

    @property
    def ratio(self) -> float | None:
        """How many times as long it takes after as before."""
        if self.before is None or self.after is None or self.before.median_s <= 0:
            return None
        return self.after.median_s / self.before.median_s

    @property
    def apart(self) -> bool:
        """Whether all tries of one side took longer than all of the other, several times each: more than chance."""
        if self.before is None or self.after is None or min(self.before.tries, self.after.tries) < 2:
            return False
        return self.before.most_s < self.after.least_s or self.after.most_s < self.before.least_s


def timings(before: Record, after: Record | None) -> tuple[Timing, ...]:
    """Compare the run's duration, then each operation in the order of the records."""
    one, other = took(before), took(after) if after else {}
    return tuple(
        Timing(operation=operation, before=one.get(operation), after=other.get(operation))
        for operation in dict.fromkeys([*one, *other])
    )


def took(record: Record) -> dict[str, Spread]:
    """Give how long each operation of a record took."""
    tries: dict[str, list[float]] = {}
    if record.end is not None and not record.end.interrupted:
        tries[WHOLE_RUN] = [record.end.duration_s]
    for line in record.timings:
        tries.setdefault(line.operation, []).extend(line.took_s)
    return {
        operation: Spread(median_s=median(times), least_s=min(times), most_s=max(times), tries=len(times))
        for operation, times in tries.items()
        if times
    }
