"""What etcd and BIRD are started with, by version and for each machine, with machines that do as they are told."""

from __future__ import annotations

from concurrent.futures import Future
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from netfacts.engine.program import BIRD, ETCD, Unpacked
from netfacts.fabric import Lease, Node, Store, bgp
from netfacts.fabric.bgp import Bgp
from netfacts.lab import Machine
from netfacts.model.errors import LabError
from netfacts.model.lab import SHAPES
from netfacts.run import Finished

_LAB = SHAPES["fabric"]


class Fake:
    """A machine of the lab. What it is asked to write is in `written`; programs on it end at once where `dies`."""

    def __init__(self, name: str, *, dies: bool = False) -> None:
        (self.spec,) = (one for one in _LAB.machines if one.name == name)
        self.name, self.lab, self.agent = name, _LAB, self
        self.address = str(_LAB.address(name))
        self.written: list[str] = []
        self.started: list[list[str]] = []
        self.signalled: list[int] = []
        self._dies = dies

    terminate = Machine.terminate

    def call(self, op: str, **args: Any) -> dict[str, int]:
        match op:
            case "write":
                self.written.append(args["text"])
            case "spawn":
                self.started.append(args["argv"])
            case "signal":
                self.signalled.append(args["pid"])
        return {"exit": 0, "pid": 77}

    def execute(self, argv: list[str]) -> Finished:
        return Finished(tuple(argv), 0, "", "")

    def submit(self, op: str, **args: Any) -> Future[dict[str, int]]:
        ended: Future[dict[str, int]] = Future()
        if self._dies:
            ended.set_result({"exit": 1})
        return ended

    def exists(self, path: str) -> bool:
        return not self._dies

    def text(self, path: str) -> str:
        return "last words"


def _machine(name: str, *, dies: bool = False) -> Machine:
    return cast("Machine", Fake(name, dies=dies))


def _unpacked(program: Any, version: str) -> Unpacked:
    return cast("Unpacked", SimpleNamespace(program=program, version=version, root=Path("/nowhere")))


@pytest.fixture(autouse=True)
def _answering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "_answers", lambda _: True)


# -- etcd


@pytest.mark.parametrize(
    ("version", "has_version_2"),
    [
        ("3.3.25+dfsg-7", True),
        ("3.4.23-4+b4", True),
        ("3.5.16-4", True),
        ("3.5.16-4ubuntu0.1~24.04", True),
        ("3.6.0-1", False),
        ("3.10.1", False),
        ("4.0", False),
    ],
)
def test_version_2_is_asked_for_where_etcd_still_has_it(version: str, has_version_2: bool) -> None:
    machine = Fake("store")

    store = Store(cast("Machine", machine), _unpacked(ETCD, version))

    (argv,) = machine.started
    assert store.has_version_2 is has_version_2
    assert ("--enable-v2" in argv) is has_version_2
    assert "--listen-client-urls=http://198.51.100.79:2379" in argv


def test_stores_that_follow_each_other_have_a_name_and_a_folder_each() -> None:
    machine = Fake("store")
    for _ in range(2):
        Store(cast("Machine", machine), _unpacked(ETCD, "3.5.16-4"))

    for option in ("--name=", "--data-dir="):
        assert len({one for argv in machine.started for one in argv if one.startswith(option)}) == 2


# -- BIRD


def test_router_has_a_session_with_each_host_and_passes_on_what_they_tell() -> None:
    router = _machine("router")

    made = Bgp(_unpacked(BIRD, "2.0.12"), router, [_machine(name) for name in ("host", "host2", "host3")])

    (text,) = cast("Fake", router).written
    assert made.maker == "BIRD 2.0.12"
    assert text.startswith("log stderr all;\nrouter id 198.51.100.1;\n")
    assert text.count("rr client;") == text.count("export where source = RTS_BGP; };\n}") == 3
    # To each from its own side of the router.
    for name, own, other in (
        ("host", "198.51.100.1", "198.51.100.10"),
        ("host2", "198.51.100.1", "198.51.100.11"),
        ("host3", "203.0.113.1", "203.0.113.12"),
    ):
        assert f"protocol bgp to_{name} {{\n    local {own} as 64512;\n    neighbor {other} as 64512;" in text
    assert cast("Fake", router).started == [["bird", "-f", "-c", bgp._CONFIG, "-s", bgp._CONTROL]]


def test_host_tells_the_router_of_its_subnet_alone() -> None:
    host = _machine("host3")
    made = Bgp(_unpacked(BIRD, "2.0.12"), _machine("router"), [host])

    lease = Lease(subnet=IPv4Network("10.105.1.0/24"), address=IPv4Address(host.address), backend="bgp")

    assert made.open(Node(host, lease, 1500)) == {}

    (text,) = cast("Fake", host).written
    assert "protocol static { ipv4; route 10.105.1.0/24 unreachable; }" in text
    assert text.count("protocol bgp") == 1
    assert "local 203.0.113.12 as 64512;\n    neighbor 203.0.113.1 as 64512;" in text
    assert "export where source = RTS_STATIC; };\n}" in text
    assert "rr client" not in text


def test_router_on_which_it_does_not_stay_is_an_error() -> None:
    router = _machine("router", dies=True)

    with pytest.raises(LabError, match="bird ended with status 1") as caught:
        Bgp(_unpacked(BIRD, "2.0.12"), router, [])

    assert (caught.value.where, caught.value.returned) == ("router, bird2 2.0.12", "last words")
    assert cast("Fake", router).signalled == []


def test_halt_of_what_does_not_run_asks_for_nothing() -> None:
    host = _machine("host")
    made = Bgp(_unpacked(BIRD, "2.0.12"), _machine("router"), [host])

    made.halt(host)

    assert cast("Fake", host).signalled == []
