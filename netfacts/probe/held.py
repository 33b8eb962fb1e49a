"""Connections that are held open, to see whether they survive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netfacts.lab import Vantage
from netfacts.model.errors import ProbeError
from netfacts.model.verdict import Outcome
from netfacts.probe.ask import TIMEOUT_S, Answer, Probe


@dataclass(frozen=True)
class Held:
    """An open TCP connection to an echo listener. It ends with its container or with its machine."""

    vantage: Vantage
    address: str
    port: int
    number: int

    def say(self, *, timeout_s: float = TIMEOUT_S) -> Answer:
        """Send a line and wait for it to come back: `connected` where the connection still carries it.

        Raises: ProbeError where the vantage is gone.
        """
        said: dict[str, Any] = self.vantage.machine.agent.call(
            "say", net=self.vantage.net, connection=self.number, timeout_s=timeout_s
        )
        probe = Probe(self.vantage, "open connection to", self.address, self.port, timeout_s)
        answer = Answer(probe=probe, **said | {"outcome": Outcome(said["outcome"])})
        if answer.outcome is Outcome.PROBE_ERROR:
            raise ProbeError(f"the {probe} could not be used", where=str(self.vantage), returned=answer.detail)
        return answer


def hold(vantage: Vantage, address: str, port: int, *, timeout_s: float = TIMEOUT_S) -> Held:
    """Open a connection to an echo listener, and leave it open.

    Raises: ProbeError where it can't be opened.
    """
    number: int = vantage.machine.agent.call("hold", net=vantage.net, address=address, port=port, timeout_s=timeout_s)
    return Held(vantage, address, port, number)
