"""`--engine` names an engine, or the run is refused before it has begun. Needs root, for that is asked first."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selftests.cli.conftest import Netfacts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a run asks for root first: sudo ./toxw -e selftests")


@pytest.mark.parametrize(
    ("spec", "said", "workers"),
    [
        ("bogus", "'bogus' names no engine", "0"),
        ("debian:../../etc", "'debian:../../etc' names no engine", "2"),
        ("rootfs:/nonexistent", "the engine's root file system is not there (on /nonexistent)", "2"),
    ],
)
def test_engine_that_can_not_be_meant_is_refused(
    netfacts: Netfacts, tmp_path: Path, spec: str, said: str, workers: str
) -> None:
    done = netfacts("run", "--engine", spec, "-n", workers, "--out", str(tmp_path / "run"))

    assert done.returncode == 4
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "run").exists()


def test_rootfs_without_an_engine_is_refused_with_what_it_lacks(netfacts: Netfacts, tmp_path: Path) -> None:
    done = netfacts("run", "--engine", f"rootfs:{tmp_path}", "--out", str(tmp_path / "run"))

    assert done.returncode == 4
    assert "the root file system holds no complete engine" in done.stdout + done.stderr
    assert "dockerd, containerd, runc" in done.stdout + done.stderr


def test_system_without_an_engine_on_path_is_refused_with_another_way(netfacts: Netfacts, tmp_path: Path) -> None:
    done = netfacts("run", "--engine", "system", "--out", str(tmp_path / "run"), PATH=str(tmp_path))

    assert done.returncode == 4
    assert "not found: dockerd, containerd, runc" in done.stdout + done.stderr
    assert "--engine debian:bookworm" in done.stdout + done.stderr
