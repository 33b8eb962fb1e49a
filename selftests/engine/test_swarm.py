"""Somebody's engines are a swarm as they are, or none: what is taken for one that overlays can be judged on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from netfacts.engine.swarm import SwarmSpec, form_swarm, leave_swarm, membership, node_id, require_swarm
from netfacts.model.errors import EngineError, OffLimits

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
        self.made = ["ingress", "docker_gwbridge", "bridge"]
        self.asked: list[dict[str, Any]] = []
        self.api = self

    def info(self) -> dict[str, Any]:
        return {"Swarm": self.part}

    def nodes(self) -> list[dict[str, Any]]:
        return self.listed

    def networks(self) -> list[dict[str, Any]]:
        return [{"Name": name} for name in self.made]

    def init_swarm(self, **options: Any) -> None:
        self.asked.append(options)

    def inspect_swarm(self) -> dict[str, Any]:
        return {"JoinTokens": {"Worker": "token"}}

    def join_swarm(self, managers: list[str], token: str, **options: Any) -> None:
        self.asked.append({"managers": managers, "token": token} | options)

    def leave_swarm(self) -> None:
        self.part = {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False}

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


# -- those that are made


@pytest.mark.parametrize(
    ("spec", "port", "pools", "size"),
    [
        (SwarmSpec(), None, None, None),
        (SwarmSpec(data_path_port=7789), 7789, None, None),
        (SwarmSpec(pool="10.77.0.0/16", subnet_size=26), None, ["10.77.0.0/16"], 26),
    ],
)
def test_swarm_is_made_with_what_was_asked_for_and_no_more(
    engines: tuple[Any, Any], spec: SwarmSpec, port: int | None, pools: list[str] | None, size: int | None
) -> None:
    manager, worker = engines

    form_swarm(manager, [worker], spec)

    ((said,), (joined,)) = manager.asked, worker.asked
    assert (said["data_path_port"], said["default_addr_pool"], said["subnet_size"]) == (port, pools, size)
    assert (joined["managers"], joined["advertise_addr"]) == (["198.51.100.1"], "198.51.100.2")


def test_swarm_whose_own_networks_are_looked_for_stands_without_them(
    engines: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netfacts.engine.swarm._READY_S", 0.0)
    manager, worker = engines
    worker.made = ["bridge"]

    form_swarm(manager, [worker], SwarmSpec(furnished=False))

    with pytest.raises(EngineError, match="the swarm to be ready") as caught:
        form_swarm(manager, [worker])
    assert "vm2 has not made docker_gwbridge and ingress" in caught.value.returned


def test_worker_that_leaves_is_in_no_swarm(engines: tuple[Any, Any]) -> None:
    leave_swarm(engines[1])

    assert membership(engines[1]).node_id == ""
