"""Swarm services as built: one task on each node."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Any

import docker.errors
from docker.types import (
    ContainerSpec,
    EndpointSpec,
    NetworkAttachmentConfig,
    Placement,
    RestartPolicy,
    ServiceMode,
    TaskTemplate,
)

from netfacts.engine import Engine
from netfacts.engine.answer import answer_of
from netfacts.lab.wait import until
from netfacts.model.errors import EngineError
from netfacts.topology.container import Container
from netfacts.topology.inspected import Task

# On an emulated machine two tasks were seen not to run within 30 seconds.
_RUNNING_S = 120.0
_LABEL = "com.docker.swarm.service.id"


@dataclass(frozen=True)
class Service:
    """A service that a check made: global, with one task on each node that it may run on.

    `nodes` are the swarm's engines, manager first.
    """

    nodes: Sequence[Engine] = field(repr=False)
    id: str
    name: str
    network: str
    """The ID of the network that it was created on."""
    tasks: int
    """How many it has when all of them run."""

    def running(self) -> list[str]:
        """Wait until every task runs, and give their IPv4 addresses.

        Raises: EngineError where one does not run in time.
        """
        until(
            lambda: [task["Status"]["State"] for task in self._tasks()] == ["running"] * self.tasks,
            what=f"service {self.name} to run on every node that it may",
            timeout_s=_RUNNING_S,
            error=lambda attempted: EngineError(attempted, returned=str([task["Status"] for task in self._tasks()])),
        )
        return self.addresses()

    def addresses(self) -> list[str]:
        """Give the IPv4 addresses of the tasks that run now."""
        running = [task for task in self._tasks() if task["Status"]["State"] == "running"]
        ends = [end for task in running for end in task.get("NetworksAttachments") or ()]
        return sorted(str(address).partition("/")[0] for end in ends for address in end.get("Addresses") or ())

    def containers(self) -> list[Container]:
        """Give the containers of its tasks that run, as the nodes have them, in the order of the nodes.

        Raises: EngineError with an engine's words.
        """
        found = []
        for engine in self.nodes:
            listed = answer_of(engine, f"list the containers of {self.name}", partial(_labelled, engine, self.id))
            found += [Container(engine, one["Id"], one["Names"][0].lstrip("/")) for one in listed]
        for container in found:
            container.refresh()
        return found

    @property
    def virtual_address(self) -> str:
        """The IPv4 address that stands for it on the network that it was created on, "" where it has none.

        Raises: EngineError with the engine's words.
        """
        api = self.nodes[0].api
        said = answer_of(self.nodes[0], f"inspect {self.name}", lambda: api.inspect_service(self.id))  # type: ignore[no-untyped-call]
        ends = (said.get("Endpoint") or {}).get("VirtualIPs") or ()
        found = [str(end["Addr"]).partition("/")[0] for end in ends if end["NetworkID"] == self.network]
        return found[0] if found else ""

    def _tasks(self) -> list[dict[str, Any]]:
        # Not those whose place others have taken.
        wanted = {"service": self.id, "desired-state": ["running", "ready", "accepted"]}
        said: list[dict[str, Any]] = answer_of(
            self.nodes[0],
            f"list the tasks of {self.name}",
            lambda: self.nodes[0].api.tasks(filters=wanted),  # type: ignore[no-untyped-call]
            like=list[Task],
        )
        return said

    def remove(self) -> None:
        """Remove it, and its containers at once: left alone, nodes take seconds over them. Gone already is success.

        Raises: EngineError with the engine's words.
        """
        try:
            with contextlib.suppress(docker.errors.NotFound):
                self.nodes[0].api.remove_service(self.id)  # type: ignore[no-untyped-call]
            for engine in self.nodes:
                for container in _labelled(engine, self.id, ended=True):
                    _remove(engine, container["Id"])
        except docker.errors.APIError as error:
            raise EngineError(f"could not remove service {self.name}", returned=str(error.explanation)) from None


def _labelled(engine: Engine, service: str, *, ended: bool = False) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = engine.api.containers(all=ended, filters={"label": f"{_LABEL}={service}"})
    return found


def _remove(engine: Engine, container: str) -> None:
    try:
        engine.api.remove_container(container, force=True)
    except docker.errors.APIError as error:
        # It has gone, or its node has begun to remove it.
        if error.status_code not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            raise


def create(request: dict[str, Any], nodes: Sequence[Engine]) -> Service:
    """Create a service as `request` says: `name`, `network` (its ID), `endpoint_mode`, `image`, `command`, `labels`.

    And `publish` (nodes' port → tasks' port) in `publish_mode`, ingress or host. `only_on` is a node's ID or "".

    Raises: docker.errors.APIError.
    """
    # What is done on each node is to be seen at once: nothing waits for a process that takes no notice of SIGTERM.
    container = ContainerSpec(
        request["image"], args=request["command"], stop_signal="SIGKILL", labels=request["labels"]
    )
    created = nodes[0].api.create_service(  # type: ignore[no-untyped-call]
        # A task that has ended is followed at once by another, and not after five seconds.
        TaskTemplate(
            container,
            networks=[NetworkAttachmentConfig(request["network"])],
            restart_policy=RestartPolicy(condition="any", delay=0),
            placement=Placement(constraints=[f"node.id=={request['only_on']}"]) if request["only_on"] else None,
        ),
        name=request["name"],
        labels=request["labels"],
        mode=ServiceMode("global"),
        endpoint_spec=EndpointSpec(
            mode=request["endpoint_mode"],
            ports={port: (inside, "tcp", request["publish_mode"]) for port, inside in request["publish"].items()},
        ),
    )
    tasks = 1 if request["only_on"] else len(nodes)
    return Service(nodes, created["ID"], request["name"], request["network"], tasks)
