"""The sentences and figures of a report, in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from netfacts.model.fact import Carried
from netfacts.model.record import RunLine
from netfacts.model.verdict import Expected, Finding, Observation, Verdict
from reports.record import Record
from reports.summary import Totals

VERDICTS = {
    Verdict.DEVIATES: ("✗", "deviates"),
    Verdict.INCONCLUSIVE: ("?", "inconclusive"),
    Verdict.CONFORMS: ("✓", "conforms"),
    Verdict.NOT_EXERCISED: ("–", "not exercised"),
}
"""A sign and a word for each verdict, worst first: colour alone tells nothing to many readers."""

ACCURACY = {"imprecise": "are imprecise", "outdated": "are outdated", "wrong": "are wrong"}
"""What is said of the notes that a fact came from."""

CARRIED = {
    Carried.RUNNING: "as expected of the engine that runs then, whoever built it",
    Carried.STARTED: "as expected of the engine that built it; once started again, as of the engine that runs then",
    Carried.INSTALLED: "as expected of the first engine that was started on the machine",
    Carried.FAILS: "does not hold any more, whichever engine takes over",
    Carried.FAILS_LIVE: "does not hold any more where containers keep running, whichever engine takes over",
    Carried.HOLDS: "holds, whichever engine takes over",
}
"""What becomes of a claim where one engine takes over what another one has built."""

REDACTED = "Names, addresses and paths that may be the machine's are replaced or left out; verdicts and counts stay."
"""What is said on the page of a record that was redacted."""

_URL_OR_CODE = re.compile(r"(?P<url>https?://[^\s<>\"'`]*[^\s<>\"'`.,;:)\]])|`(?P<code>[^`\n]+)`")
# Characters that would be invisible or reorder what stands around them; a report shows what was there.
_CONTROLS = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
_CONTROLS |= {0x7F: "␡"} | dict.fromkeys([*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd")


@dataclass(frozen=True)
class Mark:
    """What an observation says beside its claim; `kind` is `right`, `wrong` or `documented`."""

    kind: str
    sign: str
    words: str


@dataclass(frozen=True)
class Piece:
    """A stretch of text: an address on the web, something to type, or neither."""

    text: str
    url: str = ""
    code: bool = False


def count(number: int, singular: str, plural: str = "") -> str:
    """Give "1 fact", "2 facts"."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def headline(totals: Totals, record: Record) -> str:
    """Give the run in one sentence."""
    sentence = _sentence(totals, record)
    return f"Interrupted: {sentence[0].lower()}{sentence[1:]}" if record.interrupted else sentence


def _sentence(totals: Totals, record: Record) -> str:
    on = f"on Docker Engine {record.run.engine.version}"
    if record.run.predecessor:
        on += f" in the place of {record.run.predecessor.version}"
    tried = [line for line in record.sabotages if line.tried]
    if tried and not record.verdicts:
        return f"{sum(line.killed for line in tried)} of {count(len(tried), 'sabotage')} killed {on}"
    if not totals.exercised:
        return f"Nothing was exercised {on}"
    if totals.deviates:
        return f"{count(totals.deviates, 'fact deviates', 'facts deviate')} {on}"
    exercised = f"{totals.exercised} of {count(totals.total, 'fact')} exercised"
    if totals.inconclusive:
        return f"{exercised}: none deviates, {totals.inconclusive} inconclusive {on}"
    return f"{exercised}: {'it conforms' if totals.exercised == 1 else 'all conform'} {on}"


def agreement(finding: Finding, observation: Observation) -> Mark:
    """Say what an observation means for the verdict.

    Observations stand beside the claim. Where the claim is documented not to hold, one that differs is as documented.
    """
    if observation.control or finding.expected is Expected.HOLDS:
        return Mark("right", "✓", "agrees") if observation.agrees else Mark("wrong", "✗", "differs")
    if not observation.agrees:
        return Mark("documented", "≠", "differs, as documented")
    if finding.verdict is Verdict.DEVIATES:
        return Mark("wrong", "✗", "agrees, though documented not to")
    return Mark("right", "✓", "agrees")


def case_name(finding: Finding, run: RunLine) -> str:
    """Name a case; where one engine took another's place, say which of the two built what was looked at."""
    built = "" if run.predecessor is None else "carried over" if finding.carried else "built anew"
    return ", ".join(filter(None, (finding.case, built)))


def figure(value: float | None, unit: str) -> str:
    """Give a figure with its unit, at the precision a reader cares for."""
    if value is None:
        return "–"
    shown = f"{value:.0f}" if abs(value) >= 99.5 else f"{value:.3g}"
    return f"{shown} {unit}".rstrip()


def expectation(expected: Expected, version: str) -> str:
    """Say what the catalogue expects of an engine version."""
    return {
        Expected.HOLDS: f"holds on {version}",
        Expected.FAILS: f"documented not to hold on {version}",
        Expected.ABSENT: f"absent from {version}: what the claim speaks of does not exist there",
    }[expected]


def duration(seconds: float) -> str:
    """Give a time span at the precision a reader cares for."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def latency(milliseconds: float) -> str:
    """Give a latency with two significant digits or so."""
    return f"{milliseconds:.2f} ms" if milliseconds < 9.995 else f"{milliseconds:.0f} ms"


def moment(stamp: str) -> str:
    """Give an ISO time stamp as "2026-03-01 02:14:05 UTC", or as it stands where it is none."""
    try:
        at = datetime.fromisoformat(stamp)
        return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if at.tzinfo else at.strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        # Also where the time is before the year 1 or after 9999 by another zone.
        return stamp


def pieces(text: str) -> Iterator[Piece]:
    """Give a text in pieces: web addresses as links, what stands in `backticks` as something to type."""
    done = 0
    for match in _URL_OR_CODE.finditer(text):
        if match.start() > done:
            yield Piece(text[done : match.start()])
        url, code = match.group("url"), match.group("code")
        yield Piece(url, url=url) if url else Piece(code, code=True)
        done = match.end()
    if done < len(text):
        yield Piece(text[done:])


def visible(text: str) -> str:
    """Give a text with its control characters as signs."""
    return text.translate(_CONTROLS)
