"""The catalogue as one HTML page that reads as a guide to Docker networking, and needs nothing else to be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from netfacts import __version__
from netfacts.catalogue.chapters import Chapter
from netfacts.catalogue.notes import Note
from netfacts.catalogue.sabotages import Sabotage
from netfacts.model.errors import UsageError
from netfacts.model.fact import Accuracy, Carried, Fact
from netfacts.model.verdict import Expected
from reports import html, wording

PLACE = Path(__file__).parent / "out" / "guide.html"
"""Where the guide is written to if nobody says otherwise."""

_REMEDY = "give another place by --out"
_OUTCOMES = {Expected.HOLDS: "holds", Expected.FAILS: "does not hold", Expected.ABSENT: "does not exist"}


@dataclass(frozen=True)
class Source:
    """Where a fact comes from: a page on the web, or a line of a note with what it says in our words."""

    text: str
    url: str = ""
    says: tuple[str, ...] = ()


def render(chapters: tuple[Chapter, ...], notes: tuple[Note, ...], sabotages: dict[str, list[Sabotage]]) -> str:
    """Give the guide, the same byte for byte whenever it is asked for."""
    facts = [fact for chapter in chapters for fact in chapter.facts]
    return html.page(
        "guide.html.j2",
        styles=("page.css", "guide.css"),
        version=__version__,
        chapters=[(anchor(chapter), chapter) for chapter in chapters],
        total=len(facts),
        corrected=sum(fact.accuracy is not Accuracy.TRUE for fact in facts),
        broken=sum(len(sabotages.get(fact.id, ())) for fact in facts),
        sabotages=sabotages,
        sources=lambda fact: list(sources(fact, notes)),
        carried={kind: words for kind, words in wording.CARRIED.items() if kind is not Carried.RUNNING},
        origin=origin,
        OUTCOMES=_OUTCOMES,
    )


def write(target: Path, text: str) -> Path:
    """Write the guide, into a folder that is made if need be, and give where it is.

    Raises: UsageError for a place that can't be written to.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            "could not make the guide's folder", where=str(target.parent), returned=error.strerror or "", remedy=_REMEDY
        ) from None
    return html.replace(target, text, what="the guide", remedy=_REMEDY)


def anchor(chapter: Chapter) -> str:
    """Name a chapter's place on the page."""
    return "-".join(re.findall(r"[a-z0-9]+", chapter.title.lower()))


def sources(fact: Fact, notes: tuple[Note, ...]) -> Iterator[Source]:
    """Give where a fact comes from; lines of one note that say the same together."""
    seen: set[str] = set()
    for text in fact.sources:
        found = [(note, passage) for note in notes for passage in note.said(fact.id, text)]
        if not found:
            yield origin(text)
            continue
        note, passage = found[0]
        name = f"note {note.number}, {_lines(passage.lines)}"
        if name not in seen:
            seen.add(name)
            yield Source(name, says=tuple(passage.says for _, passage in found))


def origin(text: str) -> Source:
    """Read a source that is no note's line: an address on the web, or words."""
    return Source(text.removeprefix("https://"), url=text) if re.fullmatch(r"https://\S+", text) else Source(text)


def _lines(lines: str) -> str:
    return f"lines {lines.replace('-', ' to ')}" if "-" in lines else f"line {lines}"
