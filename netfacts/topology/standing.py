"""What stands on a shared engine from check to check: containers and networks that no check changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from netfacts.engine import Engine
from netfacts.model.errors import EngineError, LabError
from netfacts.topology import removal
from netfacts.topology.container import Container
from netfacts.topology.network import Network

# Requests that differ in nothing else ask for the same.
_OF_ONE_CHECK = ("name", "labels")
# What an engine gives to one at a time: nobody is to keep it from the next check.
_TAKEN = ("address", "ipam")
_PREDEFINED = {"bridge", "host", "none"}


class _Kept(msgspec.Struct, frozen=True):
    """A container or a network that stands; `state` has to be the same whenever a check gives it back."""

    id: str
    name: str
    state: dict[str, str]


class Standing:
    """Keeps what checks share on one engine, by what was asked for and in which role.

    It is for checks that change nothing; whoever did is told so when they give it back.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._containers: dict[bytes, _Kept] = {}
        self._networks: dict[bytes, _Kept] = {}

    def container(self, role: str, request: Mapping[str, Any]) -> Container | None:
        """Give the container that stands for this request, None where none does.

        Raises: EngineError.
        """
        kept = self._containers.get(_key(role, request))
        if kept is None:
            return None
        container = Container(self._engine, kept.id, kept.name)
        container.refresh()
        return container

    def network(self, role: str, request: Mapping[str, Any]) -> Network | None:
        """Give the network that stands for this request, None where none does."""
        kept = self._networks.get(_key(role, request))
        return Network(self._engine, kept.id, kept.name) if kept else None

    def keep(self, role: str, request: Mapping[str, Any], made: Container | Network) -> None:
        """Have what a check has made stand from now on.

        Unless there can be but one of the kind at a time, or it stands on what ends with the check.
        """
        if any(request.get(option) for option in _TAKEN) or any(request.get("publish", {}).values()):
            return
        if isinstance(made, Container) and not self._is_firm(made):
            return
        kept = _Kept(made.id, made.name, self._state(made))
        (self._containers if isinstance(made, Container) else self._networks)[_key(role, request)] = kept

    def holds(self, one: Container | Network) -> bool:
        """Say whether it stands."""
        return one.id in self._known

    def count(self, network: str) -> int:
        """Count the containers that stand on the network of this name."""
        return sum(network in kept.state for kept in self._containers.values())

    def take_back(self, lent: Iterable[Container | Network]) -> None:
        """Let go of what holds containers open, and see that everything is as it was.

        Raises: LabError naming what a check has changed; EngineError.
        """
        for one in lent:
            kept = self._known[one.id]
            if isinstance(one, Container):
                one.refresh()
            now = self._state(one)
            if isinstance(one, Container):
                # Last: whoever reads in its namespace has a worker there again.
                self._release(one)
            if now != kept.state:
                raise LabError(
                    f"{one.name} is shared by checks, and one has changed it",
                    where=self._engine.machine.name,
                    returned=f"it was {kept.state} and is {now}",
                    remedy="take @pytest.mark.shared off a check that changes what it has built",
                )

    def clear(self) -> None:
        """Remove all that stands.

        Raises: LabError naming whatever could not be removed.
        """
        containers = [Container(self._engine, kept.id, kept.name) for kept in self._containers.values()]
        networks = [Network(self._engine, kept.id, kept.name) for kept in self._networks.values()]
        self._containers, self._networks = {}, {}
        errors: list[Exception] = []
        for container in containers:
            try:
                container.refresh()
            except EngineError as trouble:
                errors.append(trouble)
        errors += removal.remove(self._engine, containers, networks, releasing=self._release)
        if errors:
            where, causes = self._engine.machine.name, "\n".join(map(str, errors))
            raise LabError("could not remove what checks share", where=where, returned=causes)

    def _is_firm(self, container: Container) -> bool:
        """Say whether all that a container stands on does so, too: its networks, or the container that it joined.

        On the host's network none does: what listens there keeps the host's ports from others.
        """
        kind, _, joined = container.mode.partition(":")
        firm = {kept.name for kept in self._networks.values()} | _PREDEFINED
        return kind != "host" and container.networks.keys() <= firm and (kind != "container" or joined in self._known)

    @property
    def _known(self) -> dict[str, _Kept]:
        return {kept.id: kept for kept in (*self._containers.values(), *self._networks.values())}

    def _release(self, container: Container) -> None:
        if container.netns:
            self._engine.machine.release(container.netns)

    def _state(self, made: Container | Network) -> dict[str, str]:
        """Give what no check may change: a network's subnets; a container's process, endpoints, addresses, routes."""
        if isinstance(made, Network):
            return {"subnets": " ".join(made.subnets)}
        state = {name: f"{end['IPAddress']} {end['GlobalIPv6Address']}" for name, end in made.networks.items()}
        state["process"] = f"{made.pid} {made.state}"
        if made.pid:
            words = "addr show\nroute show\n"
            said = self._engine.machine.execute(
                ["ip", "-4", "-o", "-batch", "-"], net=f"/proc/{made.pid}/ns/net", text=words
            )
            state["addresses and routes"] = said.out
        return state


def _key(role: str, request: Mapping[str, Any]) -> bytes:
    asked = {option: value for option, value in request.items() if option not in _OF_ONE_CHECK}
    return msgspec.json.encode([role, asked], order="sorted")
