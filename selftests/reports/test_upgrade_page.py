"""The page of an upgrade, and of a comparison: what it says, that it says it again, and that no text becomes markup.

Goldens: `NETFACTS_UPDATE_GOLDENS=1 pytest selftests/reports` writes them anew; read the difference before you keep it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from netfacts.model.errors import UsageError
from netfacts.model.record import PortraitLine, TimingLine
from netfacts.model.rounds import Rounds
from netfacts.model.verdict import Evidence, Measurement, Verdict
from reports import upgrade
from reports.assembly import of_two, of_upgrade
from reports.comparison import KINDS, Change
from reports.record import Record
from reports.redact import redact_all
from reports.sheet import FactRow, Sheet
from reports.wording import REDACTED
from selftests.reports import upgrades
from selftests.reports.conftest import END, fact_line, verdict_line
from selftests.reports.test_report_page import GOLDENS, NASTY, Parsed, assert_inert, outside_style_and_script
from selftests.reports.upgrades import ABSENT, FAILS, HOLDS, NEW, OLD, C, D, N, U, put, record, small_upgrade

PAGES = {role: f"{role}/index.html" for role in upgrade.ROLES}


def whole() -> Sheet:
    """The sheet of the small upgrade."""
    return of_upgrade(small_upgrade(), pages=PAGES)


def two() -> Sheet:
    """The sheet of its fresh runs."""
    return of_two(upgrades.before(), upgrades.after(), pages={"after": "../b/index.html"})


def rows(sheet: Sheet) -> dict[str, FactRow]:
    return {row.fact: row for row in sheet.facts}


def one_fact(**roles: list[Any]) -> Sheet:
    """The sheet of an upgrade with the one fact a.one; each role has its verdict lines."""
    engines = {"before": (OLD, None), "after": (NEW, None), "carried": (NEW, OLD), "back": (OLD, NEW)}
    records = {
        role: record(engines[role][0], [fact_line("a.one")], verdicts, predecessor=engines[role][1])
        for role, verdicts in roles.items()
    }
    return of_upgrade(records, pages={})


def said(verdict: Verdict, **fields: Any) -> list[Any]:
    return [verdict_line("a.one", verdict, reason=f"{verdict.value} here", **fields)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small upgrade on disk, without its page."""
    for role, one in small_upgrade().items():
        put(one, tmp_path / "up" / role)
    return tmp_path / "up"


@pytest.mark.parametrize(
    ("redacted", "said"),
    [
        ((), None),
        (("before", "after", "carried", "back"), "Redacted. "),
        (("before", "carried"), "Redacted: before, carried alone. "),
    ],
    ids=["none", "all", "some"],
)
def test_page_says_which_runs_are_redacted(redacted: tuple[str, ...], said: str | None) -> None:
    records = {
        role: msgspec.structs.replace(one, run=msgspec.structs.replace(one.run, redacted=role in redacted))
        for role, one in small_upgrade().items()
    }
    html = upgrade.render(of_upgrade(records, pages=PAGES))

    if said is None:
        assert "Redacted" not in html
    else:
        assert said + REDACTED in Parsed(html).text
        assert html.index("Redacted") < html.index("</header>")


def test_comparison_from_its_json_alone_says_that_it_is_redacted(tmp_path: Path) -> None:
    """One that was written before runs said so is read as well, and says nothing."""
    old = small_upgrade()
    new = redact_all(old)
    for name, records in (("old", old), ("new", new)):
        upgrade.write_compare(of_two(records["before"], records["after"], pages={}), tmp_path / name)
    path = tmp_path / "old" / upgrade.COMPARE
    text = path.read_text("utf-8")
    assert text.count(',\n   "redacted": false') == 2
    path.write_text(text.replace(',\n   "redacted": false', ""), "utf-8")

    assert "Redacted" not in upgrade.write(tmp_path / "old").read_text("utf-8")
    assert "<strong>Redacted.</strong>" in upgrade.write(tmp_path / "new").read_text("utf-8")


# -- what an upgrade comes to


def test_small_upgrade_comes_to_what_was_put_into_it() -> None:
    sheet = whole()

    assert sheet.headline == "2 facts regress from 20.10.24 to 28.5.2"
    assert sheet.exit_code == 6
    assert {kind: number for kind, number in sheet.counts.items() if number} == {
        "regressed": 2,
        "lost": 1,
        "still_deviating": 1,
        "fixed": 1,
        "changed_as_documented": 3,
        "new": 1,
        "unchanged": 2,
    }
    assert {fact: (row.kind, row.where) for fact, row in rows(sheet).items() if row.kind != "unchanged"} == {
        "dns.scope": ("regressed", ["fresh"]),
        "dns.outage": ("lost", ["fresh"]),
        "publish.direct-route": ("changed_as_documented", ["fresh", "carried", "anew"]),
        "publish.legacy-label": ("changed_as_documented", ["fresh", "anew"]),
        "bridge.gateway-mode": ("changed_as_documented", ["fresh"]),
        "bridge.icc": ("still_deviating", ["fresh"]),
        "overlay.mtu": ("new", ["fresh"]),
        "proxy.one-each": ("fixed", ["fresh"]),
        "egress.masquerade": ("regressed", ["carried"]),
    }


@pytest.mark.parametrize(
    ("fresh", "carried", "anew", "kind", "where"),
    [
        (C, C, C, "unchanged", ["fresh", "carried", "anew"]),
        (D, C, C, "regressed", ["fresh"]),
        (C, D, C, "regressed", ["carried"]),
        (C, C, D, "regressed", ["anew"]),
        (D, D, D, "regressed", ["fresh", "carried", "anew"]),
        (C, U, C, "lost", ["carried"]),
        (U, D, C, "regressed", ["carried"]),
        (U, C, C, "lost", ["fresh"]),
        # what is left out on an upgraded engine says nothing about it
        (C, N, N, "unchanged", ["fresh"]),
        (D, N, N, "regressed", ["fresh"]),
        (N, N, N, "lost", ["fresh"]),
    ],
)
def test_worst_that_was_seen_anywhere_stands_for_a_fact(
    fresh: Verdict, carried: Verdict, anew: Verdict, kind: str, where: list[str]
) -> None:
    sheet = one_fact(before=said(C), after=said(fresh), carried=[*said(carried, carried=True), *said(anew)])

    assert (rows(sheet)["a.one"].kind, rows(sheet)["a.one"].where) == (kind, where)
    assert rows(sheet)["a.one"].reason == "" or "here" in rows(sheet)["a.one"].reason


def test_fact_that_is_fixed_and_still_deviates_on_what_was_carried_over_is_not_fixed() -> None:
    sheet = one_fact(before=said(D), after=said(C), carried=[*said(D, carried=True), *said(C)])

    assert rows(sheet)["a.one"].kind == "still_deviating"
    assert sheet.exit_code == 1


@pytest.mark.parametrize(
    ("before", "kind", "baseline"),
    [
        (C, "regressed", "before"),
        (D, "still_deviating", "before"),
        (N, "regressed", "after"),
        (U, "regressed", "after"),
    ],
)
def test_what_an_upgraded_engine_builds_anew_is_measured_by_a_s_answer_or_where_there_is_none_by_a_fresh_b_s(
    before: Verdict, kind: str, baseline: str
) -> None:
    """A feature that a fresh B has and an upgraded one lacks is a regression of the upgrade."""
    sheet = one_fact(before=said(before), after=said(C), carried=said(D))

    anew = rows(sheet)["a.one"].seen[-1]
    assert (anew.where, anew.kind, anew.before) == ("anew", kind, baseline)


def test_what_is_expected_to_stay_as_it_was_built_is_compared_with_that() -> None:
    """A container keeps what it was started with: the carried finding has A's expectation, and is no change."""
    sheet = whole()
    seen = {one.where: one.kind for one in rows(sheet)["publish.legacy-label"].seen}

    assert seen == {"fresh": "changed_as_documented", "carried": "unchanged", "anew": "changed_as_documented"}
    assert "does not reach it: what was built before stays as it was" in upgrade.render(sheet)


def test_what_does_not_exist_on_one_of_the_engines_is_not_lost_on_the_upgraded_one() -> None:
    """Such a check is skipped there, with the expectation of whichever engine decides."""
    skipped = [verdict_line("a.one", N, carried=True, expected=HOLDS), verdict_line("a.one", N, expected=HOLDS)]
    records = {
        "before": record(OLD, [fact_line("a.one")], said(C)),
        "after": record(NEW, [fact_line("a.one", expected=ABSENT)], said(N, expected=ABSENT)),
        "carried": record(NEW, [fact_line("a.one", expected=ABSENT)], skipped, predecessor=OLD),
    }

    row = rows(of_upgrade(records, pages={}))["a.one"]

    assert (row.kind, row.where) == ("changed_as_documented", ["fresh"])


def test_what_ends_with_the_takeover_itself_names_the_fact_s_own_source() -> None:
    """Neither engine fails it: a claim that is documented not to hold after a restart alone."""
    ended = [verdict_line("a.one", carried=True, expected=FAILS)]

    row = rows(one_fact(before=said(C), after=said(C), carried=ended))["a.one"]

    assert (row.kind, row.source) == ("changed_as_documented", "https://docs.docker.com/engine/network/")


@pytest.mark.parametrize("verdict", [C, D, U, N])
def test_going_back_never_counts(verdict: Verdict) -> None:
    with_back = one_fact(before=said(C), after=said(C), back=[*said(verdict, carried=True), *said(verdict)])
    without = one_fact(before=said(C), after=said(C))

    assert (with_back.headline, with_back.exit_code, with_back.counts) == (
        without.headline,
        without.exit_code,
        without.counts,
    )
    assert rows(with_back)["a.one"].kind == "unchanged"


def test_going_back_is_told_in_a_section_of_its_own() -> None:
    html = upgrade.render(whole())
    section = html[html.index('id="back"') : html.index('id="portraits"')]

    assert "Docker documents no downgrade" in section
    assert "tcp 198.51.100.2:8080: expected connected, saw refused" in section
    assert "tcp 198.51.100.2:8080" not in html[: html.index('id="back"')]


def test_interrupted_upgrade_loses_what_it_did_not_come_to() -> None:
    records = small_upgrade()
    records["carried"] = msgspec.structs.replace(records["carried"], verdicts=(), end=None)
    sheet = of_upgrade(records, pages={})

    assert sheet.headline.startswith("Interrupted: ")
    assert rows(sheet)["publish.basic"].kind == "lost"
    assert rows(sheet)["publish.basic"].where == ["carried", "anew"]
    assert any("The run of the upgrade in place was interrupted" in warning for warning in sheet.warnings)


def test_engines_that_do_not_fit_are_warned_of() -> None:
    records = small_upgrade()
    other = msgspec.structs.replace(NEW, version="29.0.0")
    records["carried"] = msgspec.structs.replace(
        records["carried"], run=msgspec.structs.replace(records["carried"].run, engine=other, predecessor=None)
    )

    warnings = of_upgrade(records, pages={}).warnings

    assert "In the upgrade in place there was an engine 29.0.0, and the fresh one was 28.5.2." in warnings
    assert any("names no engine whose place was taken" in warning for warning in warnings)


def test_upgrade_without_carried_state_does_not_claim_more_than_fresh_engines() -> None:
    sheet = one_fact(before=said(C), after=said(C))

    assert sheet.headline == "Nothing regresses from 20.10.24 to 28.5.2 on fresh engines: all facts are as they were"


# -- sentence and exit code


@pytest.mark.parametrize(
    ("pairs", "code", "sentence"),
    [
        ([(C, HOLDS, C, HOLDS)], 0, "Nothing regresses from 20.10.24 to 28.5.2: all facts are as they were"),
        ([(C, HOLDS, C, FAILS)], 0, "Nothing regresses from 20.10.24 to 28.5.2: 1 documented change"),
        (
            [(C, HOLDS, C, FAILS), (N, ABSENT, C, HOLDS), (D, HOLDS, C, HOLDS), (N, HOLDS, C, HOLDS)],
            0,
            "Nothing regresses from 20.10.24 to 28.5.2: 2 documented changes, 1 fact fixed and 1 new fact",
        ),
        ([(C, HOLDS, D, HOLDS)], 6, "1 fact regresses from 20.10.24 to 28.5.2"),
        ([(C, HOLDS, D, HOLDS), (C, FAILS, D, FAILS)], 6, "2 facts regress from 20.10.24 to 28.5.2"),
        (
            [(D, HOLDS, D, HOLDS)],
            1,
            "No regression was seen from 20.10.24 to 28.5.2, but 1 fact still deviates",
        ),
        (
            [(N, ABSENT, D, HOLDS), (C, HOLDS, U, HOLDS)],
            1,
            "No regression was seen from 20.10.24 to 28.5.2, but 1 fact was lost and 1 new fact deviates",
        ),
        (
            [(C, HOLDS, C, HOLDS), (C, HOLDS, U, HOLDS)],
            3,
            "No regression was seen from 20.10.24 to 28.5.2, but 1 fact was lost",
        ),
        # nobody knows what a new feature does
        (
            [(C, HOLDS, C, HOLDS), (N, ABSENT, U, HOLDS)],
            3,
            "No regression was seen from 20.10.24 to 28.5.2, but 1 fact could not be found out",
        ),
        (
            [(C, HOLDS, C, HOLDS), (U, HOLDS, U, HOLDS)],
            0,
            "No regression was seen from 20.10.24 to 28.5.2, but 1 fact could not be found out",
        ),
        (
            [(C, HOLDS, C, HOLDS), (C, HOLDS, N, HOLDS)],
            0,
            "No regression was seen from 20.10.24 to 28.5.2, but 1 fact was lost",
        ),
        (
            [(C, HOLDS, N, HOLDS)],
            5,
            "Nothing was exercised on 28.5.2, so nothing can be said of the way from 20.10.24 to 28.5.2",
        ),
        (
            [],
            5,
            "Nothing was exercised on 28.5.2, so nothing can be said of the way from 20.10.24 to 28.5.2",
        ),
    ],
)
def test_comparison_ends_in_a_sentence_and_an_exit_code(pairs: list[Any], code: int, sentence: str) -> None:
    sides: list[tuple[list[Any], list[Any]]] = [([], []), ([], [])]
    for number, (verdict, expected, other, other_expected) in enumerate(pairs):
        for (facts, verdicts), one, outcome in zip(sides, (verdict, other), (expected, other_expected), strict=True):
            facts.append(fact_line(f"a.{number}", expected=outcome))
            verdicts.append(verdict_line(f"a.{number}", one, expected=outcome))
    sheet = of_two(record(OLD, *sides[0]), record(NEW, *sides[1]), pages={})

    assert (sheet.exit_code, sheet.headline) == (code, sentence)


def test_interrupted_run_after_is_no_success() -> None:
    before = upgrades.before()
    after = msgspec.structs.replace(before, verdicts=before.verdicts[:3], end=None)
    calm = [verdict_line(fact.fact) for fact in before.facts]
    sheet = of_two(msgspec.structs.replace(before, verdicts=tuple(calm)), after, pages={})

    assert sheet.exit_code == 3
    assert sheet.headline == "Interrupted: no regression was seen between two runs of 20.10.24, but 9 facts were lost"


# -- the page


@pytest.mark.parametrize(("name", "make"), [("upgrade", whole), ("compare", two)])
def test_page_is_as_its_golden(name: str, make: Callable[[], Sheet]) -> None:
    golden = GOLDENS / f"{name}.html"
    made = outside_style_and_script(upgrade.render(make()))

    if os.environ.get("NETFACTS_UPDATE_GOLDENS"):
        golden.write_text(made, "utf-8")
    assert made == golden.read_text("utf-8")


def assert_inert_with_pages(html: str) -> Parsed:
    """Assert that a page runs and loads nothing, and that what leads off it leads to the runs' pages or the web."""
    parsed = Parsed(html)
    inner = [href for href in parsed.values("href") if re.fullmatch(r"[\w./%-]+(#\S*)?", href)]
    parsed.attributes = [one for one in parsed.attributes if one[2] not in inner]
    parsed.elements -= {"nav"}
    assert_inert(parsed)
    assert all(href.partition("#")[0].endswith("/index.html") for href in inner)
    return Parsed(html)


@pytest.mark.parametrize("make", [whole, two])
def test_page_is_inert_and_every_inner_link_leads_somewhere(make: Callable[[], Sheet]) -> None:
    sheet = make()
    parsed = assert_inert_with_pages(upgrade.render(sheet))
    ids = parsed.values("id")

    assert len(ids) == len(set(ids))
    assert {f"fact-{row.fact}" for row in sheet.facts} <= set(ids)
    assert {href[1:] for href in parsed.values("href") if href.startswith("#")} <= set(ids)


def test_policy_allows_just_the_page_s_own_style_and_script() -> None:
    html = upgrade.render(whole())
    policy = next(value for value in Parsed(html).values("content") if "default-src" in value)

    for tag in ("style", "script"):
        (inline,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
        assert "</" not in inline


def test_filters_are_hidden_without_a_script_and_no_fact_is() -> None:
    html = upgrade.render(whole())

    assert re.search(r'<form id="filters"[^>]* hidden>', html)
    assert not re.search(r'<tr class="fact-row"[^>]* hidden>', html)


def test_page_leads_to_the_anchors_of_the_runs_own_pages(folder: Path) -> None:
    html = upgrade.write(folder).read_text("utf-8")
    links = {href for href in Parsed(html).values("href") if "/index.html#" in href}

    assert "after/index.html#fact-dns.scope" in links
    for link in links:
        page, _, anchor = link.partition("#")
        assert anchor in Parsed((folder / page).read_text("utf-8")).values("id")


def test_page_says_the_sentence_then_what_worries_then_what_is_documented() -> None:
    html = upgrade.render(whole())
    order = ["<h1>", 'id="worrying"', 'id="documented"', 'id="fixed"', 'id="new"', 'id="running"', 'id="back"']
    order += ['id="portraits"', 'id="times"', 'id="facts"', 'id="engines"']

    places = [html.index(one) for one in order]
    assert places == sorted(places)


def test_page_tells_flows_with_their_gap_and_those_that_did_not_survive() -> None:
    html = upgrade.render(whole())
    section = Parsed(html[html.index('<section id="running"') : html.index('<section id="back"')]).text

    assert re.search(r"a flow from outside publish.basic–✓ yes1240 msone SYN was repeated", section)
    assert re.search(r"a flow through docker-proxy publish.basic–✗ did not–reset by peer", section)


def test_page_of_a_calm_comparison_says_that_nothing_worries() -> None:
    html = upgrade.render(one_fact(before=said(C), after=said(C)))

    assert "No fact regresses, none was lost, and none deviates." in html
    assert 'id="worrying"' not in html


def test_facts_that_were_lost_for_one_reason_stand_together() -> None:
    facts = [fact_line(f"a.f{number}") for number in range(9)]
    before = record(OLD, facts, [verdict_line(fact.fact) for fact in facts])
    after = msgspec.structs.replace(before, verdicts=(), end=None)

    html = upgrade.render(of_two(before, after, pages={}))

    assert html.count("9 facts, all for one reason") == 1
    assert html.count('<span class="badge kind lost">') == 1


def test_ratio_that_was_measured_in_turns_is_a_figure_and_nothing_that_was_held() -> None:
    rounds = Rounds(unit="µs", series={"host": [8.5], "bridge": [10.8]})
    ratio = Measurement(what="round trip, host : bridge", value=0.787, unit="×", detail="of one round", rounds=rounds)
    facts = [fact_line("host.performance")]
    fresh = record(OLD, facts, [verdict_line("host.performance", measured=[ratio])])
    carried = record(NEW, facts, [verdict_line("host.performance", carried=True, measured=[ratio])], predecessor=OLD)
    after = record(NEW, facts, [verdict_line("host.performance", measured=[ratio])])

    html = upgrade.render(of_upgrade({"before": fresh, "after": after, "carried": carried}, pages={}))

    assert "Held while the engines changed places" not in html
    assert "Figures of single checks" in html
    assert html.count("0.787 ×") == 2


# -- texts


def poisoned(text: str) -> Sheet:
    """A sheet with this text wherever a record may hold one."""
    engine = msgspec.structs.replace(
        OLD, version=text, spec=text, api=text, firewall=text, flags=[text], components={text: text}, storage=text
    )
    fact = fact_line("a.one", claim=text, expected_source=text)
    odd = fact_line(f"odd.{text}", area=text, claim=text, expected=FAILS, expected_source=text)
    flow = Measurement(what=text, value=None, unit=text, detail=text)
    fresh = [verdict_line("a.one", case=text, measured=[flow]), verdict_line(odd.fact, expected=HOLDS)]
    bad = [
        verdict_line("a.one", D, case=text, reason=text, evidence=[Evidence(title=text, text=text)], measured=[flow]),
        verdict_line(odd.fact, expected=FAILS),
    ]
    carried = [msgspec.structs.replace(line, carried=True) for line in bad]
    lines: dict[str, Any] = {
        "portraits": (PortraitLine(scenario=text, parts={text: [text], "b": ["x"], f"c{text}": ["y"]}),),
        "timings": (TimingLine(operation=text, took_s=[1.0, 2.0]),),
    }
    other = lines | {"portraits": (PortraitLine(scenario=text, parts={text: ["z"], "b": ["x", text]}),)}
    run = {"kernel": text, "machine": text, "target": text, "started_at": text, "netfacts": text, "run_id": text}

    def one(verdicts: list[Any], parts: dict[str, Any], predecessor: Any = None) -> Record:
        made = record(engine, [fact, odd], verdicts, predecessor=predecessor, end=END, **parts)
        return msgspec.structs.replace(made, run=msgspec.structs.replace(made.run, **run))

    return of_upgrade(
        {
            "before": one(fresh, lines),
            "after": one(bad, other),
            "carried": one([*carried, *fresh], other, engine),
            "back": one([*carried, *bad], lines, engine),
        },
        pages=PAGES,
    )


@pytest.mark.parametrize("text", NASTY)
def test_markup_in_every_text_of_a_record_is_shown_and_never_taken_for_markup(text: str) -> None:
    parsed = assert_inert_with_pages(upgrade.render(poisoned(text)))

    assert parsed.text.count(text) >= 30


def test_control_characters_are_made_visible() -> None:
    html = upgrade.render(poisoned("a\x00b\x1b[31mc\rd\u202ee\tf\ng"))

    assert "a␀b␛[31mc␍d\ufffde\tf\ng" in html
    assert not set("\x00\x1b\r\u202e") & set(html)


@pytest.mark.parametrize(
    "page", ["javascript:alert(1)", "//evil.example/index.html", "data:text/html,x", "https://x.y/"]
)
def test_json_from_elsewhere_can_not_lead_off_the_machine(tmp_path: Path, page: str) -> None:
    """A comparison's JSON may have been handed on; a link to a run's page leads to a file or nowhere."""
    sheet = of_two(upgrades.before(), upgrades.after(), pages={"after": page})
    (tmp_path / upgrade.COMPARE).write_text(upgrade.encode(sheet))

    assert page not in upgrade.write(tmp_path).read_text("utf-8")


# -- folders


def test_upgrade_is_the_same_byte_for_byte(folder: Path, tmp_path: Path) -> None:
    page = upgrade.write(folder)
    first = page.read_bytes(), (folder / upgrade.UPGRADE).read_bytes()
    moved = shutil.copytree(folder, tmp_path / "elsewhere")
    upgrade.write(moved)

    assert ((moved / "index.html").read_bytes(), (moved / upgrade.UPGRADE).read_bytes()) == first
    assert upgrade.write(folder / upgrade.UPGRADE).read_bytes() == first[0]
    assert sorted(one.name for one in folder.iterdir()) == sorted([*upgrade.ROLES, "index.html", upgrade.UPGRADE])


def test_comparison_is_the_same_byte_for_byte_from_its_json_alone(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "two"
    page = upgrade.write_compare(upgrade.compare(folder / "before", folder / "after", out), out)
    first = page.read_bytes(), (out / upgrade.COMPARE).read_bytes()
    shutil.rmtree(folder)
    page.unlink()

    assert upgrade.write(out).read_bytes() == first[0]
    assert (out / upgrade.COMPARE).read_bytes() == first[1]
    assert b"../up/after/index.html#fact-dns.scope" in first[0]


def test_json_holds_what_a_program_needs(folder: Path) -> None:
    upgrade.write(folder)
    told = msgspec.json.decode((folder / upgrade.UPGRADE).read_bytes())

    assert (told["schema"], told["kind"], told["exit_code"]) == (1, "upgrade", 6)
    assert list(told["counts"]) == list(KINDS)
    (row,) = [fact for fact in told["facts"] if fact["fact"] == "dns.scope"]
    assert (row["change"], row["where"], row["cells"]["after"]["verdict"]) == (Change.REGRESSED, ["fresh"], "deviates")


@pytest.mark.parametrize("role", ["before", "after"])
def test_upgrade_that_lacks_a_fresh_run_is_refused_by_its_name(folder: Path, role: str) -> None:
    upgrade.write(folder)
    (folder / role / "record.jsonl").unlink()

    with pytest.raises(UsageError, match=f"no run `{role}`"):
        upgrade.read(folder)


@pytest.mark.parametrize("role", ["carried", "back"])
def test_upgrade_without_what_is_optional_says_so_by_leaving_it_out(folder: Path, role: str) -> None:
    shutil.rmtree(folder / role)
    html = upgrade.write(folder).read_text("utf-8")

    assert ('id="running"' in html) == (role != "carried")
    assert ('id="back"' in html) == (role != "back")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "truncated"),
        ("{}", "schema"),
        ("[1]", "array"),
        ('{"schema": 7}', "schema 7"),
        ('{"schema": 1}', "missing"),
    ],
)
def test_comparison_that_can_not_be_read_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / upgrade.COMPARE).write_text(text)

    with pytest.raises(UsageError) as caught:
        upgrade.write(tmp_path)

    assert said in caught.value.returned
    assert not (tmp_path / "index.html").exists()
