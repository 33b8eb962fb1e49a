"""Which claims of the notes are shown by facts: notes and catalogue must agree, and what is missing is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from netfacts.catalogue.load import FACTS, Catalogue
from netfacts.catalogue.notes import NOTES, Hosts, Note, Passage, read_notes
from netfacts.model.errors import UsageError
from netfacts.model.fact import Accuracy

PAGE = FACTS.parent / "docs" / "coverage.md"

# From better to worse: a claim is as accurate as the worst that is known of it.
_WORSE = [Accuracy.TRUE, Accuracy.IMPRECISE, Accuracy.OUTDATED, Accuracy.WRONG]


def load_notes(catalogue: Catalogue, folder: Path = NOTES) -> tuple[Note, ...]:
    """Read what is said about the notes, and see that it agrees with the catalogue.

    Raises: UsageError with all that does not agree: a fact names the lines that it comes from, and what is said about
    those lines names the fact.
    """
    notes = read_notes(folder)
    wrong = [*_unknown(catalogue, notes), *_unnamed(catalogue, notes), *_uncited(catalogue, notes)]
    if wrong:
        raise UsageError(
            "the catalogue and what is said about the notes do not agree",
            where=str(folder),
            returned="\n".join(wrong),
            remedy="docs/writing-a-fact.md says how they go together",
        )
    return notes


def _unknown(catalogue: Catalogue, notes: Iterable[Note]) -> Iterator[str]:
    for note in notes:
        for passage in note.passages:
            for name in passage.facts:
                try:
                    catalogue[name]
                except UsageError as error:
                    yield f"{note.number}.toml, lines {passage.lines}: {error.attempted}; {error.remedy}"


def _unnamed(catalogue: Catalogue, notes: tuple[Note, ...]) -> Iterator[str]:
    """Find sources that no passage answers."""
    by_file = {note.file: note for note in notes}
    for fact in catalogue:
        for source in fact.sources:
            if not source.startswith("notes/"):
                continue
            file, _, line = source.removeprefix("notes/").partition(":")
            note = by_file.get(file)
            if note is None or not line.isdecimal() or not 1 <= int(line) <= note.lines:
                yield f"{fact.id}: its source {source} is no line of a note"
            elif not any(int(line) in passage for passage in note.naming(fact.id)):
                yield f"{fact.id}: cites {source}; name it in a passage with this line, or cite another line"


def _uncited(catalogue: Catalogue, notes: Iterable[Note]) -> Iterator[str]:
    """Find passages that name a fact which does not cite them."""
    for note in notes:
        for passage in note.passages:
            for name in passage.facts:
                if name in catalogue and not any(line in passage for line in note.cited(catalogue[name])):
                    source = f"notes/{note.file}:{passage.first}"
                    yield f'{name}: cites none of lines {passage.lines} of {note.number}; add "{source}" to its sources'


@dataclass(frozen=True)
class Tally:
    """How many claims there are, and what is said of them."""

    claims: int
    shown: int
    open: int
    untestable: int

    @classmethod
    def of(cls, passages: Iterable[Passage]) -> Tally:
        """Count the claims among passages."""
        kinds = Counter(_kind(passage) for passage in passages if passage.silent is None)
        return cls(kinds.total(), kinds["shown"], kinds["open"], kinds["untestable"])

    @property
    def share(self) -> str:
        """How many of the claims that can be checked are: never 100 % while one is open."""
        return f"{100 * self.shown // checkable} %" if (checkable := self.shown + self.open) else "–"


def _kind(claim: Passage) -> str:
    return "untestable" if claim.untestable else "open" if claim.open else "shown"


def selected(note: Note, hosts: Hosts | None) -> tuple[Passage, ...]:
    """Give a note's claims about one host, about several, or all of them."""
    return tuple(claim for claim in note.claims if hosts in (None, claim.hosts))


def accuracy(claim: Passage, catalogue: Catalogue) -> Accuracy | None:
    """Say how accurate a claim is; None for one that is untestable or open."""
    if _kind(claim) != "shown":
        return None
    return claim.accuracy or max((catalogue[name].accuracy for name in claim.facts), key=_WORSE.index)


def markdown(notes: tuple[Note, ...], catalogue: Catalogue) -> str:
    """Give the coverage as a page for people."""
    total = Tally.of(claim for note in notes for claim in note.claims)
    one = Tally.of(claim for note in notes for claim in selected(note, Hosts.ONE))
    found = Counter(accuracy(claim, catalogue) for note in notes for claim in note.claims)
    grades = ", ".join(f"{found[grade]} {grade}" for grade in _WORSE)
    counted = (
        f"Of {total.claims} claims {total.untestable} can't be tested: they are history, opinions and analogies.",
        f"Of the other {total.shown + total.open} facts show {total.shown}: {grades}. Still open: {total.open}.",
        f"Of the {one.shown + one.open} that one host with a client beside it can show, facts show {one.shown}.",
    )
    lines = [
        "# What of the notes is checked",
        "",
        "The facts began with notes on Docker networking that people keep, of different years. Every line of them is",
        "accounted for here: what it claims, in our words, and the facts that show whether that is so, or why nothing",
        "can, or what is still missing.",
        "",
        *counted,
        "",
        "Made of `facts/notes/` by `netfacts facts coverage --write`.",
        "",
        "| note | claims | by facts | open | untestable | of the testable |",
        "|---|--:|--:|--:|--:|--:|",
        *(_row(f"[{note.number}](#{note.number})", Tally.of(note.claims)) for note in notes),
        _row("all", total),
        _row("about one host", one),
    ]
    for note in notes:
        lines += [
            "",
            f'## <a id="{note.number}"></a>{note.number}: {note.title}',
            "",
            f"`{note.file}`, {note.lines} lines.",
            "",
            "| line | the note says | which is | shown by |",
            "|---|---|---|---|",
            *(_claim(claim, catalogue) for claim in note.claims),
        ]
    return "\n".join(lines) + "\n"


def _row(name: str, tally: Tally) -> str:
    cells = (name, tally.claims, tally.shown, tally.open, tally.untestable, tally.share)
    return f"| {' | '.join(map(str, cells))} |"


def _claim(claim: Passage, catalogue: Catalogue) -> str:
    facts = ", ".join(f"`{name}`" for name in claim.facts)
    if claim.untestable:
        grade, shown = "untestable", f"– {claim.untestable}"
    elif claim.open:
        grade, shown = "**open**", f"{facts}. {claim.open}" if facts else f"– {claim.open}"
    else:
        grade, shown = f"{accuracy(claim, catalogue)}", facts
    cells = (cell.replace("|", r"\|") for cell in (claim.lines, claim.says, grade, shown))
    return f"| {' | '.join(cells)} |"
