"""Listeners: what probes talk to. They say whom they saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from netfacts.lab import Vantage


@dataclass(eq=False)
class Listener:
    """An open listener. It ends with `close`, with its container's network namespace or with its machine."""

    vantage: Vantage
    protocol: str
    address: str
    port: int
    name: str
    options: dict[str, Any] = field(default_factory=dict)
    number: int = field(default=0, init=False)
    """What the agent calls it."""

    def __post_init__(self) -> None:
        self.reopen()
        self.vantage.opened.append(self)

    def close(self) -> None:
        """Close it; closed already is success."""
        if self in self.vantage.opened:
            self.vantage.opened.remove(self)
        self.vantage.machine.agent.call("close", net=self.vantage.net, listener=self.number)

    def reopen(self) -> None:
        """Open it where its vantage is now; on the same port, if it was open before.

        Raises: Refusal (a ProbeError) with the kernel's errno, EADDRINUSE among others.
        """
        said = self.vantage.machine.agent.call(
            "listen",
            net=self.vantage.net,
            kind=self.protocol,
            address=self.address,
            port=self.port,
            name=self.name,
            **self.options,
        )
        self.port, self.number = said["port"], said["listener"]


def listen(
    vantage: Vantage, port: int = 0, *, protocol: str = "tcp", address: str = "0.0.0.0", name: str = ""
) -> Listener:
    """Open an echo listener in a vantage. Port 0 takes any free one.

    Raises: Refusal (a ProbeError) with the kernel's errno, EADDRINUSE among others.
    """
    return Listener(vantage, protocol, address, port, name or vantage.label)


def serve_names(
    vantage: Vantage,
    names: Mapping[str, str],
    *,
    address: str = "0.0.0.0",
    authoritative: bool = True,
    unknown: str = "NXDOMAIN",
) -> Listener:
    """Open a DNS server in a vantage, which knows these names (name → address).

    `unknown` is the response code for all others; `authoritative`: whether it says that its answers are its own.

    Raises: Refusal (a ProbeError) with the kernel's errno, EADDRINUSE among others.
    """
    answers = {"authoritative": authoritative, "unknown": unknown}
    return Listener(vantage, "dns-udp", address, 53, vantage.label, {"names": dict(names), "options": answers})
