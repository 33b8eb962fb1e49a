"""Judging: what was expected × what was seen, as a truth table."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.model.verdict import Expected, Observation, Verdict
from netfacts.verdict import Deviation, judge
from netfacts.verdict.judge import explain

C, D, U, N = Verdict.CONFORMS, Verdict.DEVIATES, Verdict.INCONCLUSIVE, Verdict.NOT_EXERCISED
HOLDS, FAILS, ABSENT = Expected.HOLDS, Expected.FAILS, Expected.ABSENT


def observation(agrees: bool, *, control: bool = False) -> Observation:
    return Observation(what="tcp 192.0.2.1:80", expected="connected", observed="x", agrees=agrees, control=control)


YES, NO = observation(True), observation(False)
CONTROL, FAILED = observation(True, control=True), observation(False, control=True)


@pytest.mark.parametrize(
    ("expected", "observations", "verdict"),
    [
        # the claim was seen to hold
        (HOLDS, [YES], C),
        (FAILS, [YES], D),
        (ABSENT, [YES], N),
        (HOLDS, [YES, YES], C),
        (FAILS, [YES, YES], D),
        # it was not: one observation that differs is enough
        (HOLDS, [NO], D),
        (FAILS, [NO], C),
        (ABSENT, [NO], N),
        (HOLDS, [YES, NO], D),
        (FAILS, [YES, NO], C),
        # with a control that worked nothing changes
        (HOLDS, [CONTROL, YES], C),
        (HOLDS, [CONTROL, NO], D),
        (FAILS, [CONTROL, YES], D),
        (FAILS, [CONTROL, NO], C),
        (ABSENT, [CONTROL, NO], N),
        # with one that failed nothing is proved
        (HOLDS, [FAILED, YES], U),
        (HOLDS, [FAILED, NO], U),
        (FAILS, [FAILED, YES], U),
        (FAILS, [FAILED, NO], U),
        (ABSENT, [FAILED, NO], U),
        (HOLDS, [CONTROL, FAILED, YES], U),
        (HOLDS, [YES, FAILED], U),
        # nothing was observed, or nothing but controls
        (HOLDS, [], U),
        (FAILS, [], U),
        (ABSENT, [], U),
        (HOLDS, [CONTROL], U),
        (FAILS, [CONTROL], U),
        (FAILS, [FAILED], U),
    ],
)
def test_judge_gives_the_verdict_of_the_truth_table(
    expected: Expected, observations: list[Observation], verdict: Verdict
) -> None:
    assert judge(expected, observations) is verdict


@given(st.lists(st.sampled_from([YES, NO, CONTROL, FAILED]), max_size=5), st.randoms())
def test_judge_does_not_depend_on_the_order(observations: list[Observation], random: object) -> None:
    shuffled = list(observations)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    for expected in Expected:
        assert judge(expected, shuffled) is judge(expected, observations)


@given(st.lists(st.sampled_from([YES, NO, CONTROL, FAILED]), max_size=5))
def test_holding_and_failing_are_opposites_unless_nothing_was_learnt(observations: list[Observation]) -> None:
    pair = {judge(HOLDS, observations), judge(FAILS, observations)}

    assert pair in ({C, D}, {U})


def test_no_failed_control_ever_ends_in_a_pass() -> None:
    for expected, seen in product(Expected, product([YES, NO, CONTROL, FAILED], repeat=3)):
        if FAILED in seen:
            assert judge(expected, seen) is U


def test_only_a_deviation_is_an_assertion_error() -> None:
    """pytest calls AssertionErrors failures and all else errors: that is how JUnit and Allure tell them apart."""
    assert issubclass(Deviation, AssertionError)


def test_explain_says_what_did_not_agree_and_from_where() -> None:
    observations = [
        Observation(what="tcp 192.0.2.1:80", vantage="a", expected="refused", observed="connected", agrees=False),
        Observation(what="resolve b", vantage="a", expected="connected", observed="connected", agrees=True),
        Observation(what="MTU of eth0", expected="1450", observed="1500", agrees=False),
    ]

    assert explain(observations) == (
        "tcp 192.0.2.1:80 (from a): expected refused, saw connected\nMTU of eth0: expected 1450, saw 1500"
    )


def test_explain_says_nothing_when_all_agree() -> None:
    assert explain([YES, CONTROL]) == explain([]) == ""
