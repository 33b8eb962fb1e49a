"""The guide: one page of the whole catalogue, that needs nothing else and links to nothing that it has not."""

from __future__ import annotations

import re
from html import unescape

import pytest

from netfacts.catalogue import load
from netfacts.catalogue.chapters import Chapter
from netfacts.catalogue.notes import Note, read_notes
from netfacts.catalogue.sabotages import Sabotage, read_sabotages
from netfacts.model.fact import Accuracy, Carried, Expectation, Fact
from netfacts.model.verdict import Expected
from reports.guide import Source, anchor, render, sources
from reports.wording import CARRIED


@pytest.fixture(scope="module")
def page() -> str:
    """The guide of the real facts, all in one chapter."""
    chapter = Chapter(title="All & everything", about=("Type `ip a`.",), facts=tuple(load()))
    return render((chapter,), read_notes(), read_sabotages())


def fact(**fields: object) -> Fact:
    usual: dict[str, object] = {
        "id": "dns.scope",
        "area": "dns",
        "claim": "A <name> resolves.",
        "sources": ("https://docs.docker.com/engine/network/",),
        "lab": "one-host",
        "expect": (Expectation(engine=">=20.10", outcome=Expected.HOLDS),),
        "show": ("nslookup box",),
    }
    return Fact(**(usual | fields))  # type: ignore[arg-type]


def of(one: Fact, *sabotages: Sabotage, notes: tuple[Note, ...] = ()) -> str:
    return render((Chapter(title="Names", about=(), facts=(one,)),), notes, {one.id: list(sabotages)})


def test_page_loads_and_runs_nothing(page: str) -> None:
    assert "<script" not in page
    assert not re.search(r'(?:src|srcset)="', page)
    assert "default-src 'none'" in unescape(page)
    assert "script-src" not in page


def test_every_fact_has_an_anchor_of_its_name_and_every_link_inside_leads_somewhere(page: str) -> None:
    ids = re.findall(r'\bid="([^"]*)"', page)

    assert len(ids) == len(set(ids))
    assert {one.id for one in load()} <= set(ids)
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(ids)


def test_page_is_the_same_each_time() -> None:
    assert of(fact()) == of(fact())


def test_chapter_has_title_introduction_and_place(page: str) -> None:
    assert '<li><a href="#all-everything">All &amp; everything</a>' in page
    assert "Type <code>ip a</code>." in page


def test_text_is_escaped() -> None:
    assert "A &lt;name&gt; resolves." in of(fact())


def test_correction_stands_by_the_claim() -> None:
    page = of(fact(accuracy=Accuracy.WRONG, note="It does not."))

    assert re.search(r'class="note wrong"><p class="label">The notes are wrong here</p><p>It does not\.', page)


def test_versions_are_told_with_the_reason() -> None:
    ranges = (
        Expectation(engine="<28", outcome=Expected.HOLDS),
        Expectation(engine=">=28,<29", outcome=Expected.FAILS, source="https://github.com/moby/moby/pull/1"),
        Expectation(engine=">=29", outcome=Expected.ABSENT),
    )

    page = of(fact(expect=ranges, carried=Carried.STARTED))

    rows = re.findall(r'<th scope="row">([^<]*)</th><td>([^<]*)', page)
    assert [(engine, words.strip()) for engine, words in rows] == [
        ("&lt;28", "holds"),
        ("&gt;=28,&lt;29", "does not hold"),
        ("&gt;=29", "does not exist"),
    ]
    assert '<a href="https://github.com/moby/moby/pull/1"' in page
    assert "After an upgrade: as expected of the engine that built it" in page


def test_whatever_decides_after_an_upgrade_has_words() -> None:
    assert set(CARRIED) == set(Carried)


def test_sabotages_are_listed_with_their_engines() -> None:
    page = of(fact(), Sabotage("dns.scope", "the names are lost", ""), Sabotage("dns.scope", "all is", ">=28"))

    assert "<li>the names are lost</li>" in page
    assert '<li>all is <span class="soft">engine &gt;=28</span></li>' in page
    assert "in 2 ways" in page


def test_sources_in_notes_give_line_and_paraphrase_once() -> None:
    note = next(note for note in read_notes() if note.number == "000")
    cited = tuple(f"notes/{note.file}:{line}" for line in (87, 90))

    found = list(sources(fact(id="bridge.masquerade-rule", sources=(*cited, "https://example.org/")), (note,)))

    (said,) = found[0].says
    assert found[0].text == "note 000, lines 87 to 91"
    assert "MASQUERADE" in said
    assert found[1:] == [Source("example.org/", url="https://example.org/")]


def test_places_of_chapters_are_plain_words() -> None:
    assert anchor(Chapter(title="Several hosts: overlay and swarm", about=(), facts=())) == (
        "several-hosts-overlay-and-swarm"
    )
