"""`netfacts lab` where nothing is kept, and without rights. selftests/whole enters labs that are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selftests.cli.conftest import Netfacts


@pytest.mark.parametrize(
    "arguments", [["list"], ["down"], ["shell"], ["shell", "host", "--", "ip", "addr"]], ids=" ".join
)
def test_lab_is_for_root_alone(unprivileged: Netfacts, arguments: list[str]) -> None:
    done = unprivileged("lab", *arguments)

    assert (done.returncode, done.stdout) == (4, "")
    assert "a kept lab can be found and entered by root alone" in done.stderr
    assert "→ sudo netfacts lab" in done.stderr


def test_lab_that_is_not_kept_is_refused_with_how_to_get_one(netfacts: Netfacts, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("finding kept labs needs root")

    done = netfacts("lab", "shell", "--run", str(tmp_path), "host", "--", "true")

    assert (done.returncode, done.stdout) == (4, "")
    # Somebody else may keep one at the moment.
    assert "no lab is kept\n  → `netfacts lab up`" in done.stderr or "this run keeps no lab" in done.stderr


def test_building_a_lab_needs_root(unprivileged: Netfacts) -> None:
    done = unprivileged("lab", "up")

    assert (done.returncode, done.stdout) == (4, "")
    assert "building a lab needs root" in done.stderr


@pytest.mark.parametrize("count", ["0", "17", "-1"])
def test_number_of_hosts_that_no_lab_has_is_refused(netfacts: Netfacts, count: str) -> None:
    done = netfacts("lab", "up", "--hosts", count)

    assert (done.returncode, done.stdout) == (4, "")
    assert f"a lab has 1 to 16 hosts, and not {count}\n  → --hosts 1 to 16" in done.stderr


def test_ending_a_lab_of_a_process_that_keeps_none_is_refused(netfacts: Netfacts) -> None:
    if os.geteuid() != 0:
        pytest.skip("finding kept labs needs root")

    done = netfacts("lab", "down", str(os.getpid()))

    assert (done.returncode, done.stdout) == (4, "")
    assert f"process {os.getpid()} keeps no lab that is up" in done.stderr


def test_lab_alone_shows_its_commands(netfacts: Netfacts) -> None:
    done = netfacts("lab")

    assert done.returncode == 4
    for command in ("up", "down", "list", "shell"):
        assert command in done.stdout + done.stderr
