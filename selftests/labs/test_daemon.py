"""Daemons in machines: what is late is not left running, what ends says why, what does not stop is killed."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from netfacts.lab import Lab, Machine
from netfacts.lab.daemon import Daemon
from netfacts.lab.wait import until
from netfacts.model.errors import LabError
from netfacts.model.lab import SHAPES

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="not root: labs are made of namespaces")

_LOG = "/run/daemon.log"
_STUBBORN = "trap '' TERM; echo deaf; touch /run/deaf; while :; do sleep 1; done"


@pytest.fixture
def host() -> Iterator[Machine]:
    built = Lab(SHAPES["one-host"])
    yield built["host"]
    built.close()


def _start(host: Machine, script: str) -> Daemon:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return Daemon(host, ["/bin/sh", "-c", script], release="sh 1", environment=environment, log=_LOG)


def _exit(host: Machine, daemon: Daemon) -> int | None:
    status: int | None = host.agent.call("wait", pid=daemon.pid, timeout_s=5.0)["exit"]
    return status


def test_one_that_is_late_is_killed(host: Machine) -> None:
    daemon = _start(host, "echo early; exec sleep 1000")

    with pytest.raises(LabError, match="waited 0 s for nothing, in vain") as caught:
        daemon.await_ready(lambda: False, what="nothing", timeout_s=0.3)

    assert (caught.value.where, caught.value.returned) == ("host, sh 1", "early")
    assert _exit(host, daemon) is not None


def test_one_that_ends_is_an_error_with_its_status_and_last_words(host: Machine) -> None:
    daemon = _start(host, "echo why; exit 3")

    with pytest.raises(LabError, match="sh ended with status 3") as caught:
        daemon.await_ready(lambda: False, what="nothing", timeout_s=10.0)

    assert caught.value.returned == "why"


def test_one_that_can_not_be_asked_whether_it_is_ready_is_killed(host: Machine) -> None:
    daemon = _start(host, "exec sleep 1000")

    def broken() -> bool:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        daemon.await_ready(broken, what="nothing", timeout_s=10.0)

    assert _exit(host, daemon) is not None


def test_one_that_is_ready_goes_on_and_stops(host: Machine) -> None:
    daemon = _start(host, "touch /run/ready; exec sleep 1000")

    daemon.await_ready(lambda: host.exists("/run/ready"), what="it", timeout_s=10.0)

    assert host.exists(f"/proc/{daemon.pid}")
    daemon.stop(timeout_s=5.0)
    assert _exit(host, daemon) is not None


def test_one_that_does_not_stop_is_killed_and_an_error(host: Machine) -> None:
    daemon = _start(host, _STUBBORN)
    until(lambda: host.exists("/run/deaf"), what="a trap", timeout_s=5.0)

    with pytest.raises(LabError, match="sh did not stop within 0 s") as caught:
        daemon.stop(timeout_s=0.3)

    assert caught.value.returned == "deaf"
    assert _exit(host, daemon) is not None


def test_what_is_no_program_can_not_be_started(host: Machine) -> None:
    with pytest.raises(LabError, match="could not start nothing") as caught:
        Daemon(host, ["/no/such/nothing"], release="", environment={}, log=_LOG)

    assert caught.value.where == "host"
