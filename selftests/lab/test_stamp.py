"""Stamps: what a dead run left is swept, and nothing else ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.lab.stamp import owner_is_dead, remove_cgroups, stamp, start_time, sweep

FOREIGN = [
    "system.slice",
    "docker",
    "netfacts",
    "netfacts-1",
    "netfacts-x-1",
    "netfacts-1-2-UPPER",
    "my-netfacts-1-2",
    "netfacts-1-2/..",
    "netfacts--1-2",
    "netfacts-1-2-",
    "netfacts-1-2 ",
    "netfacts-1-2\n",
]


@pytest.fixture(scope="module")
def dead() -> str:
    """The stamp of a process that has ended."""
    code = "from netfacts.lab.stamp import stamp; print(stamp('1-host'))"
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        [sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def v2(tmp_path: Path) -> Path:
    """A cgroup file system of version 2: one hierarchy."""
    (tmp_path / "cgroup.procs").touch()
    return tmp_path


@pytest.fixture
def v1(tmp_path: Path) -> Path:
    """Cgroups of version 1: a hierarchy per controller, and a link to one."""
    for controller in ("cpu", "memory"):
        (tmp_path / controller).mkdir()
        (tmp_path / controller / "cgroup.procs").touch()
    (tmp_path / "cpuacct").symlink_to("cpu")
    (tmp_path / "no-hierarchy").mkdir()
    return tmp_path


def test_start_time_is_that_of_the_kernel() -> None:
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()

    assert start_time(os.getpid()) == int(fields[19])
    assert start_time(2**22 + 1) is None


def test_start_time_is_read_past_any_program_name() -> None:
    """A program's name may hold blanks and parentheses."""
    code = "import ctypes, sys; ctypes.CDLL(None).prctl(15, b'a) R 1 (b', 0, 0, 0); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        started = start_time(process.pid)
        process.communicate()

    assert started is not None
    assert started >= (start_time(os.getpid()) or 0)


def test_own_stamp_is_alive() -> None:
    assert not owner_is_dead(stamp())
    assert not owner_is_dead(stamp("1-host"))
    assert stamp("1-host").startswith(f"netfacts-{os.getpid()}-")


def test_stamp_of_an_ended_process_is_dead(dead: str) -> None:
    assert owner_is_dead(dead)


def test_stamp_of_a_process_that_nobody_has_waited_for_is_dead() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        name = f"netfacts-{process.pid}-{start_time(process.pid)}"
        assert not owner_is_dead(name)
        assert process.stdin is not None
        process.stdin.close()
        # WNOWAIT: it stays a zombie.
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

        assert owner_is_dead(name)


def test_stamp_of_a_pid_that_was_given_to_another_is_dead() -> None:
    """This process has the PID, but started at another time."""
    assert owner_is_dead(f"netfacts-{os.getpid()}-{(start_time(os.getpid()) or 0) - 1}")


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_name_is_never_dead(name: str) -> None:
    assert not owner_is_dead(name)


@given(st.text() | st.from_regex(r"netfacts-\d+-\d+", fullmatch=False))
def test_only_a_whole_stamp_can_be_dead(name: str) -> None:
    parts = name.split("-")
    whole = len(parts) >= 3 and parts[0] == "netfacts" and parts[1].isdecimal() and parts[2].isdecimal()

    assert whole or not owner_is_dead(name)


def test_sweep_removes_what_a_dead_run_left_and_nothing_else(v2: Path, dead: str) -> None:
    kept = [stamp("1-host"), "system.slice", "netfacts", "netfacts-1", "my-" + dead]
    for name in [dead, *kept]:
        (v2 / name / "container" / "deeper").mkdir(parents=True)

    assert sweep(root=v2) == [v2 / dead]
    assert sorted(path.name for path in v2.iterdir() if path.is_dir()) == sorted(kept)
    assert all((v2 / name / "container" / "deeper").is_dir() for name in kept)
    assert sweep(root=v2) == []


def test_sweep_removes_from_every_hierarchy(v1: Path, dead: str) -> None:
    for controller in ("cpu", "memory", "no-hierarchy"):
        (v1 / controller / dead / "container").mkdir(parents=True)

    assert sorted(sweep(root=v1)) == [v1 / "cpu" / dead, v1 / "memory" / dead]
    assert (v1 / "no-hierarchy" / dead).is_dir()


def test_sweep_leaves_what_the_kernel_does_not_let_go(v2: Path, dead: str) -> None:
    """A folder with a process in it can't be removed; here a file stands for the process."""
    (v2 / dead / "empty").mkdir(parents=True)
    (v2 / dead / "busy").mkdir()
    (v2 / dead / "busy" / "process").touch()

    assert sweep(root=v2) == []
    assert sorted(path.name for path in (v2 / dead).iterdir()) == ["busy"]


def test_remove_cgroups_of_a_name_that_is_not_there_is_success(v1: Path) -> None:
    assert remove_cgroups(stamp("never"), root=v1) == []


def test_machine_without_cgroups_has_nothing_to_sweep(tmp_path: Path) -> None:
    assert sweep(root=tmp_path) == []
    assert sweep(root=tmp_path / "none") == []


def test_folder_that_goes_away_meanwhile_is_no_error(v2: Path, dead: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs may sweep at the same time."""
    (v2 / dead / "container").mkdir(parents=True)
    real = os.rmdir

    def late(path: str) -> None:
        real(path)
        real(path)

    monkeypatch.setattr(os, "rmdir", late)

    assert sweep(root=v2) == [v2 / dead]


@pytest.mark.skipif(not os.access("/sys/fs/cgroup/freezer", os.W_OK), reason="needs root, and cgroups of version 1")
def test_what_is_frozen_is_let_go_on_by_name() -> None:
    folder = Path("/sys/fs/cgroup/freezer") / stamp("frozen")
    inner = folder / "box"
    inner.mkdir(parents=True)
    with subprocess.Popen(["sleep", "60"]) as process:
        try:
            (inner / "cgroup.procs").write_text(str(process.pid))
            (inner / "freezer.state").write_text("FROZEN")
            process.kill()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.2)

            remove_cgroups(folder.name)

            assert process.wait(5.0) < 0
        finally:
            (inner / "freezer.state").write_text("THAWED")
    assert folder in remove_cgroups(folder.name)
