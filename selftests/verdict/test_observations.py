"""Observations: what was seen, in words, beside what the claim foretells."""

from __future__ import annotations

from typing import Any, cast

import pytest

from netfacts.lab import Machine, Vantage
from netfacts.model.verdict import Observation, Outcome
from netfacts.probe import Answer, DnsAnswer, Resolution, http, icmp, tcp, udp
from netfacts.verdict import different, equal, holds, seen, source_is
from netfacts.verdict.judge import wire

A = Vantage(cast("Machine", None), "a-1f2e")


def answer(outcome: Outcome = Outcome.CONNECTED, **fields: Any) -> Answer:
    return Answer(probe=tcp(A, "192.0.2.1", 80), outcome=outcome, **fields)


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("expected", Outcome)
def test_seen_agrees_with_the_expected_outcome_alone(outcome: Outcome, expected: Outcome) -> None:
    assert seen(answer(outcome), expected).agrees is (outcome is expected)


def test_seen_says_probe_vantage_outcome_and_the_kernel_s_words() -> None:
    assert seen(
        answer(Outcome.REFUSED, detail="Connection refused", latency_ms=0.4), Outcome.TIMED_OUT, Outcome.UNREACHABLE
    ) == Observation(
        what="tcp 192.0.2.1:80",
        vantage="a-1f2e",
        expected="timed_out or unreachable",
        observed="refused (Connection refused)",
        agrees=False,
        latency_ms=0.4,
    )


def test_seen_marks_a_control() -> None:
    assert seen(answer(), Outcome.CONNECTED, control=True).control
    assert not seen(answer(), Outcome.CONNECTED).control


def test_seen_reads_a_resolution() -> None:
    resolution = Resolution(A, "box", Outcome.NAME_NOT_FOUND, (), 3.0, "Name or service not known")

    observation = seen(resolution, Outcome.CONNECTED)

    assert (observation.what, observation.vantage) == ("resolve box", "a-1f2e")
    assert observation.observed == "name_not_found (Name or service not known)"
    assert not observation.agrees


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (tcp(A, "192.0.2.1", 80), "tcp 192.0.2.1:80"),
        (udp(A, "2001:db8::1", 53), "udp [2001:db8::1]:53"),
        (http(A, "192.0.2.1", 8080, path="/x"), "http 192.0.2.1:8080"),
        (icmp(A, "2001:db8::1"), "ping 2001:db8::1"),
        (icmp(A, "192.0.2.1", size=1400, dont_fragment=True), "ping 192.0.2.1 1400 bytes DF"),
    ],
)
def test_probe_is_called_by_what_it_asks(probe: object, words: str) -> None:
    assert str(probe) == words


@pytest.mark.parametrize(
    ("peer", "expected", "agrees"),
    [
        ("192.0.2.7", ["192.0.2.7"], True),
        ("192.0.2.7", ["192.0.2.8", "192.0.2.7"], True),
        ("192.0.2.70", ["192.0.2.7"], False),
        ("", ["192.0.2.7"], False),
    ],
)
def test_source_is_agrees_with_what_the_listener_saw(peer: str, expected: list[str], agrees: bool) -> None:
    assert source_is(answer(peer=peer), *expected).agrees is agrees


def test_source_is_says_how_the_probe_ended_when_nobody_saw_it() -> None:
    observation = source_is(answer(Outcome.TIMED_OUT), "192.0.2.7")

    assert (observation.observed, observation.expected) == ("timed_out", "192.0.2.7")


@pytest.mark.parametrize(
    ("observed", "expected", "agrees", "words"),
    [
        (1500, 1500, True, ("1500", "1500")),
        ("1500", 1500, False, ("1500", "1500")),
        (["a", "b"], ["a", "b"], True, ("a, b", "a, b")),
        ({"b", "a"}, {"a", "b"}, True, ("a, b", "a, b")),
        ([], ["a"], False, ("nothing", "a")),
        (set(), {"a"}, False, ("nothing", "a")),
        ("", "a", False, ("nothing", "a")),
        (None, 0, False, ("nothing", "0")),
        (False, 0, True, ("False", "0")),
    ],
)
def test_equal_says_both_values_in_words(
    observed: object, expected: object, agrees: bool, words: tuple[str, str]
) -> None:
    observation = equal("a value", observed, expected, vantage=A)

    assert observation.agrees is agrees
    assert (observation.observed, observation.expected) == words
    assert observation.vantage == "a-1f2e"


def test_different_agrees_when_the_values_differ() -> None:
    assert different("netns", 4026531840, 4026532999).agrees
    same = different("netns", 4026531840, 4026531840)
    assert not same.agrees
    assert (same.observed, same.expected) == ("4026531840", "other than 4026531840")


@pytest.mark.parametrize("condition", [True, False])
def test_holds_is_its_condition(condition: bool) -> None:
    observation = holds("rules of nat", condition, ["-j DNAT"], expected="a DNAT rule", control=True)

    assert observation.agrees is condition
    assert observation.control
    assert (observation.observed, observation.expected) == ("-j DNAT", "a DNAT rule")


@pytest.mark.parametrize(
    ("rcode", "records", "wanted", "agrees"),
    [
        ("NOERROR", ("192.0.2.1",), {"rcode": "NOERROR"}, True),
        ("NOERROR", ("192.0.2.1",), {"rcode": "NOERROR", "records": ["192.0.2.1"]}, True),
        ("NOERROR", ("b", "a"), {"rcode": "NOERROR", "records": ["a", "b"]}, True),
        ("NOERROR", (), {"rcode": "NOERROR", "records": ["a"]}, False),
        ("NOERROR", ("a",), {"rcode": "NOERROR", "records": []}, False),
        ("NXDOMAIN", (), {"rcode": "NOERROR"}, False),
        ("NXDOMAIN", (), {"rcode": "NXDOMAIN"}, True),
    ],
)
def test_wire_compares_rcode_and_records(
    rcode: str, records: tuple[str, ...], wanted: dict[str, Any], agrees: bool
) -> None:
    assert wire("A box", DnsAnswer(Outcome.CONNECTED, rcode, records, 60, 1.0), **wanted).agrees is agrees


def test_wire_says_how_the_exchange_ended_when_no_message_came() -> None:
    observation = wire("A box", DnsAnswer(Outcome.TIMED_OUT, "", (), None, 2000.0), rcode="NXDOMAIN")

    assert (observation.observed, observation.expected, observation.agrees) == ("timed_out", "NXDOMAIN", False)
