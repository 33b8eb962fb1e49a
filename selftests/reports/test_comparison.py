"""Two records become a comparison: every pair of sides, what it says of cases, and what can't be compared."""

from __future__ import annotations

from itertools import product
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.model.errors import UsageError
from netfacts.model.record import PortraitLine, TimingLine
from netfacts.model.verdict import Expected, Verdict
from reports.comparison import KINDS, Change, Comparison, change_of, compare
from reports.portrait import portraits
from reports.record import Record
from reports.side import NOT_SELECTED, Side, sides
from reports.summary import ENDED_BEFORE, NO_VERDICT
from reports.timing import WHOLE_RUN, timings
from selftests.reports.conftest import END, fact_line, verdict_line
from selftests.reports.upgrades import ABSENT, FAILS, HOLDS, NEW, OLD, C, D, N, U, record

MISSING = None
# Documented to hold and does; documented not to hold and does not; deviates from either; and so on.
CH, CF, CA = (C, HOLDS), (C, FAILS), (C, ABSENT)
DH, DF, DA = (D, HOLDS), (D, FAILS), (D, ABSENT)
UH, UF, UA = (U, HOLDS), (U, FAILS), (U, ABSENT)
NH, NF, NA = (N, HOLDS), (N, FAILS), (N, ABSENT)
ALL = [CH, CF, CA, DH, DF, DA, UH, UF, UA, NH, NF, NA, MISSING]

Kind = tuple[Verdict, Expected] | None


def side(kind: Kind) -> Side:
    return Side(reason="not there") if kind is None else Side(verdict=kind[0], expected=kind[1])


def told(before: Kind, after: Kind, *, source: str = "") -> Record | Any:
    """Two records with the one fact a.one, or without it."""
    pair = []
    for engine, kind in ((OLD, before), (NEW, after)):
        facts = [
            fact_line("a.other"),
            *([fact_line("a.one", expected=kind[1], expected_source=source)] if kind else []),
        ]
        verdicts = [verdict_line("a.one", kind[0], expected=kind[1], reason="why")] if kind else []
        pair.append(record(engine, facts, [*verdicts, verdict_line("a.other")]))
    return pair


REGRESSED, LOST, FIXED = Change.REGRESSED, Change.LOST, Change.FIXED
DOCUMENTED, NEWLY, UNCHANGED = Change.CHANGED_AS_DOCUMENTED, Change.NEW, Change.UNCHANGED

TABLE: dict[Change, list[tuple[list[Kind], list[Kind]]]] = {
    # as documented before, and it contradicts the catalogue now, whichever way that changed its mind
    REGRESSED: [([CH, CF, CA], [DH, DF, DA])],
    FIXED: [([DH, DF, DA], [CH, CF, CA, NA])],
    # both as documented, and something else is documented
    DOCUMENTED: [([CH], [CF, CA, NA]), ([CF], [CH, CA, NA]), ([CA, NA], [CH, CF])],
    # there was an answer and is none now
    LOST: [([CH, CF, CA, DH, DF, DA], [UH, UF, UA, NH, NF, MISSING])],
    # there was none and is one now; absent as documented is none, for nothing was put to the engine
    NEWLY: [([UH, UF, UA, NH, NF, MISSING], [CH, CF, CA, DH, DF, DA]), ([NA], [DH, DF, DA])],
    UNCHANGED: [
        ([CH], [CH]),
        ([CF], [CF]),
        ([CA, NA], [CA, NA]),
        ([DH, DF, DA], [DH, DF, DA]),
        ([UH, UF, UA, NH, NF, MISSING], [UH, UF, UA, NH, NF, MISSING, NA]),
        ([NA], [UH, UF, UA, NH, NF, MISSING]),
    ],
}
ROWS = [
    (before, after, change)
    for change, blocks in TABLE.items()
    for befores, afters in blocks
    for before, after in product(befores, afters)
]


def name(kind: object) -> str:
    if kind is None:
        return "missing"
    return kind.value if isinstance(kind, Change) else "-".join(one.value for one in kind)  # type: ignore[attr-defined]


def test_table_has_every_pair_once() -> None:
    assert sorted(map(str, [(before, after) for before, after, _ in ROWS])) == sorted(map(str, product(ALL, ALL)))


@pytest.mark.parametrize(("before", "after", "change"), ROWS, ids=name)
def test_change_is_as_the_table_says(before: Kind, after: Kind, change: Change) -> None:
    assert change_of(side(before), side(after)) is change


@pytest.mark.parametrize(("before", "after", "change"), ROWS, ids=name)
def test_records_compare_as_their_sides_do(before: Kind, after: Kind, change: Change) -> None:
    """From records to changes nothing gets lost on the way, and a fact that neither has stands nowhere."""
    comparison = compare(*told(before, after))

    assert [fact.fact for fact in comparison.facts] == (["a.other", "a.one"] if before or after else ["a.other"])
    if before or after:
        assert comparison.facts[1].change is change
        assert comparison.facts[1].kind in KINDS
        assert comparison.facts[1].reason or change in (DOCUMENTED, UNCHANGED)


@pytest.mark.parametrize(("before", "after"), list(product(ALL, ALL)), ids=name)
def test_whatever_deviates_now_is_worrying(before: Kind, after: Kind) -> None:
    facts = {fact.fact: fact for fact in compare(*told(before, after)).facts}

    if "a.one" in facts:
        bad = after is not None and after[0] is D
        assert facts["a.one"].worrying == (bad or facts["a.one"].change in (REGRESSED, LOST))
        if bad:
            assert facts["a.one"].kind in ("regressed", "new_deviating", "still_deviating")


@pytest.mark.parametrize(
    ("before", "after", "source"),
    [("", "since 28", "since 28"), ("until 27", "", "until 27"), ("until 27", "since 28", "since 28"), ("", "", "")],
)
def test_documented_change_carries_its_source_that_of_the_later_side_first(
    before: str, after: str, source: str
) -> None:
    one, _ = told(CH, CF, source=before)
    _, other = told(CH, CF, source=after)

    assert compare(one, other).facts[1].source == source


def test_change_without_a_documented_difference_has_no_source() -> None:
    """A range's source says why it differs from its neighbours, which does not explain a regression inside it."""
    one, other = told(CH, DH, source="holds since 23")

    assert compare(one, other).facts[1].source == ""


def test_documented_change_that_did_not_come_is_a_regression_that_says_so() -> None:
    """What holds as it did is no news to whoever looks at the engine, and all the more to whoever read the notes."""
    one, other = told(CH, DF, source="since 28")
    (_, fact) = compare(one, other).facts

    assert (fact.change, fact.source) == (REGRESSED, "since 28")
    assert fact.reason == "as before, though documented to be otherwise now: why"
    assert compare(*told(CH, DH)).facts[1].reason == "why"


def test_reason_does_not_repeat_the_claim_that_stands_beside_it() -> None:
    one, _ = told(CH, DH)
    claim = fact_line("a.one").claim
    lines = [verdict_line("a.one", D, case="x", reason=f"{claim}\ntcp: expected connected, saw reset")]
    lines += [verdict_line("a.one", D, case="y", reason=f"documented not to hold on this engine, yet it does: {claim}")]
    (fact,) = compare(one, record(NEW, [fact_line("a.one")], lines)).facts[:1]

    assert fact.reason == ("tcp: expected connected, saw reset; documented not to hold on this engine, yet it does")


# -- cases


def cases(**verdicts: Verdict) -> Record:
    """A record of one fact with these cases."""
    lines = [verdict_line("a.one", verdict, case=case, reason=f"{case} failed") for case, verdict in verdicts.items()]
    return record(OLD, [fact_line("a.one")], lines)


@pytest.mark.parametrize(
    ("before", "after", "change", "reason"),
    [
        ({"x": C, "y": C}, {"x": C, "y": D}, REGRESSED, "1 of 2 cases (y): y failed"),
        ({"x": C, "y": C}, {"x": D, "y": D}, REGRESSED, "x failed; y failed"),
        ({"x": C, "y": N}, {"x": C, "y": D}, REGRESSED, "1 of 2 cases (y): y failed"),
        ({"x": C}, {"x": C, "y": D}, REGRESSED, "1 of 2 cases (y): y failed"),
        ({"x": C, "y": C}, {"x": C, "y": U}, LOST, "1 of 2 cases (y): inconclusive: y failed"),
        ({"x": C, "y": C}, {"x": C, "y": N}, UNCHANGED, "1 case not exercised now: y"),
        ({"x": C, "y": N}, {"x": C, "y": C}, UNCHANGED, "1 case conforms now: y"),
        ({"x": C, "y": C}, {"x": C}, UNCHANGED, "1 case not there any more: y"),
        ({"x": C}, {"x": C, "y": C}, UNCHANGED, ""),
        ({"x": C, "y": C}, {"x": C, "y": C}, UNCHANGED, ""),
        # the fact deviates on both sides, and yet a case of it broke
        (
            {"x": D, "y": C},
            {"x": D, "y": D},
            UNCHANGED,
            "still deviates: x failed; y failed – 1 case deviates now: y",
        ),
        (
            {"x": D, "y": C},
            {"x": C, "y": D},
            UNCHANGED,
            "still deviates: y failed – 1 case deviates now: y; 1 case conforms now: x",
        ),
        (
            {"x": D},
            {"x": D, "y": D},
            UNCHANGED,
            "still deviates: x failed; y failed – 1 case deviates and was not there before: y",
        ),
        ({"x": D, "y": C}, {"x": C, "y": C}, FIXED, "deviated before: x failed"),
    ],
)
def test_cases_merge_and_those_that_changed_are_named(
    before: dict[str, Verdict], after: dict[str, Verdict], change: Change, reason: str
) -> None:
    (fact,) = compare(cases(**before), cases(**after)).facts

    assert (fact.change, fact.reason) == (change, reason)


def test_many_cases_are_named_by_the_first_of_them() -> None:
    names = [f"c{number}" for number in range(9)]
    before, after = cases(**dict.fromkeys(names, C)), cases(**{**dict.fromkeys(names, D), "c8": C})

    assert compare(before, after).facts[0].reason.startswith("8 of 9 cases (c0, c1, c2, c3 and 4 more): ")


# -- records that were interrupted, or selected other facts


def test_interrupted_run_loses_what_it_did_not_come_to() -> None:
    before = record(OLD, [fact_line("a.one"), fact_line("a.two")], [verdict_line("a.one"), verdict_line("a.two")])
    after = msgspec.structs.replace(before, verdicts=before.verdicts[:1], end=None)

    comparison = compare(before, after)

    assert [fact.change for fact in comparison.facts] == [UNCHANGED, LOST]
    assert comparison.facts[1].reason == f"not exercised: {ENDED_BEFORE}"
    assert "The run after was interrupted" in comparison.warnings[0]
    assert [fact.change for fact in compare(after, before).facts] == [UNCHANGED, NEWLY]


def test_absence_that_no_check_recorded_is_none() -> None:
    """What is expected to be absent and was not come to is lost like all else: nothing was recorded of it."""
    before = record(OLD, [fact_line("a.one")], [verdict_line("a.one")])
    after = record(NEW, [fact_line("a.one", expected=ABSENT)], [], end=None)

    assert compare(before, after).facts[0].change is LOST
    assert compare(before, msgspec.structs.replace(after, end=END)).facts[0].reason == f"not exercised: {NO_VERDICT}"


def test_fact_that_one_run_did_not_select_is_lost_or_new_and_in_neither_nothing() -> None:
    chosen = record(OLD, [fact_line("a.one"), fact_line("a.two", selected=False)], [verdict_line("a.one")])
    other = record(NEW, [fact_line("a.one", selected=False), fact_line("a.two", selected=False)], [])

    (fact,) = compare(chosen, other).facts

    assert (fact.fact, fact.change, fact.reason) == ("a.one", LOST, NOT_SELECTED)
    assert [one.change for one in compare(other, chosen).facts] == [NEWLY]
    assert any(
        "did not select the same facts: 1 were selected before alone, 0" in one
        for one in compare(chosen, other).warnings
    )


def test_facts_stand_in_the_later_catalogue_s_order_and_those_it_lacks_at_the_end() -> None:
    one = record(OLD, [fact_line("a.x"), fact_line("a.y"), fact_line("a.z")], [verdict_line(f"a.{n}") for n in "xyz"])
    other = record(NEW, [fact_line("a.z"), fact_line("a.y")], [verdict_line("a.z"), verdict_line("a.y")])

    assert [fact.fact for fact in compare(one, other).facts] == ["a.z", "a.y", "a.x"]
    assert compare(one, other).facts[2].reason == "the catalogue of that run does not have it"


def test_carried_findings_are_cases_of_their_own_where_such_a_record_is_compared() -> None:
    """The same case on what was carried over and built anew would else hide one behind the other."""
    lines = [verdict_line("a.one", case="x"), verdict_line("a.one", D, case="x", carried=True, reason="why")]
    taken = record(NEW, [fact_line("a.one")], lines, predecessor=OLD)
    fresh = record(OLD, [fact_line("a.one")], lines[:1])

    comparison = compare(fresh, taken)

    assert comparison.facts[0].change is REGRESSED
    assert comparison.facts[0].reason == "1 of 2 cases (carried x): why"
    assert any("took another's place" in warning for warning in comparison.warnings)


def test_sabotages_are_refused(sample: tuple[str, Record]) -> None:
    """A run on engines that were broken on purpose says nothing about them."""
    name, one = sample
    if name != "sabotage":
        compare(one, one)
        return
    with pytest.raises(UsageError, match="a record of sabotages can't be compared"):
        compare(one, one)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("target", "local", "targets differ"),
        ("kernel", "6.12.1", "kernels differ"),
        ("machine", "Ubuntu 24.04", "machines differ"),
        ("netfacts", "9.9", "versions of netfacts differ"),
        ("engine", {"firewall": "nftables"}, "firewalls differ"),
        ("engine", {"flags": ["--icc=false"]}, "flags differ"),
        ("engine", {"version": "19.3.1"}, "older than"),
    ],
)
def test_what_else_differs_is_warned_of(make: Any, field: str, value: Any, said: str) -> None:
    one = make.full()
    if isinstance(value, dict):
        value = msgspec.structs.replace(one.run.engine, **value)
    other = msgspec.structs.replace(one, run=msgspec.structs.replace(one.run, **{field: value}))

    assert compare(one, one).warnings == ()
    assert [said in warning for warning in compare(one, other).warnings] == [True]


# -- times and portraits


def test_times_are_medians_with_ratio_and_spread() -> None:
    one = record(OLD, [], [], timings=(TimingLine(operation="start", took_s=[1.0, 9.0, 2.0]),))
    other = record(NEW, [], [], timings=(TimingLine(operation="start", took_s=[12.0, 10.0, 14.0]),))

    whole, start = timings(one, other)

    assert (whole.operation, whole.ratio, whole.apart) == (WHOLE_RUN, 1.0, False)
    assert start.before is not None
    assert (start.before.median_s, start.before.least_s, start.before.most_s, start.before.tries) == (2.0, 1.0, 9.0, 3)
    assert start.ratio == 6.0
    assert start.apart


def test_times_of_one_side_alone_have_no_ratio() -> None:
    one = record(OLD, [], [], timings=(TimingLine(operation="start", took_s=[0.0]),), end=None)
    other = record(
        NEW, [], [], timings=(TimingLine(operation="start", took_s=[1.0]), TimingLine(operation="b", took_s=[]))
    )

    assert [(timing.operation, timing.ratio) for timing in timings(one, other)] == [("start", None), (WHOLE_RUN, None)]


def portrait(scenario: str = "s", **parts: list[str]) -> PortraitLine:
    return PortraitLine(scenario=scenario, parts={name.replace("_", " "): lines for name, lines in parts.items()})


def test_portraits_show_what_differs_and_name_what_does_not() -> None:
    long = [f"-A R{number}" for number in range(20)]
    (one,) = portraits([portrait(nat=long, links=["a"])], [portrait(nat=[*long[:10], "new", *long[11:]], links=["a"])])

    (part,) = one.parts
    assert (one.same, part.name, part.removed, part.added) == (("links",), "nat", 1, 1)
    assert [(row.sign, row.text or row.folded) for row in part.rows] == [
        ("…", 8),
        *((" ", "-A R8"), (" ", "-A R9")),
        *(("-", "-A R10"), ("+", "new")),
        *((" ", "-A R11"), (" ", "-A R12")),
        ("…", 7),
    ]


def test_portraits_of_one_side_alone_say_so() -> None:
    found = portraits([portrait("x"), portrait("y", nat=["a"])], [portrait("y"), portrait("z")])

    assert [(one.scenario, one.only) for one in found] == [("x", "before"), ("y", ""), ("z", "after")]
    assert found[1].parts[0].removed == 1


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_portraits_lose_no_line(before: list[str], after: list[str]) -> None:
    (one,) = portraits([portrait(nat=before)], [portrait(nat=after)])

    rows = one.parts[0].rows if one.parts else ()
    assert bool(one.parts) == (before != after)
    kept = sum(row.folded for row in rows)
    if rows:
        assert sum(row.sign in "- " for row in rows) + kept == len(before)
        assert sum(row.sign in "+ " for row in rows) + kept == len(after)
        assert [row.text for row in rows if row.sign == "+"] != [] or len(after) < len(before)


# -- anything at all

FACTS = ("a.one", "a.two", "b.one")


@st.composite
def any_record(draw: st.DrawFn) -> Record:
    """A record of a few facts in whatever state, interrupted or not."""
    facts, verdicts = [], []
    for fact in draw(st.lists(st.sampled_from(FACTS), unique=True)):
        expected = draw(st.sampled_from(Expected))
        selected = draw(st.booleans())
        facts.append(fact_line(fact, expected=expected, selected=selected))
        for case in draw(st.lists(st.sampled_from(("x", "y", "")), max_size=3)) if selected else []:
            verdict = draw(st.sampled_from(Verdict))
            carried = draw(st.booleans())
            verdicts.append(verdict_line(fact, verdict, case=case, expected=expected, carried=carried))
    end = draw(st.sampled_from([END, None]))
    return record(draw(st.sampled_from([OLD, NEW])), facts, verdicts, end=end)


def of(comparison: Comparison) -> dict[str, Change]:
    return {fact.fact: fact.change for fact in comparison.facts}


@given(any_record())
def test_record_beside_itself_is_unchanged(one: Record) -> None:
    comparison = compare(one, one)

    assert set(of(comparison).values()) <= {UNCHANGED}
    assert [fact.fact for fact in comparison.facts] == [fact.fact for fact in one.facts if fact.selected]
    assert all(timing.ratio in (1.0, None) for timing in comparison.timings)


SWAPPED: dict[Change, Change] = {
    REGRESSED: FIXED,
    FIXED: REGRESSED,
    LOST: NEWLY,
    NEWLY: LOST,
    DOCUMENTED: DOCUMENTED,
    UNCHANGED: UNCHANGED,
}


@given(any_record(), any_record())
def test_sides_swapped_swap_the_changes(one: Record, other: Record) -> None:
    """One pair is no mirror: what deviates where nothing was is new, and is fixed when it has gone as documented."""
    there, back = compare(one, other), of(compare(other, one))

    assert set(of(there)) == set(back)
    for fact in there.facts:
        pair = fact.before, fact.after
        if any(side.absent for side in pair) and any(side.deviates for side in pair):
            assert {fact.change, back[fact.fact]} == {NEWLY, FIXED}
        else:
            assert back[fact.fact] is SWAPPED[fact.change]


@given(any_record())
def test_sides_have_a_verdict_just_where_a_fact_was_selected(one: Record) -> None:
    found = sides(one)

    assert {fact for fact, side in found.items() if side.verdict is not None} == {
        fact.fact for fact in one.facts if fact.selected
    }
