"""The command as a user starts it: a process, its exit code and its texts."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

Netfacts = Callable[..., subprocess.CompletedProcess[str]]


def start(*arguments: str, prefix: Sequence[str] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*prefix, sys.executable, "-m", "netfacts", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


@pytest.fixture(scope="session")
def netfacts() -> Netfacts:
    """Starts `python -m netfacts` in the checkout, and gives how it ended."""
    return start


@pytest.fixture(scope="session")
def unprivileged() -> Netfacts:
    """Starts it as nobody. Needs: an interpreter and a checkout that others than root can read."""
    if os.geteuid() != 0:
        return start
    if not shutil.which("setpriv"):
        pytest.skip("becoming another user needs setpriv (apt-get install util-linux)")
    prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--")
    trial = subprocess.run([*prefix, sys.executable, "-c", "import pytest, typer"], capture_output=True, check=False)
    if trial.returncode != 0:
        pytest.skip(f"{sys.executable} can be read by root alone")

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return start(*arguments, prefix=prefix, HOME="/nonexistent", **environment)

    return run
