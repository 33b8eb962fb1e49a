"""Judges a fact: pure functions of what was expected and what was seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from netfacts.model.verdict import Expected, Observation, Outcome, Verdict

if TYPE_CHECKING:
    # Whoever merges verdicts or reads a record has no answers to judge, and need not wait for the library of labs.
    from netfacts.probe import Answer, DnsAnswer, Resolution


class Deviation(AssertionError):
    """A fact does not conform: the one error of a check that is pytest's failure and not its error."""


def judge(expected: Expected, observations: Sequence[Observation]) -> Verdict:
    """Say what observations make of a fact's claim, against what is expected of this engine version.

    The claim was seen to hold if every observation agrees with it. A failed positive control, or nothing observed but
    controls, proves nothing either way.
    """
    judged = [seen for seen in observations if not seen.control]
    if not judged or any(not seen.agrees for seen in observations if seen.control):
        return Verdict.INCONCLUSIVE
    if expected is Expected.ABSENT:
        return Verdict.NOT_EXERCISED
    held = all(seen.agrees for seen in judged)
    return Verdict.CONFORMS if held is (expected is Expected.HOLDS) else Verdict.DEVIATES


def seen(answer: Answer | Resolution, *expected: Outcome, control: bool = False) -> Observation:
    """Observe how a probe or a resolution ended; any of `expected` agrees with the claim."""
    from netfacts.probe import Resolution

    if isinstance(answer, Resolution):
        what, vantage = f"resolve {answer.name}", answer.vantage
    else:
        what, vantage = str(answer.probe), answer.probe.vantage
    return Observation(
        what=what,
        vantage=str(vantage),
        expected=" or ".join(outcome.value for outcome in expected),
        observed=answer.outcome.value + (f" ({answer.detail})" if answer.detail else ""),
        agrees=answer.outcome in expected,
        control=control,
        latency_ms=answer.latency_ms,
    )


def source_is(answer: Answer, *expected: str) -> Observation:
    """Observe the source address that the listener saw; bytes that arrive under another name are another fact."""
    return Observation(
        what=f"source address of {answer.probe}, as the listener saw it",
        vantage=str(answer.probe.vantage),
        expected=" or ".join(expected),
        observed=answer.peer or answer.outcome.value,
        agrees=answer.peer in expected,
        latency_ms=answer.latency_ms,
    )


def equal(what: str, observed: object, expected: object, *, vantage: object = "", control: bool = False) -> Observation:
    """Observe a value that the claim names."""
    return Observation(
        what=what,
        vantage=str(vantage),
        expected=_words(expected),
        observed=_words(observed),
        agrees=observed == expected,
        control=control,
    )


def different(what: str, observed: object, other: object, *, vantage: object = "") -> Observation:
    """Observe a value that must differ from another."""
    return Observation(
        what=what,
        vantage=str(vantage),
        expected=f"other than {_words(other)}",
        observed=_words(observed),
        agrees=observed != other,
    )


def holds(
    what: str, condition: bool, observed: object, *, expected: str, vantage: object = "", control: bool = False
) -> Observation:
    """Observe a condition; `expected` says it in words, `observed` what was there instead or as well."""
    return Observation(
        what=what,
        vantage=str(vantage),
        expected=expected,
        observed=_words(observed),
        agrees=condition,
        control=control,
    )


def wire(what: str, answer: DnsAnswer, *, rcode: str, records: Sequence[str] | None = None) -> Observation:
    """Observe what a DNS server said on the wire."""
    said = f"{answer.rcode or answer.outcome.value} {' '.join(answer.records)}".strip()
    wanted = f"{rcode} {' '.join(records or ())}".strip()
    agrees = answer.rcode == rcode and (records is None or sorted(answer.records) == sorted(records))
    return Observation(what=what, expected=wanted, observed=said, agrees=agrees, latency_ms=answer.latency_ms)


def explain(observations: Iterable[Observation]) -> str:
    """Say in lines what did not agree."""
    lines = [
        f"{seen.what}"
        + (f" (from {seen.vantage})" if seen.vantage else "")
        + f": expected {seen.expected}, saw {seen.observed}"
        for seen in observations
        if not seen.agrees
    ]
    return "\n".join(lines)


def _words(value: object) -> str:
    if isinstance(value, (set, frozenset)):
        return ", ".join(sorted(map(str, value))) or "nothing"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "nothing"
    return str(value) if value not in ("", None) else "nothing"
