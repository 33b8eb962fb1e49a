"""`--target ssh://…` on a real VM: sudo, systemd, a kernel of its own, and a cable that can be pulled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from netfacts.engine.installed import RUN_LABEL
from netfacts.lab.remote import PATIENCE
from netfacts.lab.wait import until
from netfacts.model.errors import LabError
from selftests.vm.image import ROOT, STRANGER
from selftests.vm.machine import VirtualMachine

# Emulated, a check takes ten seconds and more.
_RUN_S = 600.0
_GONE_S = 180.0
_AGENTS_S = 20
_OF_SWARMS = ("overlay.vxlan", "swarm.vip", "swarm.ingress", "publish.basic")
_IMAGE = "once:1"
# Opt-in, because it may take longer than all else.
_SELECT, _WHOLE_S = "NETFACTS_VM_SELECT", 7200.0
# This engine would leave rules of it on the VM.
_LEFT_OUT = "overlay.encrypted"


class Visit:
    """A `netfacts run` of VMs under way."""

    def __init__(self, vms: Sequence[VirtualMachine], out: Path, *arguments: str, user: str = "") -> None:
        self.out = out
        self._said = out.with_suffix(".said")
        target = "ssh://" + ",".join(f"{user}@{vm.name}" if user else vm.name for vm in vms)
        argv = [sys.executable, "-m", "netfacts", "run", "--target", target, "--ssh-config", str(vms[0].ssh_config)]
        self.began = time.monotonic()
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                [*argv, "--out", str(out), *arguments],
                cwd=ROOT,
                env={**os.environ, PATIENCE: str(_AGENTS_S)},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def said(self) -> str:
        return self._said.read_text()

    def wait(self, timeout_s: float = _RUN_S) -> int:
        return self.process.wait(timeout_s)

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """The whole lines of a kind in the record so far."""
        path = self.out / "record.jsonl"
        data = path.read_bytes() if path.exists() else b""
        whole = data.rpartition(b"\n")[0].splitlines()
        return [line for line in map(json.loads, whole) if line["kind"] == kind]

    def until_verdicts(self, count: int) -> None:
        until(lambda: len(self.lines("verdict")) >= count, what=f"{count} verdicts: {self.said()}", timeout_s=_RUN_S)


pytestmark = pytest.mark.timeout(2 * _RUN_S)

Start = Callable[..., Visit]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a visit. Undo: it is killed."""
    started: list[Visit] = []

    def start(*vms: VirtualMachine, select: str, user: str = "") -> Visit:
        started.append(Visit(vms, tmp_path / f"out{len(started)}", "-k", select, user=user))
        return started[-1]

    yield start
    for visit in started:
        visit.process.kill()
        visit.process.wait()


@pytest.fixture
def swarm(two_vms: tuple[VirtualMachine, VirtualMachine]) -> Iterator[tuple[VirtualMachine, VirtualMachine]]:
    """Two VMs whose engines are a swarm that has published a port, with the modules that its facts need.

    Undo: they leave it.
    """
    manager, worker = two_vms
    for vm in two_vms:
        vm.sudo("modprobe", "-a", "ip_vs", "esp4").checked("could not load modules", LabError)
    join = ("docker", "swarm", "join", "--advertise-addr", str(worker.ipv4))
    init = manager.sudo("docker", "swarm", "init", "--advertise-addr", str(manager.ipv4))
    init.checked("could not begin a swarm", LabError)
    token = manager.sudo("docker", "swarm", "join-token", "-q", "worker").out.strip()
    worker.sudo(*join, "--token", token, f"{manager.ipv4}:2377").checked("could not join", LabError)
    for vm in two_vms:
        imported = vm.sudo("sh", "-c", f"tar -C / -c bin/busybox | docker import - {_IMAGE}")
        imported.checked("could not make an image", LabError)
    # Nodes publish a port, and make the chain for it, when there is a task.
    publish = ("--detach", "--no-resolve-image", "--mode", "global", "--name", "once", "--publish", "9:9")
    service = manager.sudo("docker", "service", "create", *publish, _IMAGE, "/bin/busybox", "sleep", "1d")
    service.checked("could not publish a port", LabError)
    for vm in two_vms:
        until(partial(_has_published, vm), what="the chain of published ports", timeout_s=_GONE_S)
    manager.sudo("docker", "service", "rm", "once").checked("could not remove it", LabError)
    for vm in two_vms:
        until(partial(_has_no_container, vm), what=f"no container to be on {vm.name}", timeout_s=_GONE_S)
    yield two_vms
    for vm in (worker, manager):
        vm.sudo("docker", "swarm", "leave", "--force")
        vm.sudo("docker", "image", "rm", "--force", _IMAGE)


def _has_published(vm: VirtualMachine) -> bool:
    return vm.sudo("iptables", "-t", "nat", "-S", "DOCKER-INGRESS").exit_status == 0


def _has_no_container(vm: VirtualMachine) -> bool:
    return vm.sudo("docker", "ps", "-aq").out == ""


def left(vm: VirtualMachine) -> list[str]:
    """What runs have left on a VM: things on its engine, agents, files, cgroups."""
    label = f"--filter=label={RUN_LABEL}"
    asked = f"docker ps -aq {label}; docker network ls -q {label}; docker image ls -q {label}"
    # The brackets keep pgrep from finding the shell that runs it.
    asked += "; pgrep -fa '[a]gent.pyz'; ls -d /var/tmp/netfacts-* /sys/fs/cgroup/netfacts-* 2>/dev/null"
    return vm.sudo("sh", "-c", asked).out.splitlines()


def test_visit_conforms_and_leaves_nothing(vm: VirtualMachine, start: Start) -> None:
    # Few: emulated, each takes ten seconds, and a minute where others want the processor, too.
    visit = start(vm, select="publish.basic or alias.short-id or host-reachable")

    status = visit.wait()

    assert status == 0, visit.said()
    (run,) = visit.lines("run")
    assert run["machine"].startswith("Debian GNU/Linux 12")
    assert run["kernel"] == vm.ssh("uname", "-r").out.strip()
    verdicts = [line["verdict"] for line in visit.lines("verdict")]
    assert verdicts == ["conforms"] * 3
    assert visit.lines("host")[0]["left"] == []
    assert left(vm) == []


def test_two_hosts_and_a_client_are_visited_together(
    swarm: tuple[VirtualMachine, VirtualMachine], client_vm: VirtualMachine, start: Start
) -> None:
    """Overlays, services and their ports between real machines: also what labs on one kernel may lack."""
    visit = start(*swarm, client_vm, select=" or ".join((*_OF_SWARMS, _LEFT_OUT)))

    status = visit.wait()

    assert status == 0, visit.said()
    verdicts = {line["fact"]: (line["verdict"], line["reason"]) for line in visit.lines("verdict")}
    verdict, reason = verdicts.pop(_LEFT_OUT)
    assert (verdict, "leave rules of an encrypted network" in reason) == ("not_exercised", True)
    assert verdicts == dict.fromkeys(_OF_SWARMS, ("conforms", ""))
    assert visit.lines("host")[0]["left"] == []
    for vm in (*swarm, client_vm):
        assert left(vm) == []


@pytest.mark.skipif(not os.environ.get(_SELECT), reason=f"{_SELECT} says which facts; all take an hour where emulated")
@pytest.mark.timeout(_WHOLE_S)
def test_chosen_facts_conform_over_ssh(
    swarm: tuple[VirtualMachine, VirtualMachine], client_vm: VirtualMachine, start: Start
) -> None:
    visit = start(*swarm, client_vm, select=os.environ[_SELECT])

    status = visit.wait(_WHOLE_S)

    print(visit.said())
    assert status == 0, visit.said()
    assert {line["verdict"] for line in visit.lines("verdict")} <= {"conforms", "not_exercised"}
    for vm in (*swarm, client_vm):
        assert left(vm) == []


def test_user_without_sudo_is_refused(vm: VirtualMachine, start: Start) -> None:
    visit = start(vm, select="alias.short-id", user=STRANGER)

    assert visit.wait() == 4
    assert "a password is required" in visit.said()
    assert "NOPASSWD" in visit.said()
    assert left(vm) == []


def test_pulled_cable_is_inconclusive_and_the_vm_is_clean_when_it_is_back(vm: VirtualMachine, start: Start) -> None:
    visit = start(vm, select="publish.basic or alias.short-id or host-reachable")
    visit.until_verdicts(1)
    vm.unplug()
    try:
        status = visit.wait()
    finally:
        vm.plug()

    assert status == 3, visit.said()
    verdicts = [line["verdict"] for line in visit.lines("verdict")]
    assert "deviates" not in verdicts
    assert "inconclusive" in verdicts
    assert (visit.out / "index.html").exists()
    until(lambda: not left(vm), what=f"{left(vm)} to go", timeout_s=_GONE_S)
