"""Docker networks as built."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from netfacts.engine import Engine
from netfacts.engine.answer import answer_of
from netfacts.topology.inspected import InspectedNetwork


@dataclass(frozen=True)
class Network:
    """A network of an engine: one that a check made, or a predefined one."""

    engine: Engine = field(repr=False)
    id: str
    name: str
    predefined: bool = False

    @property
    def handle(self) -> str:
        """What to call it before the engine: engines that start make predefined networks anew, with another ID."""
        return self.name if self.predefined else self.id

    def inspect(self) -> dict[str, Any]:
        """Give what the engine says of it now.

        Raises: EngineError where it does not say what it should.
        """
        said: dict[str, Any] = answer_of(
            self.engine,
            f"inspect network {self.name}",
            lambda: self.engine.api.inspect_network(self.handle),
            like=InspectedNetwork,
        )
        return said

    @cached_property
    def _first(self) -> dict[str, Any]:
        return self.inspect()

    @property
    def driver(self) -> str:
        """Its driver's name."""
        return str(self._first["Driver"])

    @property
    def subnet(self) -> str:
        """Its first subnet, "" where it has none."""
        config = (self._first.get("IPAM") or {}).get("Config") or [{}]
        return str(config[0].get("Subnet", ""))

    @property
    def subnets(self) -> list[str]:
        """All its subnets, IPv4 and IPv6."""
        pools = (self._first.get("IPAM") or {}).get("Config") or ()
        return [str(pool["Subnet"]) for pool in pools if pool.get("Subnet")]

    @property
    def gateway(self) -> str:
        """The gateway that it was given or chose, "" where the engine names none."""
        config = (self._first.get("IPAM") or {}).get("Config") or [{}]
        return str(config[0].get("Gateway", ""))

    @property
    def bridge(self) -> str:
        """The name of its Linux bridge, by Docker's rule; "" for other drivers."""
        if self.driver != "bridge":
            return ""
        named = (self._first.get("Options") or {}).get("com.docker.network.bridge.name")
        return str(named or f"br-{self.id[:12]}")
