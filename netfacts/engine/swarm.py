"""Makes engines one swarm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import docker
import msgspec

from netfacts.engine.answer import answer_of
from netfacts.engine.engine import Engine
from netfacts.lab.wait import until
from netfacts.model.errors import EngineError, OffLimits

_READY_S = 60.0
_DATA_PATH_PORT = 4789
_OWN_NETWORKS = frozenset({"ingress", "docker_gwbridge"})
"""What an engine makes of its own when it becomes part of a swarm, some time after it has said that it is ready."""


class _Tokens(msgspec.Struct):
    Worker: str


class _Swarm(msgspec.Struct):
    JoinTokens: _Tokens


class _Status(msgspec.Struct):
    State: str


class _Spec(msgspec.Struct):
    Availability: str


class _Node(msgspec.Struct):
    ID: str
    Spec: _Spec
    Status: _Status


class _Named(msgspec.Struct):
    Name: str


class _Cluster(msgspec.Struct, frozen=True, rename="pascal"):
    data_path_port: int = 0


class SwarmSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a new swarm is made with. What is left out the engine chooses."""

    data_path_port: int = 0
    """The value of --data-path-port: the UDP port that overlays use."""
    pool: str = ""
    """The value of --default-addr-pool: the prefix that overlays take their subnets from."""
    subnet_size: int = 0
    """The value of --default-addr-pool-mask-length: the length of their prefixes."""
    furnished: bool = True
    """Whether it stands only when every engine has the swarm's own networks: not where these are what is looked for."""


AS_IT_COMES = SwarmSpec()


class Membership(msgspec.Struct, frozen=True, rename="pascal"):
    """An engine's part in a swarm, if it has one."""

    local_node_state: str = ""
    """`active` in a swarm."""
    node_id: str = msgspec.field(default="", name="NodeID")
    node_addr: str = ""
    """Where the other nodes reach it."""
    control_available: bool = False
    """Whether it is a manager."""
    cluster: _Cluster | None = None
    """What a manager knows of the swarm."""


class _Info(msgspec.Struct):
    Swarm: Membership


def membership(engine: Engine) -> Membership:
    """Say what part an engine has in a swarm.

    Raises: EngineError with the engine's words.
    """
    said = _asked(engine, "say of which swarm it is part", lambda api: api.info(), like=_Info)["Swarm"]
    return msgspec.convert(said, Membership)


def node_id(engine: Engine) -> str:
    """Give the ID of the swarm's node that an engine is.

    Raises: EngineError with the engine's words.
    """
    return membership(engine).node_id


def require_swarm(manager: Engine, workers: Sequence[Engine]) -> None:
    """See that somebody's engines are one swarm as they are, that it has no other nodes, and that it stands.

    Raises: OffLimits where they are not; EngineError where the swarm does not stand.
    """
    parts = [membership(engine) for engine in (manager, *workers)]
    for engine, part in zip((manager, *workers), parts, strict=True):
        if part.node_addr != engine.machine.address:
            where = f"is known as {part.node_addr}" if part.node_addr else "is in none"
            raise OffLimits(
                f"it would make the hosts a swarm, of which {engine.machine.name} {where}: "
                f"`docker swarm init` or `join` with `--advertise-addr {engine.machine.address}` first"
            )
    if not parts[0].control_available:
        raise OffLimits(f"it would make {manager.machine.name} a manager: name the swarm's manager first")
    cluster = parts[0].cluster
    if cluster and cluster.data_path_port not in (0, _DATA_PATH_PORT):
        raise OffLimits(f"it would need a swarm whose overlays use UDP port {_DATA_PATH_PORT}")
    nodes = _asked(manager, "list its nodes", lambda api: api.nodes(), like=list[_Node])
    if sorted(str(node["ID"]) for node in nodes) != sorted(part.node_id for part in parts):
        raise OffLimits(f"it would build on all of the swarm's {len(nodes)} nodes, of which {len(parts)} are visited")
    if idle := {str(node["Spec"]["Availability"]) for node in nodes} - {"active"}:
        raise OffLimits(f"it would need all nodes of the swarm, of which some are to {' or '.join(sorted(idle))}")
    await_swarm(manager, workers)


def form_swarm(manager: Engine, workers: Sequence[Engine], spec: SwarmSpec = AS_IT_COMES) -> None:
    """Make `manager` the manager of a new swarm that `workers` join, and wait until all of them are ready.

    Undo: none, a swarm ends with its engines.

    Raises: EngineError with the engine's words, or saying who was not ready in time.
    """
    address = manager.machine.address
    _asked(
        manager,
        "become a swarm's manager",
        lambda api: api.init_swarm(
            advertise_addr=address,
            listen_addr=address,
            data_path_port=spec.data_path_port or None,
            default_addr_pool=[spec.pool] if spec.pool else None,
            subnet_size=spec.subnet_size or None,
        ),
    )
    said = _asked(manager, "name the swarm's tokens", lambda api: api.inspect_swarm(), like=_Swarm)
    token = said["JoinTokens"]["Worker"]
    for worker in workers:
        _join(worker, address, token)
    await_swarm(manager, workers, furnished=spec.furnished)


def _join(worker: Engine, manager: str, token: str) -> None:
    own = worker.machine.address
    _asked(
        worker,
        "join the swarm",
        lambda api: api.join_swarm([manager], token, listen_addr=own, advertise_addr=own),
    )


def leave_swarm(engine: Engine) -> None:
    """Have a worker leave its swarm. Undo: none.

    Raises: EngineError with the engine's words.
    """
    _asked(engine, "leave the swarm", lambda api: api.leave_swarm())


def await_swarm(manager: Engine, workers: Sequence[Engine], *, furnished: bool = True) -> None:
    """Wait until the manager calls every node ready, and where `furnished` every engine has the swarm's own networks.

    Raises: EngineError.
    """
    engines = [manager, *workers]
    lacking = ""

    def ready() -> bool:
        nonlocal lacking
        lacking = _lacking(manager, engines, networks=_OWN_NETWORKS if furnished else frozenset())
        return not lacking

    def late(attempted: str) -> EngineError:
        logs = "\n".join(f"{engine.machine.name}: {engine.log_tail(5)}" for engine in engines)
        return EngineError(attempted, where=manager.machine.name, returned=f"{lacking}\n{logs}")

    until(ready, what="the swarm to be ready", timeout_s=_READY_S, error=late)


def _lacking(manager: Engine, engines: Sequence[Engine], *, networks: frozenset[str]) -> str:
    """Say what is missing for a swarm of these engines, "" for nothing."""
    states = [
        str(node["Status"]["State"])
        for node in _asked(manager, "list its nodes", lambda api: api.nodes(), like=list[_Node])
    ]
    if sorted(states) != ["ready"] * len(engines):
        return f"of {len(engines)} nodes the manager calls {', '.join(states)}"
    for engine in engines:
        names = {
            str(network["Name"])
            for network in _asked(engine, "list its networks", lambda api: api.networks(), like=list[_Named])
        }
        if missing := networks - names:
            return f"{engine.machine.name} has not made {' and '.join(sorted(missing))}"
    return ""


def _asked(engine: Engine, verb: str, call: Callable[[docker.APIClient], Any], *, like: Any = Any) -> Any:
    return answer_of(engine, verb, lambda: call(engine.api), like=like)
