"""What is not built on somebody's host, because the engine would change or keep something there."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest

from netfacts.engine import Engine
from netfacts.model.errors import EngineError, OffLimits
from netfacts.model.lab import SHAPES, PortSpec
from netfacts.run import Finished
from netfacts.topology import Container, Host, Network
from netfacts.topology.refusal import Refused

_SPEC = SHAPES["host-and-outside"]
_ROUTES = ["10.77.0.0/16", "default", "0.0.0.0/1", "fd00::/8"]


class Played:
    """An engine that makes every network, and a machine with a few routes."""

    private = False
    call_s = 1
    image = "probe:1"

    def __init__(self, *, version: str = "28.5.2", nic: str = "", chains: tuple[str, ...] = ()) -> None:
        self.info = SimpleNamespace(version=version)
        self.labels = {"org.netfacts.run": "netfacts-1-1"}
        self.api = self
        self.made: list[dict[str, Any]] = []
        self._chains = chains
        spec = SimpleNamespace(ports=(PortSpec("lan", 10, nic),))
        self.machine = SimpleNamespace(
            name="host",
            spec=spec,
            lab=_SPEC,
            address=str(_SPEC.address("host")),
            execute=self._routes,
            text=lambda _: None,
        )

    def _routes(self, argv: list[str]) -> Finished:
        assert argv[:2] == ["ip", "-j"]
        return Finished(tuple(argv), 0, json.dumps([{"dst": one} for one in _ROUTES]), "")

    def execute(self, argv: list[str]) -> Finished:
        return Finished(tuple(argv), 0 if argv[-1] in self._chains else 1, "", "")

    def create_network(self, **request: Any) -> dict[str, str]:
        self.made.append(request)
        return {"Id": "n" * 64}

    def log_tail(self, lines: int = 15) -> str:
        return ""


def _host(played: Played) -> Host:
    return Host(cast("Engine", played))


@pytest.mark.parametrize("subnet", ["10.77.1.0/24", "10.0.0.0/8"])
def test_subnet_that_the_host_has_a_route_to_is_left_to_it(subnet: str) -> None:
    played = Played()

    with pytest.raises(OffLimits, match=r"from what the host has at 10\.77\.0\.0/16"):
        _host(played).network("net", subnet=subnet)

    assert played.made == []


@pytest.mark.parametrize("subnet", ["10.78.1.0/24", str(_SPEC.segment("lan").ipv4)])
def test_subnet_that_nobody_has_and_the_labs_own_are_free(subnet: str) -> None:
    played = Played()

    _host(played).network("net", subnet=subnet, subnet6="2001:db8:77::/64")

    assert len(played.made) == 1


def test_subnet_of_the_check_itself_may_be_asked_for_again() -> None:
    played = Played()
    host = _host(played)

    host.network("net", subnet="10.78.0.0/16")
    _ROUTES.append("10.78.0.0/16")
    try:
        host.network("again", subnet="10.78.1.0/24")
    finally:
        _ROUTES.remove("10.78.0.0/16")

    assert len(played.made) == 2


@pytest.mark.parametrize(("version", "passes"), [("20.10.24+dfsg1", False), ("23.0.6", False), ("24.0.0", True)])
def test_encrypted_overlay_is_made_by_engines_that_clean_up(version: str, passes: bool) -> None:
    played = Played(version=version)
    options = {"encrypted": ""}
    if passes:
        _host(played).network("mesh", driver="overlay", options=options)
    else:
        with pytest.raises(OffLimits, match="leave rules of an encrypted network"):
            _host(played).network("mesh", driver="overlay", options=options)

    assert len(played.made) == passes


@pytest.mark.parametrize("driver", ["macvlan", "ipvlan"])
def test_containers_get_no_addresses_of_somebodys_network(driver: str) -> None:
    subnet = str(_SPEC.segment("lan").ipv4)
    _host(Played()).network("wire", driver=driver, subnet=subnet)

    with pytest.raises(OffLimits, match="on somebody's network"):
        _host(Played(nic="eth1")).network("wire", driver=driver, subnet=subnet)


def test_engine_is_not_made_to_leave_its_swarm() -> None:
    with pytest.raises(OffLimits, match="leave its swarm"):
        _host(Played()).leave_swarm()


def test_first_port_of_a_service_is_not_netfacts_to_publish() -> None:
    host = _host(Played())
    mesh = host.network("mesh")

    with pytest.raises(OffLimits, match="DOCKER-INGRESS"):
        host.service("web", network=mesh, nodes=[host], publish={80: 8080})


def test_network_that_every_engine_has_is_not_tried_to_be_removed() -> None:
    played = Played()

    with pytest.raises(OffLimits, match="have the engine remove bridge"):
        _host(played).remove(Network(cast("Engine", played), "n" * 64, "bridge", predefined=True))


def test_container_in_host_mode_gets_no_further_capability() -> None:
    with pytest.raises(OffLimits, match="NET_ADMIN in the host's network"):
        _host(Played()).container("admin", mode="host", cap_add=["NET_ADMIN"])


# -- an engine that gives up on its swarm


class Attaching(Played):
    """Gives up `times` before it attaches a container."""

    def __init__(self, times: int, words: str) -> None:
        super().__init__()
        self.asked = 0
        self._times, self._words = times, words

    def start(self, *_: object, **__: object) -> None:
        self.asked += 1
        if self.asked <= self._times:
            raise Refused("the engine refused to attach container box", returned=self._words)

    connect_container_to_network = start

    def inspect_container(self, _: str) -> dict[str, Any]:
        state = {"Status": "created", "ExitCode": 0, "Pid": 0}
        return {"Name": "/box", "State": state, "NetworkSettings": {"Networks": {}}, "HostConfig": {"NetworkMode": ""}}

    def attach(self, how: str) -> None:
        container = Container(cast("Engine", self), "c" * 64, "box")
        if how == "start":
            _host(self).start(container)
        else:
            _host(self).connect(Network(cast("Engine", self), "n" * 64, "mesh"), container)


@pytest.mark.parametrize("how", ["start", "connect"])
def test_attachment_that_the_swarm_was_too_slow_for_is_asked_for_again(how: str) -> None:
    played = Attaching(2, "attaching to network failed, make sure …: context deadline exceeded")

    played.attach(how)

    assert played.asked == 3


@pytest.mark.parametrize("how", ["start", "connect"])
def test_other_refusals_are_final(how: str) -> None:
    played = Attaching(1, "driver failed programming external connectivity")

    with pytest.raises(EngineError):
        played.attach(how)

    assert played.asked == 1


_SOCKETS = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:1388 0100007F:A1B2 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
"""


def test_port_that_somebody_serves_is_left_to_them() -> None:
    played = Played()
    played.machine.read = lambda *_: [_SOCKETS, None]

    with pytest.raises(OffLimits, match="TCP port 6379 of the host"):
        _host(played).require_unserved(6379)

    # A connection from such a port is no program that serves it.
    _host(played).require_unserved(5000)


def test_service_without_a_password_is_open_to_the_lab_alone() -> None:
    assert _host(Played()).unguarded(6379) == (str(_SPEC.address("host")), 6379)


def test_service_without_a_password_is_open_to_all_in_a_lab_of_its_own() -> None:
    played = Played()
    played.private = True  # type: ignore[misc]

    assert _host(played).unguarded(6379) == 6379
