"""Flows: lines that go to and fro all the time, to see whether they survive what happens meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netfacts.lab import Vantage
from netfacts.model.errors import ProbeError
from netfacts.model.verdict import Outcome
from netfacts.probe.ask import TIMEOUT_S, Answer, Probe

# Lines that TCP has not got across are sent again after 0.2, 0.4, 0.8, 1.6 and 3.2 s.
_STOP_S = 5.0
_WORDS = {"tcp": "TCP connection to", "udp": "UDP flow to", "connections": "new connections to"}


@dataclass(frozen=True)
class Flow:
    """A flow to an echo listener. It ends with `stop_flows`, after 60 s, or with its vantage."""

    vantage: Vantage
    protocol: str
    address: str
    port: int
    number: int


@dataclass(frozen=True)
class Account:
    """What became of a flow. `answer` is `connected` where it still carries lines; its words are the kernel's if not.

    `gap_ms` is the longest time without an answer, and `gap_at` when that began, on the clock `time.monotonic`.
    `peers` are the source addresses that the listener of a UDP flow saw.
    """

    answer: Answer
    sent: int
    answered: int
    gap_ms: float
    gap_at: float
    peers: tuple[str, ...]

    @property
    def survived(self) -> bool:
        """Whether it still carried lines at the end."""
        return self.answer.outcome is Outcome.CONNECTED


def start_flow(
    vantage: Vantage, address: str, port: int, *, protocol: str = "tcp", timeout_s: float = TIMEOUT_S
) -> Flow:
    """Begin a flow: a line every 20 ms over one connection (tcp) or socket (udp), or each over its own (connections).

    Raises: ProbeError where its first line is not answered.
    """
    number: int = vantage.machine.agent.call(
        "flow", net=vantage.net, kind=protocol, address=address, port=port, timeout_s=timeout_s
    )
    return Flow(vantage, protocol, address, port, number)


def stop_flows(*flows: Flow) -> list[Account]:
    """End flows, all at once, and give what became of each.

    Raises: ProbeError where a vantage is gone.
    """
    pending = [
        flow.vantage.machine.agent.submit("flown", net=flow.vantage.net, flow=flow.number, timeout_s=_STOP_S)
        for flow in flows
    ]
    return [
        _account(flow, flow.vantage.machine.agent.settle(reply, "flown", timeout_s=_STOP_S))
        for flow, reply in zip(flows, pending, strict=True)
    ]


def _account(flow: Flow, said: dict[str, Any]) -> Account:
    probe = Probe(flow.vantage, _WORDS[flow.protocol], flow.address, flow.port)
    answer = Answer(
        probe=probe,
        outcome=Outcome(said["outcome"]),
        peer=" ".join(said["peers"]),
        detail=said.get("detail", ""),
    )
    if answer.outcome is Outcome.PROBE_ERROR:
        raise ProbeError(f"the {probe} could not be held", where=str(flow.vantage), returned=answer.detail)
    return Account(answer, said["sent"], said["answered"], said["gap_ms"], said["gap_at"], tuple(said["peers"]))
