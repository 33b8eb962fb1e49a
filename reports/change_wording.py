"""The sentences of a comparison, in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from netfacts.model.record import EngineInfo
from netfacts.model.verdict import Expected, Verdict
from reports.sheet import Run
from reports.side import Side
from reports.timing import Spread, Timing
from reports.wording import count, duration, moment

CHANGES = {
    "regressed": ("✗", "regressed"),
    "lost": ("?", "lost"),
    "new_deviating": ("✗", "new, deviates"),
    "still_deviating": ("✗", "still deviates"),
    "unclear": ("?", "unclear"),
    "fixed": ("✓", "fixed"),
    "changed_as_documented": ("≠", "documented change"),
    "new": ("+", "new"),
    "unchanged": ("=", "unchanged"),
}
"""A sign and words for each kind of change, worst first."""

WHERE = {
    "fresh": "on a fresh engine",
    "carried": "on what was carried over",
    "anew": "on what the upgraded engine built anew",
    "back_old": "on what was carried back",
    "back_new": "on what was built anew after going back",
}
"""Where a change was seen."""


def versions(before: EngineInfo, after: EngineInfo) -> tuple[str, str]:
    """Give two engines' versions, without a distribution's suffix unless that alone tells them apart."""
    short = re.split(r"[+~]", before.version)[0], re.split(r"[+~]", after.version)[0]
    return short if short[0] != short[1] or before.version == after.version else (before.version, after.version)


def names(before: EngineInfo, after: EngineInfo) -> tuple[str, str]:
    """Give two engines names that tell them apart: their versions, where they came from, or just their order."""
    for pair in (versions(before, after), (before.spec, after.spec)):
        if pair[0] != pair[1]:
            return pair
    return "before", "after"


def counted(kind: str, number: int) -> str:
    """Give "3 documented changes", "1 lost"."""
    words = CHANGES[kind][1]
    return f"{number} {words}{'s' if number != 1 and kind == 'changed_as_documented' else ''}"


def way(before: EngineInfo, after: EngineInfo) -> str:
    """Say from what to what: "from 20.10.24 to 28.5.2"."""
    first, last = names(before, after)
    version = versions(before, after)[1]
    if (first, last) == versions(before, after):
        return f"from {first} to {last}"
    return f"between two runs of {version}" if before.spec == after.spec else f"from {first} to {last}, both {version}"


def headline(
    counts: Mapping[str, int],
    before: EngineInfo,
    after: EngineInfo,
    *,
    interrupted: bool,
    nothing: bool,
    fresh_only: bool,
) -> str:
    """Give a comparison in one sentence, which claims no more than was seen."""
    going = way(before, after) + (" on fresh engines" if fresh_only else "")
    bad = [
        words
        for number, words in (
            (counts["lost"], count(counts["lost"], "fact was lost", "facts were lost")),
            (counts["new_deviating"], count(counts["new_deviating"], "new fact deviates", "new facts deviate")),
            (counts["still_deviating"], count(counts["still_deviating"], "fact still deviates", "facts still deviate")),
            (counts["unclear"], f"{count(counts['unclear'], 'fact')} could not be found out"),
        )
        if number
    ]
    good = [
        words
        for number, words in (
            (counts["changed_as_documented"], count(counts["changed_as_documented"], "documented change")),
            (counts["fixed"], count(counts["fixed"], "fact fixed", "facts fixed")),
            (counts["new"], count(counts["new"], "new fact")),
        )
        if number
    ]
    if counts["regressed"]:
        sentence = f"{count(counts['regressed'], 'fact regresses', 'facts regress')} {going}"
    elif nothing:
        sentence = f"Nothing was exercised on {versions(before, after)[1]}, so nothing can be said of the way {going}"
    elif bad:
        sentence = f"No regression was seen {going}, but {_listed(bad)}"
    else:
        sentence = f"Nothing regresses {going}: {_listed(good) or 'all facts are as they were'}"
    return f"Interrupted: {sentence[0].lower()}{sentence[1:]}" if interrupted else sentence


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


def state(side: Side | None) -> str:
    """Say what an engine does about a fact: "holds", "does not exist"."""
    if side is None or side.verdict is None:
        return "not known"
    if side.absent:
        return "does not exist"
    match side.verdict, side.expected:
        case Verdict.CONFORMS, Expected.HOLDS:
            return "holds"
        case Verdict.CONFORMS, Expected.FAILS:
            return "does not hold"
        case Verdict.CONFORMS, _:
            return "does not exist"
        case Verdict.DEVIATES, Expected.HOLDS:
            return "does not hold, though it should"
        case Verdict.DEVIATES, Expected.FAILS:
            return "holds, though documented not to"
        case Verdict.DEVIATES, _:
            return "is there, though documented not to be"
        case Verdict.INCONCLUSIVE, _:
            return "could not be found out"
    return "not exercised"


def cell(side: Side | None) -> tuple[str, str, str]:
    """Give a side as a CSS class, a sign and words for a narrow cell."""
    if side is None or side.verdict is None:
        return "none", "·", side.reason if side else ""
    if side.absent:
        return "documented", "∅", "absent"
    if side.verdict is Verdict.CONFORMS:
        return ("conforms", "✓", "holds") if side.expected is Expected.HOLDS else ("documented", "≠", state(side))
    return {
        Verdict.DEVIATES: ("deviates", "✗", "deviates"),
        Verdict.INCONCLUSIVE: ("inconclusive", "?", "inconclusive"),
        Verdict.NOT_EXERCISED: ("not_exercised", "–", "not exercised"),
    }[side.verdict]


def took(seconds: float) -> str:
    """Give a time span a digit finer than a run's page does: here two of them are compared."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 9.995 else duration(seconds)


def ratio(timing: Timing) -> str:
    """Give a ratio as "1.4 times as long", or as a share where it became less."""
    if timing.ratio is None:
        return "–"
    return f"× {timing.ratio:.2f}" if timing.ratio < 9.995 else f"× {timing.ratio:.0f}"


def spread(one: Spread | None) -> str:
    """Give the least and the most of several tries."""
    if one is None or one.tries < 2:
        return ""
    return f"{took(one.least_s)} – {took(one.most_s)}, {one.tries} tries"


def predecessors(runs: Sequence[Run]) -> list[str]:
    """Say of each run whose place its engine took, "" where it took none's."""
    return [run.predecessor.version if run.predecessor else "" for run in runs]


def flags(runs: Sequence[Run]) -> list[str]:
    """Give each engine's flags."""
    return ["\n".join(run.engine.flags) for run in runs]


def components(runs: Sequence[Run]) -> list[str]:
    """Name what any of the engines consists of."""
    return sorted({name for run in runs for name in run.engine.components})


def component(runs: Sequence[Run], name: str) -> list[str]:
    """Give each engine's version of one component."""
    return [run.engine.components.get(name, "") for run in runs]


def exercised(runs: Sequence[Run]) -> list[str]:
    """Say of each run how many facts it put to its engine."""
    return [f"{run.exercised} of {run.total}" + (", interrupted" if run.interrupted else "") for run in runs]


def started(runs: Sequence[Run]) -> list[str]:
    """Say when each run began."""
    return [moment(run.started_at) for run in runs]


def durations(runs: Sequence[Run]) -> list[str]:
    """Say how long each run took, "" where it did not come to its end."""
    return ["" if run.duration_s is None else duration(run.duration_s) for run in runs]
