"""A cache in a folder of its own, and a mmdebstrap that unpacks what a test wants."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

# Writes what an engine's root file system needs at the least, and a line per call.
GOOD = """\
mkdir -p "$target/usr/sbin" "$target/bin" "$target/etc"
echo "#!/bin/sh" >"$target/usr/sbin/dockerd"
echo a >"$target/bin/tool"
"""

Fake = Callable[..., Path]


@pytest.fixture
def bin_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of engines, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "netfacts" / "engines"


@pytest.fixture
def mmdebstrap(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Puts a mmdebstrap before all others; gives the file to which it writes a line for each call."""

    def make(script: str = GOOD) -> Path:
        folder = tmp_path / "fake"
        folder.mkdir(exist_ok=True)
        program = folder / "mmdebstrap"
        calls = tmp_path / "calls"
        program.write_text(
            f'#!/bin/sh\nset -e\necho "$$ $*" >>{calls}\nfor target; do :; done\nmkdir -p "$target"\n{script}'
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return calls

    return make
