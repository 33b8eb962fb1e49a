"""Listeners: what probes talk to. They say whom they saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from netfacts.lab import Vantage


@dataclass(eq=False)
class Listener:
    """An open listener. It ends with `close`, with its container's network namespace or with its machine."""

    vantage: Vantage
    protocol: str
    address: str
    port: int
    name: str
    number: int

    def close(self) -> None:
        """Close it; closed already is success."""
        if self in self.vantage.opened:
            self.vantage.opened.remove(self)
        self.vantage.machine.agent.call("close", net=self.vantage.net, listener=self.number)

    def reopen(self) -> None:
        """Open it again, on the same port, where its vantage is now.

        Raises: Refusal (a ProbeError).
        """
        self.number = _open(self.vantage, self.protocol, self.address, self.port, self.name)["listener"]


def listen(
    vantage: Vantage, port: int = 0, *, protocol: str = "tcp", address: str = "0.0.0.0", name: str = ""
) -> Listener:
    """Open an echo listener in a vantage. Port 0 takes any free one.

    Raises: Refusal (a ProbeError) with the kernel's errno, EADDRINUSE among others.
    """
    said = _open(vantage, protocol, address, port, name or vantage.label)
    listener = Listener(vantage, protocol, address, said["port"], name or vantage.label, said["listener"])
    vantage.opened.append(listener)
    return listener


def _open(vantage: Vantage, protocol: str, address: str, port: int, name: str) -> dict[str, int]:
    said: dict[str, int] = vantage.machine.agent.call(
        "listen", net=vantage.net, kind=protocol, address=address, port=port, name=name
    )
    return said


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
    said = vantage.machine.agent.call(
        "listen",
        net=vantage.net,
        kind="dns-udp",
        address=address,
        port=53,
        names=dict(names),
        options={"authoritative": authoritative, "unknown": unknown},
    )
    return Listener(vantage, "dns-udp", address, said["port"], vantage.label, said["listener"])
