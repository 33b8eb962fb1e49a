"""Wiring a container by hand, as the bridge driver does it."""

from __future__ import annotations

from fixtures.sabotage import Stage
from netfacts.observe import interface


def wire(stage: Stage, role: str = "box") -> None:
    """Give a container a veth on docker0, an address of its subnet, and a default route."""
    host = stage.host
    name = host.predefined("bridge").bridge
    (bridge,) = interface(host.vantage, name).ipv4
    address = f"{bridge.network[-2]}/{bridge.network.prefixlen}"
    host.by_hand.wire(stage.container(role).vantage, name, address, str(bridge.ip))
