"""Kernel parameters of a vantage."""

from __future__ import annotations

from netfacts.lab import Vantage
from netfacts.model.errors import ProbeError


def sysctl(vantage: Vantage, name: str) -> str:
    """Read a kernel parameter in the network namespace of a vantage.

    Raises: ProbeError where the kernel lacks it.
    """
    value: str | None = vantage.machine.agent.call("sysctl-get", net=vantage.net, names=[name])[name]
    if value is None:
        raise ProbeError(f"the kernel has no parameter {name}", where=str(vantage))
    return value


def ephemeral_ports(vantage: Vantage) -> range:
    """The ports that the kernel of a vantage gives to whoever asks for any free one.

    Raises: ProbeError.
    """
    first, last = sysctl(vantage, "net.ipv4.ip_local_port_range").split()
    return range(int(first), int(last) + 1)
