"""Removes what a check has built: "already gone" is success; an overlay is gone when every node has let go of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import docker.errors

from netfacts.engine import Engine
from netfacts.engine.answer import answer_of
from netfacts.lab import Machine
from netfacts.lab.wait import until
from netfacts.model.errors import EngineError
from netfacts.topology.container import Container
from netfacts.topology.network import Network

# A swarm's networks have IDs of their own kind; those of one engine's are 64 hexadecimal digits.
_SWARM_ID_LENGTH = 25
_PARTED_S = 10.0


def remove(
    engine: Engine,
    containers: Sequence[Container],
    networks: Sequence[Network],
    *,
    releasing: Callable[[Container], None],
    remaining: int = 0,
) -> list[Exception]:
    """Remove containers and then networks, last made first; `releasing` lets go of what holds a container open.

    `remaining` containers stay on the default bridge. Gives what went wrong on the way.
    """
    errors: list[Exception] = []
    if containers:
        for container in containers:
            releasing(container)
        with ThreadPoolExecutor(len(containers)) as pool:
            removals = [pool.submit(_remove, engine, container) for container in reversed(containers)]
        errors += [error for removal in removals if isinstance(error := removal.exception(), Exception)]
    try:
        _await_ports(engine, containers, remaining)
        _await_parting(engine, containers, networks)
    except EngineError as trouble:
        errors.append(trouble)
    for network in reversed(networks):
        try:
            _asked(engine, f"remove network {network.name}", partial(engine.api.remove_network, network.id))
        except EngineError as trouble:
            errors.append(trouble)
    return errors


def _remove(engine: Engine, container: Container) -> None:
    call = partial(engine.api.remove_container, container.id, force=True, v=True)
    _asked(engine, f"remove container {container.name}", call)


def _asked(engine: Engine, attempt: str, call: Callable[[], Any], *, like: Any = Any) -> Any:
    """Give the answer to a call, None for "not found"."""

    def found() -> Any:
        try:
            return call()
        except docker.errors.NotFound:
            return None

    return answer_of(engine, attempt, found, like=like)


def _await_ports(engine: Engine, containers: Sequence[Container], remaining: int) -> None:
    """Wait until the default bridge has lost the ports of removed containers.

    From 28 on, an engine leaves a container's veth to the end of its network namespace, which the kernel takes down
    some time after the engine has called the container removed.

    Raises: EngineError.
    """
    # On an engine that others use, too, docker0 may never be without ports.
    if engine.private and any(container.said and "bridge" in container.networks for container in containers):
        machine = engine.machine
        own = {machine.interface(number): port.bridge for number, port in enumerate(machine.spec.ports)}
        for bridge in {"docker0", *filter(None, own.values())}:
            until(
                partial(_has_lost_ports, machine, bridge, besides=own, remaining=remaining),
                what=f"{bridge} to lose the ports of removed containers",
                timeout_s=_PARTED_S,
                error=EngineError,
            )


def _has_lost_ports(machine: Machine, bridge: str, *, besides: Collection[str], remaining: int) -> bool:
    return len(set(machine.names(f"/sys/class/net/{bridge}/brif") or ()) - set(besides)) <= remaining


def _await_parting(engine: Engine, containers: Sequence[Container], networks: Sequence[Network]) -> None:
    """Wait until the engine has let go of the overlays that removed containers were on.

    The swarm's manager is told of a removal only afterwards, and refuses until then to remove the network ("in use by
    task"); and what a node has not yet taken down would meet the next network of the same subnet. An engine that takes
    part in an overlay names `Peers` in it; a worker that does not knows no such network.

    Raises: EngineError.
    """
    # A container that never started has said nothing.
    spoke = [container for container in containers if container.said]
    used = {(str(end.get("NetworkID", "")), name) for container in spoke for name, end in container.networks.items()}
    for identity, name in sorted(used | {(network.id, network.name) for network in networks}):
        if len(identity) == _SWARM_ID_LENGTH:
            until(
                partial(_has_left, engine, identity),
                what=f"{engine.machine.name} to leave the overlay {name}",
                timeout_s=_PARTED_S,
                error=EngineError,
            )


def _has_left(engine: Engine, identity: str) -> bool:
    call = partial(engine.api.inspect_network, identity)
    found = _asked(engine, f"inspect network {identity}", call, like=dict[str, Any] | None)
    return not (found and found.get("Peers"))
