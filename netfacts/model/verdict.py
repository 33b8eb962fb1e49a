"""Verdicts and what they rest on."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from netfacts.model.rounds import Rounds


class Verdict(StrEnum):
    """What a run says of a fact."""

    CONFORMS = "conforms"
    DEVIATES = "deviates"
    INCONCLUSIVE = "inconclusive"
    NOT_EXERCISED = "not_exercised"


class Expected(StrEnum):
    """What a fact's catalogue entry expects of one engine version."""

    HOLDS = "holds"
    """The claim is true there."""
    FAILS = "fails"
    """The claim is documented not to be true there."""
    ABSENT = "absent"
    """What the claim speaks of does not exist there."""


class Outcome(StrEnum):
    """How a probe ended. Never a bool, never the text of a tool."""

    CONNECTED = "connected"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    TOO_BIG = "too_big"
    NAME_NOT_FOUND = "name_not_found"
    RESOLVER_FAILED = "resolver_failed"
    PROBE_ERROR = "probe_error"


class Observation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that was seen, beside what the claim makes of it.

    `what` names the probe or reading, `expected` what the claim foretells, `observed` what was seen; `agrees` is
    whether the two agree. `control` marks a positive control.
    """

    what: str
    vantage: str = ""
    expected: str
    observed: str
    agrees: bool
    control: bool = False
    latency_ms: float | None = None


class Evidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text that lets a reader check the verdict: rules, packets, a file, the end of a log."""

    title: str
    text: str


class Measurement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure that was taken beside what was judged: a gap, a duration, a ratio. Never a verdict by itself.

    `what` names it, `unit` is such as "ms"; `value` is None where there was nothing to measure, and `detail` says why.
    `rounds` are all the values that a ratio comes from.
    """

    what: str
    value: float | None
    unit: str
    detail: str = ""
    rounds: Rounds | None = None


class SceneNetwork(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Docker network that a check used."""

    name: str
    driver: str
    machine: str
    subnet: str = ""
    bridge: str = ""


class SceneContainer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A container that a check made. `networks` maps network name to address ("" for host and none)."""

    name: str
    machine: str
    mode: str
    networks: dict[str, str] = {}
    ports: list[str] = []


class Scene(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What stood in the lab when a check probed it: enough to draw it."""

    networks: list[SceneNetwork] = []
    containers: list[SceneContainer] = []


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The verdict on one case of one fact.

    `carried`: in a run in which one engine took another's place, what the check looked at was built by the first.
    `evidence` is what the check chose to show. `state` is what its lab looked like when it had ended otherwise than
    expected (packets, firewall, links, …), and `captures` are files with those packets, beside the record.
    """

    fact: str
    case: str = ""
    carried: bool = False
    verdict: Verdict
    expected: Expected
    claim: str = ""
    observed: list[Observation] = []
    evidence: list[Evidence] = []
    state: list[Evidence] = []
    captures: list[str] = []
    measured: list[Measurement] = []
    scene: Scene = Scene()
    reason: str = ""
    duration_s: float = 0.0
    worker: str = ""
    at: str = ""


def plain(value: Any) -> Any:
    """Give a value as JSON types (dicts, lists, strings, numbers)."""
    return msgspec.to_builtins(value)
