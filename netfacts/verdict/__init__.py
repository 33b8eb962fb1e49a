"""From observations to verdicts, and verdicts onto a record. Pure but for the record's file."""

from netfacts.verdict.judge import Deviation, different, equal, holds, judge, seen, source_is, wire
from netfacts.verdict.merge import merge
from netfacts.verdict.record import Recorder
from netfacts.verdict.soft import at_least, at_most

__all__ = [
    "Deviation",
    "Recorder",
    "at_least",
    "at_most",
    "different",
    "equal",
    "holds",
    "judge",
    "merge",
    "seen",
    "source_is",
    "wire",
]
