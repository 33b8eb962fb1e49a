"""How two engines set their machines up: what differs line by line, and what is the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

import msgspec

from netfacts.model.record import PortraitLine

_CONTEXT = 2
"""How many lines around a difference are shown, so that a rule is seen in its chain."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a part, or a fold. `sign` is "-", "+", " ", or "…" for `folded` lines that are the same."""

    sign: str
    text: str = ""
    folded: int = 0


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part that differs, such as "iptables nat". A side that lacks it wholly has no lines."""

    name: str
    rows: tuple[Row, ...]
    removed: int
    added: int


class Portrait(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario on two engines: the parts that differ, and the names of those that do not.

    `only` is "before" or "after" where the other side has no such scenario.
    """

    scenario: str
    parts: tuple[Part, ...] = ()
    same: tuple[str, ...] = ()
    only: str = ""


def portraits(before: Sequence[PortraitLine], after: Sequence[PortraitLine]) -> tuple[Portrait, ...]:
    """Compare two engines' portraits, scenario by scenario in the order of the records."""
    one, other = _by_scenario(before), _by_scenario(after)
    return tuple(
        _portrait(scenario, one.get(scenario), other.get(scenario)) for scenario in dict.fromkeys([*one, *other])
    )


def _by_scenario(lines: Sequence[PortraitLine]) -> dict[str, dict[str, list[str]]]:
    return {line.scenario: line.parts for line in lines}


def _portrait(scenario: str, before: dict[str, list[str]] | None, after: dict[str, list[str]] | None) -> Portrait:
    if before is None or after is None:
        return Portrait(scenario=scenario, only="after" if before is None else "before")
    names = list(dict.fromkeys([*before, *after]))
    pairs = {name: (before.get(name, []), after.get(name, [])) for name in names}
    return Portrait(
        scenario=scenario,
        parts=tuple(_part(name, *pair) for name, pair in pairs.items() if pair[0] != pair[1]),
        same=tuple(name for name, pair in pairs.items() if pair[0] == pair[1]),
    )


def _part(name: str, before: list[str], after: list[str]) -> Part:
    rows = tuple(_rows(before, after))
    return Part(
        name=name,
        rows=rows,
        removed=sum(row.sign == "-" for row in rows),
        added=sum(row.sign == "+" for row in rows),
    )


def _rows(before: list[str], after: list[str]) -> Iterator[Row]:
    # Without autojunk: rules repeat, and none of them is noise.
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    groups = list(matcher.get_grouped_opcodes(_CONTEXT))
    done = 0
    for group in groups:
        start = group[0][1]
        if start > done:
            yield Row(sign="…", folded=start - done)
        for kind, first, last, other_first, other_last in group:
            if kind == "equal":
                yield from (Row(sign=" ", text=text) for text in before[first:last])
            else:
                yield from (Row(sign="-", text=text) for text in before[first:last])
                yield from (Row(sign="+", text=text) for text in after[other_first:other_last])
        done = group[-1][2]
    if len(before) > done:
        yield Row(sign="…", folded=len(before) - done)
