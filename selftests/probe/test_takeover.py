"""One engine takes another's place: what runs goes on, what was held stays valid, and what is lost is named."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from netfacts.engine import Engine, Installation
from netfacts.lab import Lab, of_machine
from netfacts.model.errors import EngineError
from netfacts.model.verdict import Outcome
from netfacts.probe import ask, listen, tcp
from netfacts.topology import LIVE, Container, Host, resume, take_over
from selftests.probe.conftest import started

_PORT, _HOST_PORT = 8080, 20080

Stand = tuple[Lab, Host, Container, Container]


def _build(lab: Lab, engine: Engine) -> Stand:
    """Two containers on a network, one of them with a listener behind a published port."""
    host = Host(engine)
    network = host.network("net")
    web = host.container("web", network=network, publish={f"{_PORT}/tcp": _HOST_PORT})
    return lab, host, web, host.container("box", network=network)


@pytest.fixture
def live(installation: Installation) -> Iterator[Stand]:
    for lab, engine in started(installation, *LIVE, shape="host-and-outside"):
        yield _build(lab, engine)


@pytest.fixture
def restarting(installation: Installation) -> Iterator[Stand]:
    for lab, engine in started(installation, shape="host-and-outside"):
        yield _build(lab, engine)


def _outcomes(stand: Stand) -> list[tuple[Outcome, str]]:
    lab, host, web, box = stand
    client = of_machine(lab["client"])
    answers = ask(tcp(box.vantage, web.address, _PORT), tcp(client, host.address, _HOST_PORT))
    return [(answer.outcome, answer.name) for answer in answers]


def _connected(stand: Stand) -> list[tuple[Outcome, str]]:
    return [(Outcome.CONNECTED, stand[2].name)] * 2


def test_live_takeover_keeps_containers_and_listeners(live: Stand, installation: Installation) -> None:
    _, host, web, _ = live
    listen(web.vantage, _PORT)
    pids, daemon = [container.pid for container in host.containers], host.engine.pid

    take_over([host], installation)

    assert [container.pid for container in host.containers] == pids
    assert host.engine.pid != daemon
    assert _outcomes(live) == _connected(live)


def test_vantage_and_listener_follow_a_container_that_is_started_again(
    restarting: Stand, installation: Installation
) -> None:
    _, host, web, box = restarting
    held, before = box.vantage, [container.pid for container in host.containers]
    listener = listen(web.vantage, _PORT)

    take_over([host], installation)
    resume([host])

    assert not set(before) & {container.pid for container in host.containers}
    assert box.vantage is held
    assert held.net == f"/proc/{box.pid}/ns/net"
    assert _outcomes(restarting) == _connected(restarting)
    listener.close()
    assert next(outcome for outcome, _ in _outcomes(restarting)) is Outcome.REFUSED


def test_container_that_a_live_takeover_loses_is_named(live: Stand, installation: Installation) -> None:
    _, host, web, _ = live
    host.machine.kill(web.pid)

    with pytest.raises(EngineError, match=rf"container {web.name} did not keep running") as caught:
        take_over([host], installation)

    assert "is none; it is exited" in caught.value.returned


def test_successor_that_ends_at_once_is_an_error_with_its_words(live: Stand, tmp_path: Path) -> None:
    _, host, _, _ = live
    # Below the disk, as a machine has a /tmp of its own.
    broken = Path("/var/tmp") / f"netfacts-selftest-{os.getpid()}"
    (broken / "usr/bin").mkdir(parents=True)
    try:
        with pytest.raises(EngineError, match="could not start dockerd"):
            take_over([host], Installation("rootfs:broken", broken))
    finally:
        (broken / "usr/bin").rmdir()
        (broken / "usr").rmdir()
        broken.rmdir()
