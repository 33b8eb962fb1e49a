"""The lines of record.jsonl. A page is made from these alone."""

from __future__ import annotations

import datetime

import msgspec

from netfacts.model.fact import Accuracy
from netfacts.model.verdict import Expected, Finding, Observation, Verdict

SCHEMA = 5
READABLE = (1, 2, 3, 4, 5)
"""Schemas that can be read: 2 added to 1 what a record of one engine taking another's place holds, and portraits; 3
what labs looked like in which a check did not conform, and what a visit to somebody's machine has left there; 4 whether
a record was redacted; 5 all values of what was measured in turns."""


def now() -> str:
    """Give the time, as records write it."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")


class EngineInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The engine that was judged. `components` maps containerd, runc, docker-init to their versions."""

    spec: str
    version: str
    api: str
    firewall: str
    """`iptables-nft`, `iptables-legacy` or `nftables`."""
    storage: str = ""
    flags: list[str] = []
    components: dict[str, str] = {}


class PortLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine's interface in a lab, with its addresses."""

    name: str
    segment: str
    addresses: list[str]


class MachineLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine in a lab."""

    name: str
    role: str
    """`engine`, `router`, `resolver`, `store` or `client`."""
    ports: list[PortLine]


class LabLine(msgspec.Struct, frozen=True, kw_only=True, tag="lab", tag_field="kind", forbid_unknown_fields=True):
    """A lab shape that facts were exercised in."""

    shape: str
    segments: dict[str, str]
    """Name → IPv4 prefix."""
    machines: list[MachineLine]


class RunLine(msgspec.Struct, frozen=True, kw_only=True, tag="run", tag_field="kind", forbid_unknown_fields=True):
    """The first line: what was run, where."""

    schema: int = SCHEMA
    run_id: str
    netfacts: str
    engine: EngineInfo
    target: str
    kernel: str
    machine: str
    """The distribution of the machine that ran it."""
    started_at: str
    catalogue: dict[str, int]
    missing: dict[str, str] = {}
    """Missing features → why and how to mend it."""
    predecessor: EngineInfo | None = None
    """The engine whose place the judged one took, with all that it had built."""
    restarted: bool = False
    """Whether containers were stopped with it and started again; else they were kept running."""
    shard: str = ""
    """Which of how many shards of the facts this is, such as "1/3"; "" for all of them."""
    redacted: bool = False
    """Whether names and addresses in all lines are stand-ins; no run writes this, but who publishes one."""


class PortraitLine(
    msgspec.Struct, frozen=True, kw_only=True, tag="portrait", tag_field="kind", forbid_unknown_fields=True
):
    """How an engine sets up its machine in one scenario, with every generated name and address replaced by its role.

    Two engines that do the same have the same portrait, line by line. `parts` maps what was read, such as
    "iptables nat" or "links", to its lines.
    """

    scenario: str
    parts: dict[str, list[str]]


class TimingLine(msgspec.Struct, frozen=True, kw_only=True, tag="timing", tag_field="kind", forbid_unknown_fields=True):
    """How long an operation of the engine took, each time that it was tried."""

    operation: str
    took_s: list[float]


class FactLine(msgspec.Struct, frozen=True, kw_only=True, tag="fact", tag_field="kind", forbid_unknown_fields=True):
    """A fact as the catalogue held it at the time, with what it expects of this engine."""

    fact: str
    area: str
    claim: str
    note: str
    accuracy: Accuracy
    sources: list[str]
    show: list[str]
    lab: str
    needs: list[str]
    expected: Expected
    expected_source: str = ""
    selected: bool = True


class VerdictLine(Finding, frozen=True, kw_only=True, tag="verdict", tag_field="kind", forbid_unknown_fields=True):
    """The verdict on one case of one fact."""


class SabotageLine(
    msgspec.Struct, frozen=True, kw_only=True, tag="sabotage", tag_field="kind", forbid_unknown_fields=True
):
    """What a check said under one of its fact's sabotages.

    `turned` is the verdict that its cases came to, `killed` whether that is `deviates`.
    """

    fact: str
    sabotage: str
    case: str = ""
    turned: str
    killed: bool
    reason: str = ""
    observed: list[Observation] = []
    duration_s: float = 0.0

    @property
    def tried(self) -> bool:
        """Whether it could be tried: a fact that is not exercised here can't be sabotaged here either."""
        return self.turned != Verdict.NOT_EXERCISED.value


class HostLine(msgspec.Struct, frozen=True, kw_only=True, tag="host", tag_field="kind", forbid_unknown_fields=True):
    """What became of a machine that was only visited; a change begins with "+" for what came, "-" for what went."""

    left: list[str] = []
    """What the run has left there, or nothing else explains: a failure of the run."""
    others: list[str] = []
    """What others have changed meanwhile."""
    unread: list[str] = []
    """What could not be compared, because only root may read it."""
    unknown: str = ""
    """Why it could not be found out."""

    @property
    def is_as_before(self) -> bool:
        """Whether the run has left it as it was."""
        return not self.left and not self.unknown


class EndLine(msgspec.Struct, frozen=True, kw_only=True, tag="end", tag_field="kind", forbid_unknown_fields=True):
    """The last line of a run that came to its end; a record without it was interrupted."""

    facts: dict[str, int]
    """total, exercised, conforms, deviates, inconclusive, not_exercised."""
    duration_s: float
    interrupted: bool = False
    labs: int = 0
    engines: int = 0
    containers: int = 0
    networks: int = 0
    probes: int = 0
    slowest: list[tuple[str, float]] = []


Line = RunLine | LabLine | FactLine | PortraitLine | TimingLine | VerdictLine | SabotageLine | HostLine | EndLine
