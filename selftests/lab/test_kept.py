"""Notes of kept labs: found while their run lives, removed when it is dead, and no other file ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from netfacts.lab.kept import KeptLab, KeptMachine, announced, kept, sweep
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
