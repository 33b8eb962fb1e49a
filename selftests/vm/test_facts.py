"""Facts that need what not every kernel has, but a distribution's: IPVS, ESP, ipvlan, VLANs, IP-in-IP. Labs in a VM."""

from __future__ import annotations

import io
import json
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from netfacts.engine.program import ETCD, ready
from netfacts.engine.source import resolve
from netfacts.lab.wait import until
from netfacts.model.errors import LabError
from selftests.vm.machine import VirtualMachine

ROOT = Path(__file__).resolve().parents[2]
_CHECKOUT = ("netfacts", "fixtures", "reports", "suites", "facts", "conftest.py", "pyproject.toml")
_HERE = "/root/netfacts"
_NEWER, _ITS_ROOT = "debian:trixie", "/root/newer"
# Where root's engines and programs are kept.
_CACHE = "/var/cache/netfacts"
_RUN_S = 1800.0
_A_VERDICT: dict[str, Any] = {"what": "a verdict", "timeout_s": 300.0}
# What the kernel of the machine below may lack; a Debian kernel has it all.
_FACTS = (
    "macvlan.8021q",
    "macvlan.no-parent",
    "ipvlan.l2",
    "ipvlan.l3",
    "overlay.encrypted",
    "swarm.vip",
    "swarm.ingress",
    "calico.ipip",
)
# What the engine of the VM has not yet, either.
_OF_NEWER = "ipvlan.l3s"


@pytest.fixture(scope="module")
def equipped(vm: VirtualMachine) -> Iterator[VirtualMachine]:
    """A VM that has this checkout and the packages that it needs. Undo: they are removed."""
    (python,) = {f"{sys.version_info.major}.{sys.version_info.minor}"}
    said = vm.ssh("python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").out.strip()
    if said != python:
        pytest.skip(f"compiled packages of Python {python} don't go with the VM's {said}")
    vm.send(_packed(), _HERE)
    # Not unpacked there: the VM has no way to a package mirror.
    etcd = ready(ETCD).entry.path
    vm.send(_tar(etcd), f"{_CACHE}/engines/{etcd.name}")
    yield vm
    vm.sudo("rm", "-rf", _HERE, _CACHE)


@pytest.fixture(scope="module")
def newer(equipped: VirtualMachine) -> Iterator[str]:
    """A newer engine that lies in the VM, as `--engine` takes it. Undo: it is removed."""
    root = resolve(_NEWER).root
    assert root is not None
    equipped.send(_tar(root), _ITS_ROOT)
    yield f"rootfs:{_ITS_ROOT}"
    equipped.sudo("rm", "-rf", _ITS_ROOT)


def _tar(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        tar.add(folder, ".")
    return buffer.getvalue()


def _packed() -> bytes:
    def leave_out(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if Path(entry.name).name in ("__pycache__", "out", "mypy") else entry

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as tar:
        for name in _CHECKOUT:
            tar.add(ROOT / name, name, filter=leave_out)
        tar.add(sysconfig.get_path("purelib"), "packages", filter=leave_out)
    return buffer.getvalue()


def _netfacts(vm: VirtualMachine, command: str, select: str, *, engine: str = "system") -> list[dict[str, Any]]:
    """Run netfacts there, with the engine that is installed or another, started privately; gives the record's lines."""
    done = vm.sudo(*_argv(command, select, engine), timeout_s=_RUN_S)
    print(done.out + done.err)
    return _lines(vm, command)


def _argv(command: str, select: str, engine: str = "system") -> list[str]:
    words = ["python3", "-m", "netfacts", command, "--engine", engine, "-n", "0", "--out", f"{_HERE}/out-{command}"]
    return ["env", "-C", _HERE, f"PYTHONPATH={_HERE}/packages", *words, "-k", select]


def _lines(vm: VirtualMachine, command: str) -> list[dict[str, Any]]:
    """The whole lines of the record so far."""
    text = vm.sudo("sh", "-c", f"cat {_HERE}/out-{command}/record.jsonl || true").out
    return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]


def _verdicts(lines: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {line["fact"]: (line["verdict"], line["reason"]) for line in lines if line["kind"] == "verdict"}


@pytest.mark.timeout(_RUN_S)
def test_facts_that_only_such_a_kernel_can_exercise_conform(equipped: VirtualMachine) -> None:
    lines = _netfacts(equipped, "run", " or ".join((*_FACTS, _OF_NEWER)))

    verdicts = _verdicts(lines)
    assert verdicts.pop(_OF_NEWER)[0] == "not_exercised"
    assert verdicts == dict.fromkeys(_FACTS, ("conforms", ""))


@pytest.mark.nightly
@pytest.mark.timeout(_RUN_S)
def test_their_sabotages_are_noticed(equipped: VirtualMachine) -> None:
    # Its name begins with that of another, which alone would select both.
    lines = _netfacts(equipped, "sabotage", f"({' or '.join(_FACTS)}) and not {_OF_NEWER}")

    assert _killed(lines) == set(_FACTS)


@pytest.mark.nightly
@pytest.mark.timeout(_RUN_S)
def test_fact_that_needs_a_newer_engine_as_well_conforms(equipped: VirtualMachine, newer: str) -> None:
    lines = _netfacts(equipped, "run", _OF_NEWER, engine=newer)

    assert _verdicts(lines) == {_OF_NEWER: ("conforms", "")}


@pytest.mark.nightly
@pytest.mark.timeout(_RUN_S)
def test_its_sabotages_are_noticed_on_that_engine(equipped: VirtualMachine, newer: str) -> None:
    lines = _netfacts(equipped, "sabotage", _OF_NEWER, engine=newer)

    assert _killed(lines) == {_OF_NEWER}


def _killed(lines: list[dict[str, Any]]) -> set[str]:
    """The facts whose sabotages were tried, every one of which is to have been noticed."""
    tried = [line for line in lines if line["kind"] == "sabotage"]
    assert [line for line in tried if not line["killed"]] == []
    return {line["fact"] for line in tried}


@pytest.mark.timeout(_RUN_S)
def test_clock_that_jumps_changes_no_verdict(equipped: VirtualMachine) -> None:
    """Deadlines, latencies and time stamps of packets go by clocks that nobody sets."""
    selected = "alias.short-id or dns.scope or dns.rename or publish.basic"
    with ThreadPoolExecutor(1) as pool:
        equipped.sudo("rm", "-rf", f"{_HERE}/out-run")
        running = pool.submit(equipped.sudo, *_argv("run", selected), timeout_s=_RUN_S)
        for jump in ("+2 hours", "-3 hours", "+1 hour"):
            known = len(_verdicts(_lines(equipped, "run")))
            until(lambda known=known: running.done() or len(_verdicts(_lines(equipped, "run"))) > known, **_A_VERDICT)
            equipped.sudo("date", "--set", jump).checked("could not set the clock", LabError)
        done = running.result()

    lines = _lines(equipped, "run")
    assert done.exit_status == 0, done.out + done.err
    assert {verdict for verdict, _ in _verdicts(lines).values()} == {"conforms"}
    assert 0 < lines[-1]["duration_s"] < _RUN_S
    assert all(0 <= line["duration_s"] < _RUN_S for line in lines if line["kind"] == "verdict")
