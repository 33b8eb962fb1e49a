"""Listeners: what probes talk to. They say whom they saw."""

from __future__ import annotations

from dataclasses import dataclass

from netfacts.lab import Vantage


@dataclass(frozen=True)
class Listener:
    """An open listener. It ends with `close`, with its container or with its machine."""

    vantage: Vantage
    protocol: str
    address: str
    port: int
    name: str
    number: int

    def close(self) -> None:
        """Close it; closed already is success."""
        self.vantage.machine.agent.call("close", net=self.vantage.net, listener=self.number)


def listen(
    vantage: Vantage, port: int = 0, *, protocol: str = "tcp", address: str = "0.0.0.0", name: str = ""
) -> Listener:
    """Open an echo listener in a vantage. Port 0 takes any free one.

    Raises: Refusal (a ProbeError) with the kernel's errno, EADDRINUSE among others.
    """
    said = vantage.machine.agent.call(
        "listen", net=vantage.net, kind=protocol, address=address, port=port, name=name or vantage.label
    )
    return Listener(vantage, protocol, address, said["port"], name or vantage.label, said["listener"])
