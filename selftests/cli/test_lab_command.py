"""`netfacts lab` where nothing is kept, and without rights. selftests/whole enters labs that are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from selftests.cli.conftest import Netfacts


@pytest.mark.parametrize("arguments", [["list"], ["shell"], ["shell", "host", "--", "ip", "addr"]], ids=" ".join)
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
    assert "no lab is kept\n  → `netfacts run --keep-lab" in done.stderr or "this run keeps no lab" in done.stderr


def test_lab_alone_shows_its_commands(netfacts: Netfacts) -> None:
    done = netfacts("lab")

    assert done.returncode == 4
    assert "list" in done.stdout + done.stderr
    assert "shell" in done.stdout + done.stderr
