"""Programs in machines: with a root of their own, ended with their machine, and never on somebody's."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from netfacts.engine.program import BIRD, Unpacked, obstacle, ready, start
from netfacts.lab import Lab
from netfacts.lab.visited import VisitedMachine, unwired
from netfacts.lab.wait import until
from netfacts.model.errors import OffLimits
from netfacts.model.lab import SHAPES

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="not root: labs are made of namespaces")

_ARGV = ["bird", "-f", "-c", "/run/bird.conf", "-s", "/run/bird.ctl", "-P", "/bird.pid"]
_LOG = "/run/bird.log"
_UP_S = 10.0


@pytest.fixture(scope="module")
def bird() -> Unpacked:
    if remedy := obstacle(BIRD):
        pytest.skip(f"BIRD can't be had: {remedy}")
    return ready(BIRD)


@pytest.fixture
def lab() -> Iterator[Lab]:
    built = Lab(SHAPES["one-host"])
    for machine in built.machines.values():
        machine.agent.call("write", path="/run/bird.conf", text="router id 198.51.100.10;\nprotocol device {}\n")
    yield built
    built.close()


def test_program_runs_in_its_machine_and_writes_nothing_to_the_cache(lab: Lab, bird: Unpacked) -> None:
    host = lab["host"]

    pid = start(host, bird, _ARGV, log=_LOG).pid

    until(lambda: host.exists("/run/bird.ctl"), what="BIRD's socket", timeout_s=_UP_S)
    said = host.execute(["birdc", "-s", "/run/bird.ctl", "show", "status"], mnt=f"/proc/{pid}/ns/mnt")
    assert f"BIRD {bird.version.partition('-')[0]}" in said.out
    assert "198.51.100.10" in said.out
    assert host.exists(f"/proc/{pid}/root/bird.pid")
    assert not (bird.root / "bird.pid").exists()
    assert host.agent.call("wait", pid=pid, timeout_s=0)["exit"] is None


def test_two_of_a_program_on_a_machine_have_a_root_each(lab: Lab, bird: Unpacked) -> None:
    host = lab["host"]

    pids = [start(host, bird, [*_ARGV[:5], f"/run/bird-{one}.ctl", *_ARGV[6:]], log=_LOG).pid for one in "ab"]

    until(lambda: all(host.exists(f"/proc/{pid}/root/bird.pid") for pid in pids), what="both", timeout_s=_UP_S)
    assert [host.text(f"/proc/{pid}/root/bird.pid") for pid in pids] == [f"{pid}\n" for pid in pids]


def test_what_it_says_is_in_its_log(lab: Lab, bird: Unpacked) -> None:
    host = lab["host"]
    host.agent.call("write", path="/run/bird.conf", text="nonsense;\n")

    pid = start(host, bird, _ARGV, log=_LOG).pid

    assert host.agent.call("wait", pid=pid, timeout_s=_UP_S)["exit"] == 1
    assert "syntax error" in (host.read(_LOG)[0] or "")


def test_nothing_is_started_on_a_machine_of_somebody_s(bird: Unpacked) -> None:
    spec = unwired(SHAPES["one-host"])
    machine = VisitedMachine(spec.machines[0], spec)
    try:
        with pytest.raises(OffLimits):
            start(machine, bird, _ARGV, log=_LOG)
    finally:
        machine.close()
