"""The notes and the catalogue agree in both directions, and what facts show is counted honestly."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netfacts.catalogue import load
from netfacts.catalogue.coverage import PAGE, Tally, accuracy, load_notes, markdown, selected
from netfacts.catalogue.load import Catalogue
from netfacts.catalogue.notes import Hosts
from netfacts.model.errors import UsageError
from netfacts.model.fact import Accuracy
from selftests.catalogue.conftest import ENTRY, Write

NOTE = """\
[note]
file   = "1.txt"
title  = "Names"
lines  = 63
sha256 = ""

[[passage]]
lines  = "1-61"
silent = "front matter"

[[passage]]
lines  = "62"
says   = "Names resolve where a network is shared."
facts  = ["dns.scope"]

[[passage]]
lines  = "62"
says   = "They are like telephone numbers."
untestable = "An analogy."

[[passage]]
lines  = "63"
says   = "They resolve on other hosts | far away."
open   = "Not checked yet."
hosts  = "several"
"""


@pytest.fixture
def small(write: Write) -> Catalogue:
    return load(write())


def notes(folder: Path, text: str = NOTE) -> Path:
    (folder / "notes").mkdir(exist_ok=True)
    (folder / "notes" / "1.toml").write_text(text)
    return folder / "notes"


def disagreement(catalogue: Catalogue, folder: Path) -> list[str]:
    with pytest.raises(UsageError) as caught:
        load_notes(catalogue, folder)
    assert caught.value.where == str(folder)
    return caught.value.returned.splitlines()


def test_the_catalogue_and_the_notes_agree() -> None:
    """Every source in a note is a passage's that names the fact, and every passage's fact cites it."""
    load_notes(load())


def test_committed_page_is_current() -> None:
    catalogue = load()

    assert PAGE.read_text("utf-8") == markdown(load_notes(catalogue), catalogue), "netfacts facts coverage --write"


def test_all_that_one_host_can_show_is_shown() -> None:
    found = load_notes(load())

    assert [(note.number, claim.lines) for note in found for claim in selected(note, Hosts.ONE) if claim.open] == []


def test_small_catalogue_agrees(small: Catalogue, tmp_path: Path) -> None:
    (note,) = load_notes(small, notes(tmp_path))

    assert note.cited(small["dns.scope"]) == (62,)


def test_unknown_fact_is_refused_with_the_nearest(small: Catalogue, tmp_path: Path) -> None:
    said = disagreement(small, notes(tmp_path, NOTE.replace('"dns.scope"', '"dns.scope", "dns.scopes"')))

    assert said == ["1.toml, lines 62: there is no fact 'dns.scopes'; did you mean dns.scope?"]


def test_source_that_no_passage_answers_is_refused(write: Write, tmp_path: Path) -> None:
    catalogue = load(write(ENTRY.replace('["notes/1.txt:62"]', '["notes/1.txt:62", "notes/1.txt:63"]')))

    (said,) = disagreement(catalogue, notes(tmp_path))

    assert said.startswith("dns.scope: cites notes/1.txt:63; name it in a passage with this line")


@pytest.mark.parametrize(
    "source", ["notes/1.txt:64", "notes/1.txt:0", "notes/2.txt:62", "notes/1.txt", "notes/1.txt:x"]
)
def test_source_that_is_no_line_is_refused(write: Write, tmp_path: Path, source: str) -> None:
    catalogue = load(write(ENTRY.replace('["notes/1.txt:62"]', f'["notes/1.txt:62", "{source}"]')))

    assert disagreement(catalogue, notes(tmp_path)) == [f"dns.scope: its source {source} is no line of a note"]


def test_fact_that_does_not_cite_what_names_it_is_refused(write: Write, tmp_path: Path) -> None:
    catalogue = load(write(ENTRY.replace("notes/1.txt:62", "https://docs.docker.com/engine/network/")))

    (said,) = disagreement(catalogue, notes(tmp_path))

    assert said == 'dns.scope: cites none of lines 62 of 1; add "notes/1.txt:62" to its sources'


def test_claims_are_counted(small: Catalogue, tmp_path: Path) -> None:
    (note,) = load_notes(small, notes(tmp_path))

    assert Tally.of(note.passages) == Tally(claims=3, shown=1, open=1, untestable=1)
    assert Tally.of(note.passages).share == "50 %"
    assert Tally.of(selected(note, Hosts.ONE)).share == "100 %"
    assert Tally.of(selected(note, Hosts.SEVERAL)) == Tally(claims=1, shown=0, open=1, untestable=0)
    assert Tally.of(()).share == "–"


def test_share_never_rounds_up_to_all() -> None:
    assert Tally(claims=1000, shown=999, open=1, untestable=0).share == "99 %"


def test_claim_is_as_accurate_as_the_worst_of_its_facts_unless_it_says_otherwise(write: Write, tmp_path: Path) -> None:
    other = ENTRY.replace("dns.scope", "dns.other") + 'accuracy = "outdated"\nnote = "It was."\n'
    catalogue = load(write(f"{ENTRY}\n{other}"))
    both = NOTE.replace('["dns.scope"]', '["dns.scope", "dns.other"]')

    ((worst, analogy, missing),) = (note.claims for note in load_notes(catalogue, notes(tmp_path, both)))
    assert [accuracy(claim, catalogue) for claim in (worst, analogy, missing)] == [Accuracy.OUTDATED, None, None]

    own = both.replace('"dns.other"]', '"dns.other"]\naccuracy = "true"')
    ((said, *_),) = (note.claims for note in load_notes(catalogue, notes(tmp_path, own)))
    assert accuracy(said, catalogue) is Accuracy.TRUE


def test_page_lists_every_claim_with_what_shows_it(small: Catalogue, tmp_path: Path) -> None:
    page = markdown(load_notes(small, notes(tmp_path)), small)

    assert "Of 3 claims 1 can't be tested" in page
    assert "Of the other 2 facts show 1: 1 true, 0 imprecise, 0 outdated, 0 wrong. Still open: 1." in page
    assert "| [1](#1) | 3 | 1 | 1 | 1 | 50 % |\n" in page
    assert "| 62 | Names resolve where a network is shared. | true | `dns.scope` |\n" in page
    assert "| 62 | They are like telephone numbers. | untestable | – An analogy. |\n" in page
    assert "| 63 | They resolve on other hosts \\| far away. | **open** | – Not checked yet. |\n" in page
    assert len(re.findall(r"^\| 6[23] ", page, re.MULTILINE)) == 3
