"""The page says what the record says, is one file, and takes no text for markup.

Goldens: `NETFACTS_UPDATE_GOLDENS=1 pytest selftests/reports` writes them anew; read the difference before you keep it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfacts.model.errors import UsageError
from netfacts.model.record import RunLine
from netfacts.model.verdict import Evidence, Observation, Scene, SceneContainer, SceneNetwork, Verdict
from reports import page, wording
from reports.record import Record

GOLDENS = Path(__file__).parent / "goldens"
ELEMENTS = {
    *("html", "head", "meta", "title", "style", "script", "body", "header", "main", "footer", "section", "div", "h1"),
    *("h2", "h3", "h4", "p", "span", "a", "b", "em", "strong", "code", "pre", "time", "ul", "li", "dl", "dt", "dd"),
    *("table", "thead", "tbody", "tr", "th", "td", "details", "summary", "figure", "figcaption", "form", "fieldset"),
    *("legend", "label", "input", "select", "option", "button", "output", "svg", "rect", "line", "circle", "text"),
}
NASTY = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "</style><b>x</b>",
    "]]></svg><iframe>",
    "--></title><base href=//x>",
    "\"'><svg/onload=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;b&gt; &amp; &#x3c;i>",
]


class Parsed(HTMLParser):
    """A page's elements, attributes and text, as a browser would find them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()
        self.text = "".join(self.texts)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in {"meta", "input"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes something else"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def values(self, name: str) -> list[str]:
        """All values of an attribute, on whatever element."""
        return [value for _, attribute, value in self.attributes if attribute == name]


def assert_inert(parsed: Parsed) -> None:
    """Assert that a page is well nested, has known elements only, runs nothing but its own script, loads nothing."""
    assert parsed.open == []
    # <title> is the page's own and a picture's; both hold text alone.
    assert parsed.elements <= ELEMENTS, parsed.elements - ELEMENTS
    assert not [name for _, name, _ in parsed.attributes if name.startswith("on") or name in {"style", "src", "action"}]
    assert all(href.startswith(("#", "https://", "http://")) for href in parsed.values("href"))
    assert [tag for tag, name, _ in parsed.attributes if name == "href" and tag != "a"] == []


def outside_style_and_script(html: str) -> str:
    """A page without what has files of its own: a new colour should not change a golden."""
    html = re.sub(r"(<style>).*?(</style>)", r"\1…\2", html, flags=re.DOTALL)
    html = re.sub(r"(<script>).*?(</script>)", r"\1…\2", html, flags=re.DOTALL)
    return re.sub(r"sha256-[\w+/=]+", "sha256-…", html)


def test_page_is_as_its_golden(sample: tuple[str, Record]) -> None:
    """Each small record gives the page that was last looked at and found good."""
    name, record = sample
    golden = GOLDENS / f"{name}.html"
    made = outside_style_and_script(page.render(record))

    if os.environ.get("NETFACTS_UPDATE_GOLDENS"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(made, "utf-8")
    assert made == golden.read_text("utf-8")


def test_page_is_inert_and_loads_nothing(sample: tuple[str, Record]) -> None:
    """A page has known elements only, and no address but those that a reader may follow."""
    html = page.render(sample[1])

    assert_inert(Parsed(html))
    assert not re.search(r"url\(|@import|@font-face|fetch\(|XMLHttpRequest", html)


def test_page_is_the_same_byte_for_byte(sample: tuple[str, Record], written: Callable[[Record], Path]) -> None:
    """Rendering again, and reading the record from a file first, gives the same page."""
    record = sample[1]
    html = page.render(record)

    assert page.render(record) == html
    assert page.write(written(record)).read_bytes() == html.encode()


def test_policy_allows_just_the_page_s_own_style_and_script(make: Any) -> None:
    """The hashes in the policy are those of what stands between the tags."""
    html = page.render(make.full())
    policy = next(value for value in Parsed(html).values("content") if "default-src" in value)

    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (inline,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
        assert "</" not in inline


def test_page_links_to_every_fact_that_it_has(sample: tuple[str, Record]) -> None:
    """Every fact has its anchor, no anchor stands twice, and every inner link leads somewhere."""
    parsed = Parsed(page.render(sample[1]))
    ids = parsed.values("id")

    assert len(ids) == len(set(ids))
    assert {f"fact-{fact.fact}" for fact in sample[1].facts} <= set(ids)
    assert {href[1:] for href in parsed.values("href") if href.startswith("#")} <= set(ids)


def test_deviating_facts_are_open_and_first(make: Any) -> None:
    """A reader sees what deviates without a click."""
    html = page.render(make.full())
    facts = re.findall(r'<details class="fact (\w+)"[^>]*?( open)?>', html)

    assert facts == [("deviates", " open"), ("conforms", ""), ("not_exercised", ""), ("conforms", "")]
    assert "The notes are imprecise here" in html
    assert "1 fact deviates on Docker Engine 20.10.24" in Parsed(html).text


def test_missing_features_are_those_that_selected_facts_need(make: Any) -> None:
    run = msgspec.structs.replace(make.run, missing={"vxlan": "load it", "ip_vs": "build it", "dummy": "find it"})
    facts = [
        make.fact("a.one", needs=["vxlan"]),
        make.fact("a.two", needs=["vxlan", "veth"]),
        make.fact("a.three", needs=["ip_vs"], selected=False),
    ]

    told = page.render(Record(run=run, facts=tuple(facts)))

    assert re.findall(r"<code>(vxlan|ip_vs|dummy|veth)</code></th><td[^>]*>(.*?)</td><td[^>]*>(\d+)<", told) == [
        ("vxlan", "load it", "2")
    ]
    assert "Missing here" not in page.render(Record(run=run, facts=tuple(facts[2:])))


def test_filters_are_hidden_without_a_script(make: Any) -> None:
    """Only the script shows the filters, for without it they would do nothing."""
    assert re.search(r'<form id="filters"[^>]* hidden>', page.render(make.full()))


def test_interrupted_record_says_so_on_top(make: Any) -> None:
    """A page of an interrupted run says so before its first fact, and counts what it missed as not exercised."""
    full = make.full()
    killed = page.render(msgspec.structs.replace(full, verdicts=(), end=None))
    stopped = page.render(msgspec.structs.replace(full, end=msgspec.structs.replace(make.end, interrupted=True)))

    assert "<h1>Interrupted: nothing was exercised" in killed
    assert killed.index("Interrupted.") < killed.index('id="facts"')
    assert killed.count("the run ended before it") == 4
    assert "was stopped" in stopped
    assert "Interrupted." not in page.render(full)


def test_redacted_record_says_so_on_top_and_no_other(make: Any) -> None:
    """A reader knows before the first fact that addresses are stand-ins."""
    full = make.full()
    redacted = page.render(msgspec.structs.replace(full, run=msgspec.structs.replace(full.run, redacted=True)))
    said = f"Redacted. {wording.REDACTED}"

    assert said in Parsed(redacted).text
    assert redacted.index("Redacted.") < redacted.index("</header>")
    assert "Redacted" not in page.render(full)


def test_surviving_sabotage_is_marked_and_first(sample: tuple[str, Record]) -> None:
    """A survivor is said in words and stands above those that were killed; without sabotages there is no section."""
    name, record = sample
    html = page.render(record)
    rows = re.findall(r'<tr class="(killed|wrong survived)">', html)

    assert rows == (["wrong survived", "killed"] if name == "sabotage" else [])
    assert ("1 of 2 sabotages killed" in html) == (name == "sabotage")


def test_notes_and_sources_become_links_only_where_they_are_addresses(make: Any) -> None:
    """An address leads out without telling where from; a note of the repository and a script stay text."""
    facts = (make.fact("a.one", sources=["https://example.org/#x", "notes/1.txt:2", "javascript:alert(1)"]),)
    html = page.render(msgspec.structs.replace(make.full(), facts=facts, verdicts=()))

    assert '<a href="https://example.org/#x" rel="noreferrer">https://example.org/#x</a>' in html
    assert "<li>notes/1.txt:2</li>" in html
    assert "<li>javascript:alert(1)</li>" in html


@pytest.mark.parametrize("text", NASTY)
def test_markup_in_every_text_of_a_record_is_shown_and_never_taken_for_markup(make: Any, text: str) -> None:
    """A text of markup in whatever place of a record stands there to be read."""
    html = page.render(poisoned(make, text))

    parsed = Parsed(html)
    assert_inert(parsed)
    # claim, engine version, evidence, observation, reason and show command at the least
    assert parsed.text.count(text) >= 10
    assert any(text in label for label in parsed.values("aria-label"))


@settings(deadline=None)  # a first page compiles the template that later ones reuse
@given(text=st.text(max_size=200) | st.lists(st.sampled_from([*NASTY, "<", ">", "&", '"', "x"])).map("".join))
def test_no_text_of_an_observation_becomes_an_element(make: Any, text: str) -> None:
    """Whatever a probe brings back is text on the page, control characters included."""
    seen = Observation(what=text, vantage=text, expected=text, observed=text, agrees=False)
    verdict = make.verdict(
        "a.one", Verdict.DEVIATES, observed=[seen], reason=text, evidence=[Evidence(title=text, text=text)]
    )
    record = Record(run=make.run, facts=(make.fact("a.one"),), verdicts=(verdict,), end=make.end)

    parsed = Parsed(page.render(record))

    assert_inert(parsed)
    assert parsed.text.count(wording.visible(text)) >= 6


def test_control_characters_are_made_visible(make: Any) -> None:
    """What would be invisible, or would reorder its line, is shown as a sign; lines and tabs stay."""
    html = page.render(poisoned(make, "a\x00b\x1b[31mc\rd\u202ee\tf\ng"))

    assert "a␀b␛[31mc␍d\ufffde\tf\ng" in html
    assert not set("\x00\x1b\r\u202e") & set(html)


def test_write_leaves_the_old_page_when_the_record_is_refused(tmp_path: Path) -> None:
    """A page that was there stays as it was, and nothing else is left beside it."""
    (tmp_path / "index.html").write_text("old")
    (tmp_path / "record.jsonl").write_text("garbage\n")

    with pytest.raises(UsageError):
        page.write(tmp_path)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.html", "record.jsonl"]
    assert (tmp_path / "index.html").read_text() == "old"


def test_write_replaces_the_page_and_leaves_nothing_else(make: Any, written: Callable[[Record], Path]) -> None:
    """The page stands beside its record, is complete, and the temporary file is gone."""
    path = written(make.full())
    (path.parent / "index.html").write_text("old")

    assert page.write(path.parent) == path.parent / "index.html"
    assert sorted(one.name for one in path.parent.iterdir()) == ["index.html", "record.jsonl"]
    assert (path.parent / "index.html").read_text("utf-8").endswith("</html>\n")


def test_write_says_where_it_could_not(make: Any, written: Callable[[Record], Path]) -> None:
    """A page that can't be written is refused with its place, and leaves no part behind."""
    path = written(make.full())
    (path.parent / "index.html").mkdir()

    with pytest.raises(UsageError) as caught:
        page.write(path)

    assert caught.value.where == str(path.parent / "index.html")
    assert sorted(one.name for one in path.parent.iterdir()) == ["index.html", "record.jsonl"]


def poisoned(make: Any, text: str) -> Record:
    """A record with this text wherever a text may stand."""
    run: RunLine = msgspec.structs.replace(
        make.run,
        run_id=text,
        netfacts=text,
        engine=msgspec.structs.replace(
            make.run.engine, version=text, spec=text, api=text, firewall=text, flags=[text], components={text: text}
        ),
        kernel=text,
        machine=text,
        target=text,
        started_at=text,
        missing={text: text},
    )
    scene = Scene(
        networks=[SceneNetwork(name=text, driver=text, machine="host", subnet=text, bridge=text)],
        containers=[
            SceneContainer(name=text, machine="host", mode=text, networks={text: text}, ports=[text]),
            SceneContainer(name="x", machine=text, mode=f"container:{text}"),
        ],
    )
    seen = Observation(what=text, vantage=text, expected=text, observed=text, agrees=False)
    fact = make.fact("a.one", claim=text, note=text, show=[text], sources=[text], needs=[text], expected_source=text)
    odd = make.fact(f"odd.{text}", area=text, lab=text)
    verdicts = (
        make.verdict(
            "a.one",
            Verdict.DEVIATES,
            case=text,
            reason=text,
            observed=[seen],
            evidence=[Evidence(title=text, text=text)],
            scene=scene,
        ),
        make.verdict(odd.fact, case=text),
    )
    end = msgspec.structs.replace(make.end, slowest=[(text, 1.0)])
    return Record(run=run, labs=(make.lab("one-host"),), facts=(fact, odd), verdicts=verdicts, end=end)
