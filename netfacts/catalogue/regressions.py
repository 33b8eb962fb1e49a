"""Regressions of the past, from `facts/upgrades/regressions.toml`: which facts would have caught them, or why none."""

from __future__ import annotations

import re
from collections import Counter
from enum import StrEnum
from pathlib import Path

import msgspec

from netfacts.catalogue.load import FACTS, Catalogue
from netfacts.model.errors import UsageError

REGRESSIONS = FACTS / "upgrades" / "regressions.toml"
PAGE = FACTS.parent / "docs" / "upgrade-regressions.md"

_ISSUE = re.compile(r"([A-Za-z0-9-]+/[A-Za-z0-9._-]+)#([1-9][0-9]*)")


class Where(StrEnum):
    """The run that a regression shows in."""

    FRESH = "fresh"
    """A run on the new engine alone."""
    CARRIED = "carried"
    """An upgrade's run in which the new engine takes over what the old one has built."""
    BACK = "back"
    """An upgrade's run in which the old engine takes over again."""


class Regression(
    msgspec.Struct, frozen=True, kw_only=True, rename=lambda name: name.replace("_", "-"), forbid_unknown_fields=True
):
    """Something that an upgrade broke.

    `issues` read `moby/moby#42288`. `caught_by` holds facts that would turn red in the run `run`; `reason` says why
    there is none, or what of the regression stays unseen.
    """

    issues: tuple[str, ...]
    broke_in: str
    what: str
    caught_by: tuple[str, ...] = ()
    run: Where = Where.FRESH
    reason: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    regression: tuple[Regression, ...]


def load_regressions(catalogue: Catalogue, path: Path = REGRESSIONS) -> tuple[Regression, ...]:
    """Read the regressions of the past.

    Raises: UsageError naming the entry, for an unknown fact, an issue that stands twice, and an entry that says
    neither what catches it nor why nothing does.
    """
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=_File).regression
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError("could not read the regressions of the past", where=str(path), returned=str(error)) from None
    for one in found:
        where = f"{', '.join(one.issues) or one.what} in {path}"
        if not one.issues or not all(map(_ISSUE.fullmatch, one.issues)):
            raise UsageError("a regression names its issues, as in moby/moby#42288", where=where)
        if not one.caught_by and not one.reason:
            raise UsageError(
                "a regression says which facts catch it (`caught-by`), or why none (`reason`)", where=where
            )
        for fact in one.caught_by:
            try:
                catalogue[fact]
            except UsageError as error:
                raise UsageError(error.attempted, where=where, remedy=error.remedy) from None
    twice = [issue for issue, number in Counter(issue for one in found for issue in one.issues).items() if number > 1]
    if twice:
        raise UsageError(f"{', '.join(twice)} stands twice among the regressions", where=str(path))
    return found


def how_caught(one: Regression) -> str:
    """Say in which run a regression shows, "" for the plain one or where nothing catches it."""
    if not one.caught_by or one.run is Where.FRESH:
        return ""
    return f"in the run `{one.run.value}` of `netfacts upgrade`"


def markdown(regressions: tuple[Regression, ...]) -> str:
    """Give the regressions as a page for people."""
    caught = sum(bool(one.caught_by) for one in regressions)
    lines = [
        "# Regressions of the past",
        "",
        "Upgrades of Docker that hurt people, and the facts whose checks would have turned red on them:",
        f"{caught} of {len(regressions)}. Where there is none, the last column says why.",
        "",
        "A fact that knows a version to be broken says so in its expectations: a run on that one shows a documented",
        "change, and any other that does the same deviates.",
        "",
        "Made of `facts/upgrades/regressions.toml` by `netfacts facts regressions --write`.",
        "",
        "| issue | broke in | what | caught by |",
        "|---|---|---|---|",
    ]
    for one in regressions:
        issues = ", ".join(map(_link, one.issues))
        lines.append(f"| {issues} | {one.broke_in} | {_cell(one.what)} | {_caught(one)} |")
    return "\n".join(lines) + "\n"


def _link(issue: str) -> str:
    match = _ISSUE.fullmatch(issue)
    if match is None:
        raise ValueError(issue)
    shown = f"#{match[2]}" if match[1] == "moby/moby" else issue
    return f"[{shown}](https://github.com/{match[1]}/issues/{match[2]})"


def _caught(one: Regression) -> str:
    facts = ", ".join(f"`{fact}`" for fact in one.caught_by)
    caught = " ".join(filter(None, (facts, how_caught(one))))
    if not one.caught_by:
        return f"– {_cell(one.reason)}"
    return f"{caught}. {_cell(one.reason)}" if one.reason else caught


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
