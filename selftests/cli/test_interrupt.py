"""Ctrl-C at a moment when Python swallows what its handler raises: in a callback, amid an import."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = """
import os, signal, sys
module = sys.argv.pop(1)

class Callback:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

class Finder:
    def find_spec(self, name, *_):
        if name == module:
            sys.meta_path.remove(finder)
            Callback()

finder = Finder()
sys.meta_path.insert(0, finder)
from netfacts.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("module", ["typer", "netfacts.cli.facts", "rich.table"])
def test_ctrl_c_amid_an_import_ends_the_command(module: str) -> None:
    argv = [sys.executable, "-c", _PROGRAM, module, "facts", "list"]
    done = subprocess.run(argv, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


def test_command_that_was_started_without_ctrl_c_stays_so() -> None:
    argv = [sys.executable, "-c", f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN){_PROGRAM}"]
    argv += ["netfacts.cli.facts", "facts", "list"]
    done = subprocess.run(argv, cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 0
    assert done.stdout
