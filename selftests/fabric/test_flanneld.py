"""flanneld of this machine's: found on PATH, asked for its version, and refused where it is none."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import Future
from ipaddress import IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from netfacts.fabric import Config, Store, flanneld
from netfacts.fabric.flanneld import Flanneld, installed, is_flannels
from netfacts.fabric.hostgw import HostGateway
from netfacts.fabric.ipip import IpInIp
from netfacts.fabric.udp import Udp
from netfacts.fabric.vxlan import Vxlan
from netfacts.lab import Machine
from netfacts.model.errors import LabError, ProbeError
from netfacts.run import Finished

Put = Callable[[str], Path]

_ENV = "FLANNEL_NETWORK=10.102.0.0/16\nFLANNEL_SUBNET=10.102.7.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=false\n"
_CONFIG = Config(backend="vxlan", network=IPv4Network("10.102.0.0/16"))
_STORE = cast("Store", SimpleNamespace(endpoint="http://198.51.100.79:2379"))


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Puts a flanneld that does this on PATH, where nothing else is."""
    monkeypatch.setenv("PATH", str(tmp_path))

    def put(script: str) -> Path:
        path = tmp_path / "flanneld"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return path

    return put


# -- where it is, and what it says


def test_none_is_installed_where_there_is_none(put: Put) -> None:
    assert installed() == ""
    with pytest.raises(LabError, match="could not run flanneld"):
        Flanneld("vxlan")


def test_one_that_may_not_be_run_is_none(put: Put) -> None:
    put("echo v0.26.7").chmod(0o644)

    assert installed() == ""


@pytest.mark.parametrize("script", ["echo v0.26.7", "echo v0.26.7 >&2", "echo v0.26.7; echo 'W1: deprecated' >&2"])
def test_it_is_named_with_its_version_wherever_it_says_that(put: Put, script: str) -> None:
    path = put(f'test "$*" = --version || exit 9\n{script}')

    assert installed() == str(path)
    assert Flanneld("vxlan").maker == "flanneld 0.26.7"


def test_one_without_a_version_is_named_so(put: Put) -> None:
    put(":")

    assert Flanneld("udp").maker == "flanneld ?"


def test_one_that_fails_is_an_error_with_what_it_said(put: Put) -> None:
    path = put("echo 'flag provided but not defined: -version' >&2\nexit 2")

    with pytest.raises(LabError, match="flanneld does not say its version") as caught:
        Flanneld("vxlan")

    assert caught.value.returned == f"{path} --version\nexit status 2\nflag provided but not defined: -version"


def test_one_that_is_no_program_is_an_error(put: Put) -> None:
    put("").write_bytes(b"\x7fELF")

    with pytest.raises(LabError, match="could not run flanneld"):
        Flanneld("vxlan")


def test_one_that_does_not_end_is_an_error(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flanneld, "_VERSION_S", 0.1)
    put("while :; do :; done")

    with pytest.raises(LabError, match="flanneld does not say its version"):
        Flanneld("vxlan")


def test_it_takes_the_place_of_flannel_s_backends_alone(put: Put) -> None:
    put("echo v0.26.7")

    assert [name for name in ("host-gw", "vxlan", "udp", "ipip", "bgp", "") if is_flannels(name)] == [
        "host-gw",
        "vxlan",
        "udp",
    ]
    assert not is_flannels(IpInIp.name)
    # What is looked at on a host is called the same, whoever has made it.
    assert {one.name: one.device for one in (HostGateway, Vxlan, Udp)} == {
        name: Flanneld(name).device for name in ("host-gw", "vxlan", "udp")
    }


# -- what it is started with, on a machine that does as it is told


class Host:
    """A machine on which a flanneld is started that leases what `says` has, or ends with `status`."""

    name, address = "host", "198.51.100.10"

    def __init__(self, *, says: str = "", status: int | None = None) -> None:
        self.called: list[tuple[str, dict[str, Any]]] = []
        self.agent = self.netlink = self
        self.removed: list[str] = []
        self._says = says
        self._status = status
        self.fails = ""

    terminate = Machine.terminate

    def kill(self, pid: int) -> None:
        self.call("signal", pid=pid, signal=int(signal.SIGKILL))

    def call(self, op: str, **args: Any) -> dict[str, int | None]:
        self.called.append((op, args))
        if op == "spawn" and self.fails:
            raise ProbeError("the agent could not do what it was asked", returned=self.fails)
        return {"pid": 77} if op == "spawn" else {"exit": 0}

    def submit(self, op: str, **args: Any) -> Future[dict[str, int | None]]:
        ended: Future[dict[str, int | None]] = Future()
        if self._status is not None:
            ended.set_result({"exit": self._status})
        return ended

    def execute(self, argv: list[str]) -> Finished:
        return Finished(tuple(argv), 0, "", "")

    def exists(self, path: str) -> bool:
        return bool(self._says) and path == "/run/netfacts/flannel-vxlan/subnet.env"

    def text(self, path: str) -> str:
        return self._says if path.endswith(".env") else "I: first\nE: last words\n"

    def remove(self, device: str) -> None:
        self.removed.append(device)

    def interface(self) -> str:
        return "eth0"

    def args(self, op: str) -> dict[str, Any]:
        (args,) = [args for name, args in self.called if name == op]
        return args


@pytest.fixture
def daemon(put: Put) -> Flanneld:
    put("echo v0.26.7")
    return Flanneld("vxlan")


def test_it_is_told_where_the_store_is_and_leaves_firewalls_alone(daemon: Flanneld) -> None:
    host = Host(says=_ENV)

    node = daemon.join(cast("Machine", host), _CONFIG, _STORE)

    assert (str(node.lease.subnet), str(node.lease.address), node.mtu_bytes) == ("10.102.7.0/24", host.address, 1450)
    spawned = host.args("spawn")
    assert spawned["argv"] == [
        installed(),
        "-etcd-endpoints=http://198.51.100.79:2379",
        "-etcd-prefix=/netfacts/vxlan/network",
        "-iface=eth0",
        "-public-ip=198.51.100.10",
        "-subnet-file=/run/netfacts/flannel-vxlan/subnet.env",
        "-ip-masq=false",
        "-iptables-forward-rules=false",
    ]
    assert set(spawned["env"]) == {"PATH"}


def test_one_that_ends_is_an_error_with_its_last_words(daemon: Flanneld) -> None:
    host = Host(status=1)

    with pytest.raises(LabError, match="flanneld ended with status 1") as caught:
        daemon.join(cast("Machine", host), _CONFIG, _STORE)

    assert caught.value.where == "host, flanneld 0.26.7"
    assert caught.value.returned == "I: first\nE: last words"
    assert "signal" not in {op for op, _ in host.called}


def test_one_that_gets_no_lease_is_ended(daemon: Flanneld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flanneld, "_LEASED_S", 0.1)
    host = Host()

    with pytest.raises(LabError, match="flanneld to lease a subnet"):
        daemon.join(cast("Machine", host), _CONFIG, _STORE)

    assert host.args("signal") == {"pid": 77, "signal": signal.SIGKILL}
    assert host.removed == ["flannel.1"]
    daemon.halt(cast("Machine", host))
    assert len([op for op, _ in host.called if op == "signal"]) == 1


def test_one_that_can_not_be_started_is_an_error_of_the_lab_s(daemon: Flanneld) -> None:
    host = Host()
    host.fails = "flanneld: Exec format error"

    with pytest.raises(LabError, match="could not start flanneld") as caught:
        daemon.join(cast("Machine", host), _CONFIG, _STORE)

    assert (caught.value.where, caught.value.returned) == ("host", "flanneld: Exec format error")


@pytest.mark.parametrize(
    "said", ["", "FLANNEL_MTU=1450\n", "FLANNEL_SUBNET=10.102.7.1/24\n", "FLANNEL_SUBNET=\nFLANNEL_MTU=1\n"]
)
def test_one_that_says_less_than_a_lease_is_an_error_of_the_lab_s(daemon: Flanneld, said: str) -> None:
    host = Host(says=said or "\n")

    with pytest.raises(LabError, match="can't be read") as caught:
        daemon.join(cast("Machine", host), _CONFIG, _STORE)

    assert caught.value.returned == said.strip()
    assert host.args("signal") == {"pid": 77, "signal": signal.SIGTERM}
