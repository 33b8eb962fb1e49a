"""The command as a user runs it: in a checkout of its own with few facts, from the outside, by its process tree."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from netfacts.engine import resolve
from netfacts.lab.stamp import start_time
from netfacts.lab.wait import until

ROOT = Path(__file__).resolve().parents[2]
ENGINE = os.environ.get("NETFACTS_SELFTEST_ENGINE", "debian:bookworm")
STAGE = Path(__file__).parent / "stage"
# Generous: a run takes ten seconds where nothing else runs.
PATIENCE_S = 120.0


@dataclass
class Run:
    """A `netfacts run` under way, in a session of its own."""

    process: subprocess.Popen[str]
    out: Path
    stage: Path
    seen: dict[int, int] = field(default_factory=dict)
    """PID → start time of all that this run has ever been seen to start."""

    def lines(self) -> list[dict[str, Any]]:
        """The whole lines of the record so far."""
        path = self.out / "record.jsonl"
        data = path.read_bytes() if path.exists() else b""
        return [json.loads(line) for line in data[: data.rfind(b"\n") + 1].splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The lines of a kind."""
        return [line for line in self.lines() if line["kind"] == kind]

    def until_verdict(self) -> None:
        """Wait until the first verdict is in the record."""
        self._until(lambda: self.of("verdict"), "the first verdict")

    def until_waiting(self) -> int:
        """Wait until the check that waits is under way; gives the PID of the process that runs it."""
        self._until((self.stage / "waiting").exists, "the check that waits")
        return int((self.stage / "waiting").read_text())

    def _until(self, condition: Callable[[], object], what: str) -> None:
        def met() -> object:
            if self.process.poll() is not None:
                raise AssertionError(f"netfacts ended with {self.process.returncode} before {what}:\n{self.said()}")
            return condition()

        until(met, what=what, timeout_s=PATIENCE_S)
        self.look()

    def go(self) -> None:
        """Let the check that waits go on."""
        (self.stage / "go").touch()

    def look(self) -> dict[int, str]:
        """Note and give the run's processes by PID, found by parent and child from its own process."""
        parents: dict[int, list[int]] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            parents.setdefault(_parent(int(folder.name)), []).append(int(folder.name))
        tree, todo = {}, [self.process.pid]
        while todo:
            pid = todo.pop()
            started = start_time(pid)
            if started is not None:
                tree[pid] = _command(pid)
                self.seen[pid] = started
                todo += parents.get(pid, [])
        return tree

    def children(self) -> list[int]:
        """Its own process's children: xdist's workers, and without them the fork server."""
        return [pid for pid in self.look() if _parent(pid) == self.process.pid]

    def named(self, part: str) -> list[int]:
        """The run's processes that have this in their name or command line."""
        return [pid for pid, command in self.look().items() if part in command]

    def left(self) -> dict[int, str]:
        """Those of the run's processes that are still there."""
        return {pid: _command(pid) for pid, started in self.seen.items() if _lives(pid, started)}

    def until_nothing_is_left(self) -> None:
        """Wait until the kernel has taken everything away."""
        until(lambda: not self.left(), what=f"the end of {self.left()}", timeout_s=30.0)

    def namespaces(self) -> set[str]:
        """The network and mount namespaces of its machines, as the kernel names them."""
        own = {os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "mnt")}
        found = set()
        for pid in self.look():
            for kind in ("net", "mnt"):
                try:
                    found.add(os.readlink(f"/proc/{pid}/ns/{kind}"))
                except OSError:
                    continue
        return found - own

    def wait(self) -> int:
        """Wait for its end, and give the exit code."""
        return self.process.wait(PATIENCE_S)

    def said(self) -> str:
        """What it has printed."""
        return (self.stage / "said").read_text()

    def cgroups(self) -> list[str]:
        """Cgroup folders that bear the stamp of one of its processes."""
        stamps = tuple(f"netfacts-{pid}-{started}" for pid, started in self.seen.items())
        roots = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")]
        return sorted({str(one) for root in roots for one in root.glob("netfacts-*") if one.name.startswith(stamps)})


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _command(pid: int) -> str:
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        return f"{name}: " + Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _lives(pid: int, started: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    state, _, *rest = stat.rpartition(")")[2].split()
    return state != "Z" and int(rest[17]) == started


Users = dict[tuple[int, int], set[str]]


def users(namespaces: set[str]) -> Users:
    """The processes of this machine, by PID and start time, that are in some of the namespaces now, and in which."""
    found: Users = {}
    for process in Path("/proc").glob("[0-9]*"):
        started, names = start_time(int(process.name)), set()
        for kind in ("net", "mnt"):
            with contextlib.suppress(OSError):
                names.add(os.readlink(process / "ns" / kind))
        if started is not None and names & namespaces:
            found[int(process.name), started] = names & namespaces
    return found


def held(namespaces: set[str], before: Users) -> set[str]:
    """Those of the namespaces that are mounted, or that a process is in still which was in them before.

    The kernel gives a namespace's number again once it is gone: other processes are in another one.
    """
    now = users(namespaces)
    found = {name for process, names in before.items() for name in names & now.get(process, set())}
    mounts = Path("/proc/self/mountinfo").read_text()
    return {name for name in namespaces if name in found or name in mounts}


@pytest.fixture(autouse=True, scope="session")
def _engine() -> None:
    """Needs: root, and the engine in the cache, so that no run has to wait for a mirror."""
    if os.geteuid() != 0:
        pytest.skip("running netfacts needs root: sudo ./toxw -e selftests")
    resolve(ENGINE)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the facts and suite of `dns` alone."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    left_out = shutil.ignore_patterns("__pycache__", "out")
    for name in ("netfacts", "fixtures", "reports"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    shutil.copytree(ROOT / "suites" / "dns", folder / "suites" / "dns", ignore=left_out)
    (folder / "facts").mkdir()
    for name in ("conftest.py", "pyproject.toml", "suites/__init__.py", "facts/dns.toml"):
        shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture
def staged(checkout: Path) -> Path:
    """A checkout with the checks of `stage` alone, whose end a test decides."""
    shutil.rmtree(checkout / "suites" / "dns")
    (checkout / "facts" / "dns.toml").unlink()
    shutil.copy(STAGE / "stage.toml", checkout / "facts")
    (checkout / "suites" / "stage").mkdir()
    shutil.copy(STAGE / "checks.py", checkout / "suites" / "stage" / "test_stage.py")
    return checkout


Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts `python -m netfacts run` in a checkout. Undo: what of it still runs is killed, PID by PID."""
    runs: list[Run] = []

    def start(
        checkout: Path,
        *arguments: str,
        command: str = "run",
        environment: dict[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
    ) -> Run:
        stage = tmp_path / f"stage{len(runs)}"
        stage.mkdir()
        out = tmp_path / f"out{len(runs)}"
        with (stage / "said").open("w") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "netfacts", command, "--engine", ENGINE, "--out", str(out), *arguments],
                cwd=checkout,
                env={**os.environ, "STAGE": str(stage), "PYTHONDONTWRITEBYTECODE": "1", **(environment or {})},
                stdin=stdin,
                stdout=said,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        runs.append(Run(process, out, stage))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.look()
            run.process.kill()
        run.process.wait()
        for pid in run.left():
            os.kill(pid, signal.SIGKILL)
