"""Somebody's engines are a swarm as they are, or none: what is taken for one that overlays can be judged on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from netfacts.engine.swarm import membership, node_id, require_swarm
from netfacts.model.errors import OffLimits

_PORT = 4789


class Engine:
    """A node of a swarm of two."""

    def __init__(self, number: int, *, manager: bool = False) -> None:
        self.machine = SimpleNamespace(name=f"vm{number}", address=f"198.51.100.{number}")
        self.part: dict[str, Any] = {
            "LocalNodeState": "active",
            "NodeID": f"node{number}",
            "NodeAddr": self.machine.address,
            "ControlAvailable": manager,
            "Cluster": {"DataPathPort": _PORT} if manager else None,
        }
        self.listed = [
            {"ID": f"node{one}", "Spec": {"Availability": "active"}, "Status": {"State": "ready"}} for one in (1, 2)
        ]
        self.api = self

    def info(self) -> dict[str, Any]:
        return {"Swarm": self.part}

    def nodes(self) -> list[dict[str, Any]]:
        return self.listed

    def networks(self) -> list[dict[str, Any]]:
        return [{"Name": "ingress"}, {"Name": "docker_gwbridge"}, {"Name": "bridge"}]

    def log_tail(self, lines: int = 15) -> str:
        return ""


@pytest.fixture
def engines() -> tuple[Any, Any]:
    return Engine(1, manager=True), Engine(2)


def test_swarm_of_the_engines_that_are_visited_will_do(engines: tuple[Any, Any]) -> None:
    manager, worker = engines

    require_swarm(manager, [worker])

    assert (node_id(worker), membership(manager).control_available) == ("node2", True)


def test_engine_that_is_in_no_swarm_says_so(engines: tuple[Any, Any]) -> None:
    manager, _ = engines
    # As an engine says it that never was in one.
    manager.part = {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False}

    assert membership(manager).node_id == ""


def _leaves(manager: Any, worker: Any) -> None:
    worker.part |= {"NodeAddr": "", "LocalNodeState": "inactive"}


def _is_known_elsewhere(manager: Any, worker: Any) -> None:
    worker.part |= {"NodeAddr": "192.0.2.2"}


def _is_led_by_another(manager: Any, worker: Any) -> None:
    manager.part |= {"ControlAvailable": False}


def _has_a_third(manager: Any, worker: Any) -> None:
    manager.listed = [*manager.listed, manager.listed[0] | {"ID": "node3"}]


def _is_drained(manager: Any, worker: Any) -> None:
    manager.listed[1]["Spec"]["Availability"] = "drain"


def _goes_by_another_port(manager: Any, worker: Any) -> None:
    manager.part["Cluster"] = {"DataPathPort": 7789}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_leaves, "vm2 is in none: `docker swarm init` or `join` with `--advertise-addr 198.51.100.2`"),
        (_is_known_elsewhere, "vm2 is known as 192.0.2.2"),
        (_is_led_by_another, "name the swarm's manager first"),
        (_has_a_third, "all of the swarm's 3 nodes, of which 2 are visited"),
        (_is_drained, "some are to drain"),
        (_goes_by_another_port, "overlays use UDP port 4789"),
    ],
)
def test_what_would_have_to_be_changed_is_not_exercised(engines: tuple[Any, Any], change: Any, words: str) -> None:
    manager, worker = engines
    change(manager, worker)

    with pytest.raises(OffLimits) as caught:
        require_swarm(manager, [worker])

    assert words in str(caught.value)
