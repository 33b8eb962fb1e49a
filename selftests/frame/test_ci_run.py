"""What .ci/run asks of toxw."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from selftests.frame.conftest import ROOT


@pytest.mark.parametrize(("failing", "code"), [("none", 0), ("lint", 1), ("selftests", 1)])
def test_ci_runs_everything_and_fails_where_anything_fails(folder: Path, failing: str, code: int) -> None:
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", folder / ".ci/run")
    toxw = folder / "toxw"
    toxw.write_text(f'#!/bin/sh\necho "$@"\ncat\n[ "$2" != {failing} ]\n')
    toxw.chmod(0o755)

    done = subprocess.run(
        [folder / ".ci/run"], cwd="/", input="not for tox", capture_output=True, text=True, check=False, timeout=30
    )

    assert done.stdout.splitlines() == [
        "-e lint",
        "-e types",
        "-e selftests",
        "-e upgrade -- --from debian:bookworm --to debian:forky",
        "-- --engine debian:trixie",
        "-e sabotage -- --engine debian:forky",
    ]
    assert done.returncode == code
    assert (f"failed: -e {failing}" in done.stderr) is (code == 1)
