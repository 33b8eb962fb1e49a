"""Verdicts add up, and nothing that was left out is counted as seen."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from netfacts.model.verdict import Expected, Observation, Verdict
from reports import wording
from reports.summary import ENDED_BEFORE, NO_VERDICT, Totals, summarise


def test_summary_counts_facts_and_not_cases(make: Any) -> None:
    """Two cases of one fact are one fact; a fact that was not selected is in no total."""
    record = make.full()

    summary = summarise(record.facts, record.verdicts, interrupted=False)

    assert summary.totals == Totals(total=4, exercised=3, conforms=2, deviates=1, inconclusive=0, not_exercised=1)
    assert [fact.fact for fact in summary.unselected] == ["swarm.ingress"]
    assert [area.name for area in summary.areas] == ["dns", "publish", "bridge"]
    assert summary.areas[1].totals == Totals(2, 1, 1, 0, 0, 1)


def test_summary_puts_deviating_areas_facts_and_cases_first(make: Any) -> None:
    """What deviates comes first at each level; else the order is the catalogue's."""
    facts = [make.fact(name) for name in ("a.one", "a.two", "b.one", "b.two", "b.three")]
    verdicts = [
        make.verdict("b.one"),
        make.verdict("a.one"),
        make.verdict("a.two", Verdict.INCONCLUSIVE),
        make.verdict("b.three", case="x"),
        make.verdict("b.three", Verdict.DEVIATES, case="y", reason="why"),
    ]

    summary = summarise(facts, verdicts, interrupted=False)

    assert [judged.fact.fact for judged in summary.facts] == ["b.three", "b.one", "b.two", "a.two", "a.one"]
    assert [case.case for case in summary.facts[0].cases] == ["y", "x"]
    assert summary.facts[0].reason == "why"


@pytest.mark.parametrize(("interrupted", "reason"), [(True, ENDED_BEFORE), (False, NO_VERDICT)])
def test_summary_says_why_a_selected_fact_has_no_verdict(make: Any, interrupted: bool, reason: str) -> None:
    """A selected fact that was never judged was not exercised, with a reason."""
    summary = summarise([make.fact("a.one")], [], interrupted=interrupted)

    assert summary.facts[0].verdict is Verdict.NOT_EXERCISED
    assert summary.facts[0].reason == reason
    assert summary.totals == Totals(1, 0, 0, 0, 0, 1)


def test_summary_keeps_each_reason_of_the_deciding_cases_once(make: Any) -> None:
    """Reasons of cases that did not decide are left to the cases."""
    verdicts = [
        make.verdict("a.one", Verdict.DEVIATES, reason="one"),
        make.verdict("a.one", Verdict.DEVIATES, reason="two"),
        make.verdict("a.one", Verdict.DEVIATES, reason="one"),
        make.verdict("a.one", Verdict.NOT_EXERCISED, reason="three"),
    ]

    judged = summarise([make.fact("a.one")], verdicts, interrupted=False).facts[0]

    assert judged.reason == "one; two"
    assert judged.cases_exercised == 3


@pytest.mark.parametrize(
    ("totals", "sentence"),
    [
        (Totals(74, 71, 71, 0, 0, 3), "71 of 74 facts exercised: all conform on Docker Engine 20.10.24"),
        (Totals(1, 1, 1, 0, 0, 0), "1 of 1 fact exercised: it conforms on Docker Engine 20.10.24"),
        (Totals(74, 71, 69, 2, 0, 3), "2 facts deviate on Docker Engine 20.10.24"),
        (Totals(74, 71, 69, 1, 1, 3), "1 fact deviates on Docker Engine 20.10.24"),
        (
            Totals(74, 71, 70, 0, 1, 3),
            "71 of 74 facts exercised: none deviates, 1 inconclusive on Docker Engine 20.10.24",
        ),
        (Totals(74, 0, 0, 0, 0, 74), "Nothing was exercised on Docker Engine 20.10.24"),
    ],
)
def test_headline_says_the_run_in_one_sentence(make: Any, totals: Totals, sentence: str) -> None:
    """The headline claims no more than was seen."""
    full = make.full()

    assert wording.headline(totals, full) == sentence
    interrupted = wording.headline(totals, msgspec.structs.replace(full, end=None))
    assert interrupted.lower() == f"interrupted: {sentence}".lower()


@pytest.mark.parametrize(
    ("expected", "verdict", "agrees", "control", "kind"),
    [
        ("holds", "conforms", True, False, "right"),
        ("holds", "deviates", False, False, "wrong"),
        ("holds", "inconclusive", False, True, "wrong"),
        ("fails", "conforms", False, False, "documented"),
        ("fails", "deviates", True, False, "wrong"),
        ("fails", "conforms", True, False, "right"),
        ("fails", "conforms", True, True, "right"),
        ("fails", "inconclusive", False, True, "wrong"),
        ("absent", "conforms", False, False, "documented"),
    ],
)
def test_observation_is_marked_by_what_the_catalogue_expects(
    make: Any, expected: str, verdict: str, agrees: bool, control: bool, kind: str
) -> None:
    """Where a claim is documented not to hold, an observation that differs from it is nothing wrong."""
    finding = make.verdict("a.one", Verdict(verdict), expected=Expected(expected))
    observation = Observation(what="x", expected="a", observed="b", agrees=agrees, control=control)

    assert wording.agreement(finding, observation).kind == kind


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 ms"), (0.0412, "41 ms"), (0.41, "0.4 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"),
     (192.4, "3 min 12 s"), (7260, "2 h 1 min")],
)  # fmt: skip
def test_duration_reads_well(seconds: float, text: str) -> None:
    """A time span comes at the precision a reader cares for, and never as 60 s."""
    assert wording.duration(seconds) == text


def test_pieces_lose_nothing_but_backticks() -> None:
    """A text in pieces is the text, with its addresses as links."""
    text = "new in 27.0 (https://example.org/a_(b)#c), see `docker run`; not javascript:alert(1) or http://"

    parts = list(wording.pieces(text))

    assert "".join(part.text for part in parts) == text.replace("`", "")
    assert [part.url for part in parts if part.url] == ["https://example.org/a_(b)#c"]
    assert [part.text for part in parts if part.code] == ["docker run"]


def test_interrupted_end_line_counts_like_none(make: Any) -> None:
    """A run that was stopped and still wrote its end line is reported as interrupted too."""
    record = msgspec.structs.replace(make.full(), verdicts=(), end=msgspec.structs.replace(make.end, interrupted=True))

    summary = summarise(record.facts, record.verdicts, interrupted=record.interrupted)

    assert {judged.reason for judged in summary.facts} == {ENDED_BEFORE}
