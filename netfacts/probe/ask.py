"""Puts probes to addresses: whole batches in one go, each vantage and each probe at the same time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec

from netfacts.lab import Vantage
from netfacts.model.errors import ProbeError
from netfacts.model.verdict import Outcome

TIMEOUT_S = 2.0
"""How long a probe waits. Docker isolates with DROP, so a negative one takes this long."""


@dataclass(frozen=True)
class Probe:
    """One question. Made by `tcp`, `udp`, `icmp` and `http`."""

    vantage: Vantage
    kind: str
    address: str
    port: int = 0
    timeout_s: float = TIMEOUT_S
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        if self.kind == "icmp":
            size = f" {self.options['size']} bytes" if "size" in self.options else ""
            hops = f" ttl {self.options['ttl']}" if "ttl" in self.options else ""
            return f"ping {self.address}{size}{hops}" + (" DF" if self.options.get("dont_fragment") else "")
        where = f"[{self.address}]" if ":" in self.address else self.address
        return f"{self.kind} {where}:{self.port}"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """How a probe ended, and what it learnt.

    `peer` is the source address that the listener saw, `name` the listener's, `local` the address that the probe left
    from, `source` who answered a ping or sent the ICMP error that ended it, `detail` the kernel's words. `latency_ms`
    covers the whole exchange.
    """

    probe: Probe
    outcome: Outcome
    latency_ms: float = 0.0
    peer: str = ""
    name: str = ""
    local: str = ""
    source: str = ""
    ttl: int | None = None
    status: int = 0
    body: str = ""
    reply: str = ""
    detail: str = ""


def tcp(vantage: Vantage, address: str, port: int, *, timeout_s: float = TIMEOUT_S, **options: Any) -> Probe:
    """Connect, and exchange a nonce with an echo listener; `exchange=False` only connects."""
    return Probe(vantage, "tcp", address, port, timeout_s, options)


def udp(vantage: Vantage, address: str, port: int, *, timeout_s: float = TIMEOUT_S, **options: Any) -> Probe:
    """Send a nonce to an echo listener and wait for it to come back."""
    return Probe(vantage, "udp", address, port, timeout_s, options)


def icmp(vantage: Vantage, address: str, *, timeout_s: float = TIMEOUT_S, **options: Any) -> Probe:
    """Ping once; `size` is the payload in bytes, `dont_fragment` sets DF, `nonce` begins the payload.

    `ttl` is how many hops it may go: the last of them says so, and is the answer's `source`, as traceroute has it.
    """
    return Probe(vantage, "icmp", address, 0, timeout_s, options)


def http(vantage: Vantage, address: str, port: int, *, timeout_s: float = TIMEOUT_S, **options: Any) -> Probe:
    """Fetch `path` and give status and body."""
    return Probe(vantage, "http", address, port, timeout_s, options)


def ask(*probes: Probe, at_once: int = 0) -> list[Answer]:
    """Carry out all probes at once; answers in their order.

    `at_once`: of each vantage no more than so many at a time. Where thousands are asked, a machine that is busy would
    be taken for one that drops packets.

    Raises: ProbeError where a vantage is gone or a probe itself failed; LabError where a machine is lost.
    """
    groups: dict[tuple[int, str], list[int]] = {}
    for index, probe in enumerate(probes):
        groups.setdefault((id(probe.vantage.machine), probe.vantage.net), []).append(index)
    pending = []
    for indexes in groups.values():
        vantage = probes[indexes[0]].vantage
        batch = [_wire(probes[index]) for index in indexes]
        reply = vantage.machine.agent.submit("probe", net=vantage.net, probes=batch, at_once=at_once)
        pending.append((indexes, vantage, reply))
    answers: list[Answer | None] = [None] * len(probes)
    patience = max((probe.timeout_s for probe in probes), default=0.0)
    rounds = math.ceil(max(map(len, groups.values()), default=0) / at_once) if at_once else 1
    for indexes, vantage, reply in pending:
        said = vantage.machine.agent.settle(reply, "probe", timeout_s=patience * rounds)
        for index, entry in zip(indexes, said, strict=True):
            answers[index] = _answer(probes[index], entry)
    return [answer for answer in answers if answer is not None]


def ask_one(probe: Probe) -> Answer:
    """Carry out one probe. Raises as `ask` does."""
    return ask(probe)[0]


def _wire(probe: Probe) -> dict[str, Any]:
    return {
        "kind": probe.kind,
        "address": probe.address,
        "port": probe.port,
        "timeout_s": probe.timeout_s,
    } | probe.options


def _answer(probe: Probe, said: dict[str, Any]) -> Answer:
    peer = said.get("peer", "")
    said = said | {"peer": peer[0] if isinstance(peer, list) else peer}
    try:
        answer = Answer(probe=probe, **msgspec.convert(said | {"outcome": Outcome(said["outcome"])}, dict[str, Any]))
    except (TypeError, ValueError) as error:
        trouble = f"the answer to {probe} can't be read"
        raise ProbeError(trouble, where=str(probe.vantage), returned=str(error)) from None
    if answer.outcome is Outcome.PROBE_ERROR:
        raise ProbeError(f"{probe} could not be carried out", where=str(probe.vantage), returned=answer.detail)
    return answer
