"""Reads `facts/*.toml` into facts, refusing whatever is not exactly as documented."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from netfacts.model.errors import UsageError
from netfacts.model.fact import NEEDS, Accuracy, Carried, Expectation, Fact
from netfacts.model.lab import MANY, SHAPES, shape

FACTS = Path(__file__).resolve().parents[2] / "facts"
_ID = re.compile(r"[a-z][a-z0-9]*\.[a-z0-9A-Z][a-zA-Z0-9-]*")


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fact as it stands in a file: what the file can't know (id, area) is added on reading."""

    claim: str
    sources: tuple[str, ...]
    lab: str
    expect: tuple[Expectation, ...]
    show: tuple[str, ...]
    note: str = ""
    accuracy: Accuracy = Accuracy.TRUE
    needs: tuple[str, ...] = ()
    carried: Carried = Carried.RUNNING


class Catalogue:
    """Facts by id, in the order of their areas and files."""

    def __init__(self, facts: dict[str, Fact]) -> None:
        self._facts = facts

    def __getitem__(self, fact_id: str) -> Fact:
        """Give a fact.

        Raises: UsageError for an unknown id, naming the nearest known ones.
        """
        if fact_id not in self._facts:
            near = difflib.get_close_matches(fact_id, self._facts, n=3, cutoff=0.5)
            raise UsageError(
                f"there is no fact {fact_id!r}",
                remedy=f"did you mean {', '.join(near)}?" if near else "`netfacts facts list` prints all of them",
            )
        return self._facts[fact_id]

    def __contains__(self, fact_id: object) -> bool:
        return fact_id in self._facts

    def __iter__(self) -> Iterator[Fact]:
        return iter(self._facts.values())

    def __len__(self) -> int:
        return len(self._facts)


def load(folder: Path = FACTS) -> Catalogue:
    """Read every `*.toml` of a folder.

    Raises: UsageError naming the file and the entry, for anything but a well-formed catalogue.
    """
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise UsageError("no facts to read", where=str(folder), remedy="run netfacts from its checkout")
    facts: dict[str, Fact] = {}
    for path in files:
        for fact in _read(path):
            if fact.id in facts:
                raise UsageError(f"fact {fact.id} stands twice", where=f"{path.name} and {facts[fact.id].area}.toml")
            facts[fact.id] = fact
    return Catalogue(facts)


def _read(path: Path) -> Iterator[Fact]:
    try:
        tables = msgspec.toml.decode(path.read_bytes(), type=dict[str, dict[str, object]])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError("could not read the catalogue", where=str(path), returned=str(error)) from None
    for group, entries in tables.items():
        for name, table in entries.items():
            yield _fact(path, f"{group}.{name}", table)


def _fact(path: Path, fact_id: str, table: object) -> Fact:
    where = f"[{fact_id}] in {path}"
    if not _ID.fullmatch(fact_id):
        raise UsageError("a fact's name must read like `dns.not-default-bridge`", where=where)
    try:
        entry = msgspec.convert(table, _Entry)
    except msgspec.ValidationError as error:
        raise UsageError(
            "a catalogue entry is not as docs/writing-a-fact.md describes it",
            where=where,
            returned=str(error),
            remedy=f"the keys are {', '.join(_Entry.__struct_fields__)}",
        ) from None
    for field in ("claim", "sources", "show", "expect"):
        if not getattr(entry, field):
            raise UsageError(f"a fact needs its `{field}`", where=where)
    try:
        shape(entry.lab)
    except KeyError:
        known = ", ".join((*SHAPES, *MANY))
        raise UsageError(f"no lab is shaped {entry.lab!r}", where=where, remedy=f"one of {known}") from None
    if entry.accuracy is not Accuracy.TRUE and not entry.note:
        raise UsageError(f"`accuracy = {entry.accuracy.value!r}` needs a `note` that says how", where=where)
    if unknown := set(entry.needs) - set(NEEDS):
        raise UsageError(
            f"nothing is known of the need {', '.join(sorted(unknown))}",
            where=where,
            remedy=f"one of {', '.join(NEEDS)}",
        )
    for expectation in entry.expect:
        try:
            SpecifierSet(expectation.engine)
        except InvalidSpecifier as error:
            raise UsageError("a range of engine versions can't be read", where=where, returned=str(error)) from None
    fields = {name: getattr(entry, name) for name in _Entry.__struct_fields__}
    return Fact(id=fact_id, area=path.stem, **fields)
