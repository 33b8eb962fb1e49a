"""What the notes claim, line by line, from `facts/notes/*.toml`: which facts show it, or why none does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256
from pathlib import Path

import msgspec

from netfacts.catalogue.load import FACTS
from netfacts.model.errors import UsageError
from netfacts.model.fact import Accuracy, Fact

NOTES = FACTS / "notes"

_LINES = re.compile(r"([1-9][0-9]*)(?:-([1-9][0-9]*))?")
_SOURCE = re.compile(r"notes/([^:/]+):([1-9][0-9]*)")

_EMPTY = r"(&nbsp;)?"
_MARKUP = r"`{3,}.*|[-=]{3,}|\|.*"
_TITLE = r"#.*|\*\*[^。]{1,40}\*\*|[*-] [^。]{1,40}"


class Silent(StrEnum):
    """What lines are that claim nothing."""

    FRONT_MATTER = "front matter"
    """What a site's generator reads."""
    HEADING = "heading"
    BLANK = "blank"
    MARKUP = "markup"
    """Fences of code, rulers, heads of tables."""
    PICTURE = "picture"
    """A picture, with its caption and the headings around it."""
    READING = "further reading"
    STEP = "step"
    """Words or commands that only lead to the next ones, such as a shell being started in a container."""


# Front matter and steps may be any text; of the others each line is what they are called, or frames it.
_TEXTS = {
    Silent.BLANK: re.compile(_EMPTY),
    Silent.MARKUP: re.compile(f"{_EMPTY}|{_MARKUP}"),
    Silent.HEADING: re.compile(f"{_EMPTY}|{_MARKUP}|{_TITLE}"),
    Silent.PICTURE: re.compile(rf"{_EMPTY}|{_MARKUP}|{_TITLE}|!?\[.*\]\(.*\)|.{{1,30}}[：:]|[A-Za-z ]{{1,30}}"),
    Silent.READING: re.compile(rf"{_EMPTY}|{_MARKUP}|{_TITLE}|.{{0,20}}\[.*\]\(http.*\)"),
}


class Hosts(StrEnum):
    """How many hosts with an engine a claim is about. A client beside one of them is no host."""

    ONE = "one"
    SEVERAL = "several"


class _Passage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    lines: str
    says: str = ""
    facts: tuple[str, ...] = ()
    untestable: str = ""
    open: str = ""
    silent: Silent | None = None
    hosts: Hosts = Hosts.ONE
    accuracy: Accuracy | None = None


class _Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    file: str
    title: str
    lines: int
    sha256: str


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    note: _Head
    passage: tuple[_Passage, ...]


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a note's lines, and one thing that it claims; or nothing, where `silent` says what it is.

    `facts` show the claim; where `open` says what is missing, they show a part of it. `untestable` says why no
    experiment can show it. `accuracy` is set where the facts' own is about other passages than this one.
    """

    first: int
    last: int
    says: str
    facts: tuple[str, ...]
    untestable: str
    open: str
    silent: Silent | None
    hosts: Hosts
    accuracy: Accuracy | None

    def __contains__(self, line: object) -> bool:
        return isinstance(line, int) and self.first <= line <= self.last

    @property
    def lines(self) -> str:
        """The lines as they are written: 10, or 12-16."""
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """A note, all of whose lines are in its passages. `number` is what people call it."""

    number: str
    file: str
    title: str
    lines: int
    sha256: str
    passages: tuple[Passage, ...]

    @property
    def claims(self) -> tuple[Passage, ...]:
        """The passages that claim something."""
        return tuple(passage for passage in self.passages if passage.silent is None)

    def cited(self, fact: Fact) -> tuple[int, ...]:
        """Give the lines of this note that a fact cites."""
        found = (_SOURCE.fullmatch(source) for source in fact.sources)
        return tuple(int(match[2]) for match in found if match and match[1] == self.file)

    def said(self, fact_id: str, source: str) -> tuple[Passage, ...]:
        """Give the passages that answer a fact's source, none where it is no line of this note."""
        match = _SOURCE.fullmatch(source)
        if match is None or match[1] != self.file:
            return ()
        return tuple(passage for passage in self.naming(fact_id) if int(match[2]) in passage)

    def naming(self, fact_id: str) -> tuple[Passage, ...]:
        """Give the passages that name a fact."""
        return tuple(passage for passage in self.passages if fact_id in passage.facts)


def read_notes(folder: Path = NOTES) -> tuple[Note, ...]:
    """Read what is said about each note.

    Raises: UsageError naming file and passage, unless every line of each note is in a well-formed passage.
    """
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise UsageError("nothing is said about any note", where=str(folder), remedy="run netfacts from its checkout")
    return tuple(map(_read, paths))


def _read(path: Path) -> Note:
    try:
        found = msgspec.toml.decode(path.read_bytes(), type=_File)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError("could not read what is said about a note", where=str(path), returned=str(error)) from None
    passages: list[Passage] = []
    for raw in found.passage:
        passage = _passage(raw, where=f"lines {raw.lines} in {path}")
        _follows(passage, passages, where=f"lines {raw.lines} in {path}")
        passages.append(passage)
    last = passages[-1].last if passages else 0
    if last != found.note.lines:
        raise UsageError(f"the note has {found.note.lines} lines, and its passages end at {last}", where=str(path))
    head = {name: getattr(found.note, name) for name in _Head.__struct_fields__}
    return Note(number=path.stem, passages=tuple(passages), **head)


def _passage(raw: _Passage, *, where: str) -> Passage:
    match = _LINES.fullmatch(raw.lines)
    if match is None or int(match[2] or match[1]) < int(match[1]):
        raise UsageError("a passage's lines read 10, or 12-16", where=where)
    about = [bool(raw.facts or raw.open), bool(raw.untestable), raw.silent is not None]
    if sum(about) != 1:
        raise UsageError(
            "a passage has either `facts`, or what of them is missing in `open`, or `untestable`, or `silent`",
            where=where,
        )
    if bool(raw.says) is (raw.silent is not None):
        raise UsageError("a passage that is not silent `says` something, and a silent one does not", where=where)
    if raw.accuracy is not None and not raw.facts:
        raise UsageError("only what facts show can be more or less accurate", where=where)
    if len(set(raw.facts)) != len(raw.facts):
        raise UsageError("a passage names a fact twice", where=where)
    first, last = int(match[1]), int(match[2] or match[1])
    fields = {name: getattr(raw, name) for name in _Passage.__struct_fields__ if name != "lines"}
    return Passage(first=first, last=last, **fields)


def _follows(passage: Passage, before: list[Passage], *, where: str) -> None:
    """Refuse a gap and an overlap. The same lines once more are another claim that is made in them."""
    previous = before[-1] if before else None
    if previous and previous.lines == passage.lines:
        if previous.silent or passage.silent:
            raise UsageError("lines that claim something are not silent", where=where)
        return
    due = previous.last + 1 if previous else 1
    if passage.first != due:
        raise UsageError(
            f"the next passage begins with line {due}",
            where=where,
            remedy="every line is in one passage; what else is claimed in the same lines repeats exactly these",
        )


def verify(note: Note, folder: Path) -> list[str]:
    """Compare what is said about a note with the note itself; gives what is wrong.

    Raises: UsageError where the note can't be read.
    """
    path = folder / note.file
    try:
        data = path.read_bytes()
        texts = [line.strip() for line in data.decode().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("could not read a note", where=str(path), returned=str(error)) from None
    wrong = []
    if sha256(data).hexdigest() != note.sha256:
        wrong.append(f"{note.file} is not the note that facts/notes/{note.number}.toml is about: other text")
    if len(texts) != note.lines:
        wrong.append(f"{note.file} has {len(texts)} lines, and not {note.lines}")
    return wrong + list(_loud(note, texts))


def _loud(note: Note, texts: list[str]) -> Iterator[str]:
    """Find lines with words that count as silent, and claims in lines without any."""
    for passage in note.passages:
        lines = texts[passage.first - 1 : passage.last]
        form = _TEXTS.get(passage.silent) if passage.silent else None
        for number, text in enumerate(lines, passage.first):
            if form and not form.fullmatch(text):
                yield f"{note.file}:{number} is listed as {passage.silent}, and is more than that"
        if not passage.silent and all(map(_TEXTS[Silent.BLANK].fullmatch, lines)):
            yield f"{note.file}:{passage.lines} is listed with a claim, and is empty"
