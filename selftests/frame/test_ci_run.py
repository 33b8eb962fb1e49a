"""What .ci/run asks of toxw."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from selftests.frame.conftest import ROOT


def prepare(folder: Path, toxw: str) -> None:
    """Put it there, with a toxw of these lines, and vagrant."""
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", folder / ".ci/run")
    (folder / "toxw").write_text(f"#!/bin/sh\n{toxw}\n")
    (folder / "toxw").chmod(0o755)
    (folder / "vagrant").symlink_to("/bin/true")


def start(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it where nothing is installed but `folder`'s own programs, and what it takes for granted."""
    for name in ("cat", "dirname"):
        (folder / name).symlink_to(shutil.which(name) or pytest.fail(f"this test needs {name}"))
    return subprocess.run(
        [folder / ".ci/run"],
        cwd="/",
        env={"PATH": str(folder)},
        input="not for tox",
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def test_ci_fails_where_a_run_leaves_something_behind(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may write to /run")
    # Of a process that is no more, and not called so that a sweep would take it away.
    note = Path("/run/netfacts-99999999.left")
    prepare(folder, f'[ "$2" != types ] || : >{note}')
    try:
        done = start(folder)
    finally:
        note.unlink(missing_ok=True)

    assert done.returncode == 1
    assert f"failed: -e types, which has left behind: {note}\n" in done.stderr


@pytest.mark.parametrize(("failing", "code"), [("none", 0), ("lint", 1), ("selftests", 1)])
def test_ci_runs_everything_and_fails_where_anything_fails(folder: Path, failing: str, code: int) -> None:
    prepare(folder, f'echo "$@"\ncat\n[ "$2" != {failing} ]')

    done = start(folder)

    assert done.stdout.splitlines() == [
        "-e lint",
        "-e types",
        "-e selftests",
        "-e vm -- selftests/vm -m not nightly",
        "-e upgrade -- --from debian:bookworm --to debian:forky",
        "-- --engine debian:trixie --shuffle 5",
        "-e sabotage -- --engine debian:forky --shard 1/3",
    ]
    assert done.returncode == code
    assert (f"failed: -e {failing}" in done.stderr) is (code == 1)


@pytest.mark.parametrize("to_be_had", [True, False])
def test_ci_installs_vagrant_where_it_is_to_be_had_and_goes_on_without(folder: Path, to_be_had: bool) -> None:
    (folder / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", folder / ".ci/run")
    for name, script in {
        "toxw": "",
        "apt-get": f'echo "apt-get $*"\n[ "$2" = update ] || {str(to_be_had).lower()}',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    done = start(folder)

    assert done.returncode == 0
    assert done.stdout == ""
    calls = [line for line in done.stderr.splitlines() if line.startswith("apt-get")]
    assert calls == ["apt-get -qq update", "apt-get -qq install -y --no-install-recommends vagrant"]
    assert ("vagrant is not to be had here" in done.stderr) is not to_be_had


@pytest.mark.parametrize(("commit", "third"), [("000000aa", 1), ("000001aa", 2), ("fffffe00", 3)])
def test_each_commit_tries_a_third_of_the_sabotages(folder: Path, commit: str, third: int) -> None:
    prepare(folder, 'echo "$@"')
    git = folder / "git"
    git.write_text(f"#!/bin/sh\necho {commit}\n")
    git.chmod(0o755)

    done = start(folder)

    assert done.stdout.splitlines()[-1] == f"-e sabotage -- --engine debian:forky --shard {third}/3"
