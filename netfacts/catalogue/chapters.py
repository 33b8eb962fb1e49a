"""The chapters of the guide, from `facts/guide/chapters.toml`: each fact of the catalogue is in exactly one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from netfacts.catalogue.load import FACTS, Catalogue
from netfacts.model.errors import UsageError
from netfacts.model.fact import Fact

CHAPTERS = FACTS / "guide" / "chapters.toml"


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    title: str
    about: tuple[str, ...]
    facts: tuple[str, ...]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    chapter: tuple[_Entry, ...]


class Chapter(msgspec.Struct, frozen=True, kw_only=True):
    """A chapter: its introduction, a paragraph each, and its facts in the order of reading."""

    title: str
    about: tuple[str, ...]
    facts: tuple[Fact, ...]


def load_chapters(catalogue: Catalogue, path: Path = CHAPTERS) -> tuple[Chapter, ...]:
    """Read the chapters.

    Raises: UsageError for a fact that is in none or in two of them, and a name that is neither a fact's nor a group's.
    """
    try:
        entries = msgspec.toml.decode(path.read_bytes(), type=_File).chapter
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError("could not read the guide's chapters", where=str(path), returned=str(error)) from None
    names = [name for entry in entries for name in entry.facts]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{', '.join(twice)} stands twice in the guide's chapters", where=str(path))
    chapters = tuple(
        Chapter(
            title=entry.title,
            about=entry.about,
            facts=tuple(fact for name in entry.facts for fact in _named(name, catalogue, names, where=str(path))),
        )
        for entry in entries
    )
    placed = {fact.id for chapter in chapters for fact in chapter.facts}
    if left := [fact.id for fact in catalogue if fact.id not in placed]:
        raise UsageError(
            f"no chapter of the guide has {', '.join(left)}",
            where=str(path),
            remedy="add the fact or its group to the `facts` of a chapter",
        )
    return chapters


def _named(name: str, catalogue: Catalogue, names: list[str], *, where: str) -> Iterator[Fact]:
    """Give the fact of this name, or those of a group that are not named by themselves."""
    if "." in name:
        try:
            yield catalogue[name]
        except UsageError as error:
            raise UsageError(error.attempted, where=where, remedy=error.remedy) from None
        return
    group = [fact for fact in catalogue if fact.id.partition(".")[0] == name]
    if not group:
        raise UsageError(f"no fact's name begins with {name}.", where=where)
    yield from (fact for fact in group if fact.id not in names)
