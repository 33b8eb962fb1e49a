"""Notes of kept labs: found while their run lives, removed when it is dead, and no other file ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from netfacts.lab.kept import KeptLab, KeptMachine, announced, end, kept, sweep
from netfacts.lab.stamp import stamp

_ROOT = Path(__file__).resolve().parents[2]
LAB = KeptLab(
    run="/runs/1",
    fact="dns.scope",
    case="family=4",
    verdict="deviates",
    since="2026-03-01T02:15:00.000+00:00",
    machines=[KeptMachine(name="host", pid=7, engine=3, containers={"box-1a2b": 9}), KeptMachine(name="client", pid=8)],
)


@pytest.fixture
def dead(tmp_path: Path) -> Path:
    """The note of a process that has ended."""
    code = "from netfacts.lab.stamp import stamp; print(stamp('kept'))"
    said = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, check=True, capture_output=True, text=True).stdout
    path = tmp_path / f"{said.strip()}.json"
    path.write_text("{}")
    return path


def test_lab_is_found_as_long_as_it_is_kept(tmp_path: Path) -> None:
    with announced(LAB, folder=tmp_path):
        assert kept(folder=tmp_path) == [LAB]
        (path,) = tmp_path.iterdir()
        assert path.stat().st_mode & 0o777 == 0o600

    assert kept(folder=tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_note_goes_where_the_run_fails_meanwhile(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), announced(LAB, folder=tmp_path):
        raise RuntimeError

    assert list(tmp_path.iterdir()) == []


def test_notes_of_the_dead_are_removed_and_nothing_else(tmp_path: Path, dead: Path) -> None:
    half = dead.with_suffix(".part")
    half.touch()
    others = [tmp_path / name for name in ("netfacts-kept.json", f"{stamp('kept')}.json", "netfacts-x-1-kept.json")]
    for other in others:
        other.write_text("no lab")

    assert kept(folder=tmp_path) == []

    assert sorted(tmp_path.iterdir()) == sorted(others)
    assert sweep(folder=tmp_path) == []


def test_machine_is_found_by_its_name_or_is_the_first() -> None:
    host, client = LAB.machines

    assert [LAB.machine(name) for name in ("", "host", "client", "box")] == [host, host, client, None]
    assert host.namespace("net", 9) == "/proc/7/root/proc/9/ns/net"


_KEEPER = """
import pathlib, signal, sys
from selftests.lab.test_kept import LAB
from netfacts.lab.kept import announced
import msgspec, os
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
with announced(msgspec.structs.replace(LAB, pid=os.getpid()), folder=pathlib.Path(sys.argv[1])):
    print("kept", flush=True)
    signal.pause()
"""


def test_lab_is_ended_by_whoever_keeps_it(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", _KEEPER, str(tmp_path)]
    with subprocess.Popen(argv, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout is not None
        keeper.stdout.readline()
        (lab,) = kept(folder=tmp_path)

        end(lab, folder=tmp_path)

        assert keeper.wait(10) == 7
        assert kept(folder=tmp_path) == []
        # Nobody is told twice, and a number that has become another process's is left alone.
        end(lab, folder=tmp_path)
        end(msgspec.structs.replace(lab, pid=os.getpid()), folder=tmp_path)
