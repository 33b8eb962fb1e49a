"""What is said about the notes: every line is accounted for, and whatever is not as it should be is refused."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from netfacts.catalogue.notes import Hosts, Silent, read_notes, verify
from netfacts.model.errors import UsageError
from netfacts.model.fact import Accuracy

TEXT = """\
---
title: Names
---
# Names
&nbsp;
On a user-defined network names resolve.
As in a telephone book.
![A picture](names.png)
[More of it](https://example.org/)
Enter the container:
```
ping box
```
"""

# Each as it stands in a file: lines, and what is said about them.
PASSAGES = {
    "1-3": 'silent = "front matter"',
    "4": 'silent = "heading"',
    "5": 'silent = "blank"',
    "6": 'says = "Names resolve."\nfacts = ["dns.scope"]',
    "7": 'says = "It is like a telephone book."\nuntestable = "An analogy."',
    "8": 'silent = "picture"',
    "9": 'silent = "further reading"',
    "10-11": 'silent = "step"',
    "12": 'says = "A ping finds it on another host."\nopen = "Not checked yet."\nhosts = "several"',
    "13": 'silent = "markup"',
}


def write(folder: Path, passages: dict[str, str] | list[tuple[str, str]], *, lines: int = 13, text: str = TEXT) -> Path:
    """A file about a note, and the note itself beside it."""
    (folder / "names.txt").write_text(text)
    digest = sha256(text.encode()).hexdigest()
    parts = [f'[note]\nfile = "names.txt"\ntitle = "Names"\nlines = {lines}\nsha256 = "{digest}"\n']
    pairs = passages.items() if isinstance(passages, dict) else passages
    parts += [f'[[passage]]\nlines = "{at}"\n{about}\n' for at, about in pairs]
    (folder / "007.toml").write_text("\n".join(parts))
    return folder


def refused(folder: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read_notes(folder)
    assert str(folder) in caught.value.where
    return caught.value


def test_the_notes_that_ship_are_read_whole() -> None:
    notes = read_notes()

    assert {note.number: note.lines for note in notes} == {"000": 120, "001": 153, "002": 167, "003": 408, "004": 93}
    for note in notes:
        assert {line for passage in note.passages for line in range(passage.first, passage.last + 1)} == set(
            range(1, note.lines + 1)
        )
        assert note.file.startswith(note.number)


def test_texts_are_sentences_of_our_own() -> None:
    """A paraphrase is one sentence in English; nothing of a note's text stands there."""
    for note in read_notes():
        for claim in note.claims:
            for text in filter(None, (claim.says, claim.untestable, claim.open)):
                assert text == " ".join(text.split()), (note.number, claim.lines)
                assert text.endswith("."), (note.number, claim.lines)
                assert not any("\u2e80" <= character <= "\uffef" for character in text), (note.number, claim.lines)


def test_passages_are_read_as_they_are_written(tmp_path: Path) -> None:
    (note,) = read_notes(write(tmp_path, PASSAGES))

    assert (note.number, note.file, note.title) == ("007", "names.txt", "Names")
    assert [passage.lines for passage in note.passages] == list(PASSAGES)
    shown, analogy, missing = note.claims
    assert (shown.facts, shown.hosts, shown.accuracy) == (("dns.scope",), Hosts.ONE, None)
    assert analogy.untestable == "An analogy."
    assert (missing.open, missing.hosts) == ("Not checked yet.", Hosts.SEVERAL)
    assert note.passages[7].silent is Silent.STEP
    assert 11 in note.passages[7]
    assert 12 not in note.passages[7]


def test_the_same_lines_may_make_several_claims(tmp_path: Path) -> None:
    pairs = list(PASSAGES.items())
    pairs.insert(4, ("6", 'says = "Only names."\nfacts = ["dns.user-net-names"]\naccuracy = "wrong"'))

    (note,) = read_notes(write(tmp_path, pairs))

    assert [claim.says for claim in note.claims if 6 in claim] == ["Names resolve.", "Only names."]
    assert note.claims[1].accuracy is Accuracy.WRONG


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"6": None}, "the next passage begins with line 6"),
        ({"13": None}, "its passages end at 12"),
        ({"13": None, "13-12": 'silent = "blank"'}, "lines read 10, or 12-16"),
        ({"13": None, "13-": 'silent = "blank"'}, "lines read 10, or 12-16"),
        ({"7": 'says = "It is."'}, "either `facts`"),
        ({"7": 'says = "It is."\nfacts = ["dns.scope"]\nuntestable = "An analogy."'}, "either `facts`"),
        ({"7": 'silent = "blank"\nopen = "Not yet."'}, "either `facts`"),
        ({"7": 'untestable = "An analogy."'}, "`says` something"),
        ({"5": 'silent = "blank"\nsays = "Nothing."'}, "`says` something"),
        ({"7": 'says = "It is."\nuntestable = "An analogy."\naccuracy = "wrong"'}, "only what facts show"),
        ({"6": 'says = "It is."\nfacts = ["dns.scope", "dns.scope"]'}, "names a fact twice"),
        ({"5": 'silent = "quiet"'}, "could not read"),
        ({"6": 'says = "It is."\nfact = "dns.scope"'}, "could not read"),
        ({"6": 'says = "It is."\nfacts = ["dns.scope"]\nhosts = "two"'}, "could not read"),
        ({"1-3": "silent ="}, "could not read"),
    ],
    ids=str,
)
def test_what_is_wrong_is_refused(tmp_path: Path, change: dict[str, str | None], said: str) -> None:
    passages = {at: about for at, about in (PASSAGES | change).items() if about is not None}

    assert said in refused(write(tmp_path, passages)).attempted


def test_lines_that_claim_something_are_not_silent(tmp_path: Path) -> None:
    pairs = list(PASSAGES.items())
    pairs.insert(4, ("6", 'silent = "step"'))

    assert "are not silent" in refused(write(tmp_path, pairs)).attempted


def test_lines_that_stand_in_two_passages_are_refused(tmp_path: Path) -> None:
    pairs = [("11-12" if at == "12" else at, about) for at, about in PASSAGES.items()]

    assert refused(write(tmp_path, pairs)).attempted == "the next passage begins with line 12"


def test_folder_without_notes_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path).remedy == "run netfacts from its checkout"


def test_note_that_is_described_rightly_passes(tmp_path: Path) -> None:
    (note,) = read_notes(write(tmp_path, PASSAGES))

    assert verify(note, tmp_path) == []


@pytest.mark.parametrize(
    ("line", "text", "said"),
    [
        (4, "Names resolve everywhere.", "4 is listed as heading"),
        (4, "* Names resolve. 名字可以解析。", "4 is listed as heading"),
        (5, "Names resolve.", "5 is listed as blank"),
        (6, "", "6 is listed with a claim, and is empty"),
        (8, "Names resolve on every network that there is.", "8 is listed as picture"),
        (9, "More of it is in a book.", "9 is listed as further reading"),
        (13, "ping other", "13 is listed as markup"),
    ],
)
def test_line_with_words_that_is_listed_as_silent_is_found(tmp_path: Path, line: int, text: str, said: str) -> None:
    lines = TEXT.splitlines()
    lines[line - 1] = text
    (note,) = read_notes(write(tmp_path, PASSAGES, text="\n".join(lines) + "\n"))

    (wrong,) = verify(note, tmp_path)

    assert wrong.startswith(f"names.txt:{said}")


def test_other_note_is_found_out(tmp_path: Path) -> None:
    (note,) = read_notes(write(tmp_path, PASSAGES))
    (tmp_path / "names.txt").write_text(TEXT + "Names do not resolve.\n")

    other, longer = verify(note, tmp_path)

    assert "other text" in other
    assert longer == "names.txt has 14 lines, and not 13"


def test_note_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (note,) = read_notes(write(tmp_path, PASSAGES))

    with pytest.raises(UsageError, match="could not read a note"):
        verify(note, tmp_path / "elsewhere")
