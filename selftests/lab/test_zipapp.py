"""The agent as one file: it needs nothing but Python, is the same each time, and says so where Python is too old."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from netfacts.agent import protocol
from netfacts.lab.zipapp import zipapp


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "agent.pyz"
    path.write_bytes(zipapp())
    return path


def test_it_is_the_same_each_time() -> None:
    first = zipapp()
    zipapp.cache_clear()

    assert zipapp() == first
    # Not only within the same two seconds, which is all that a zip file tells apart.
    assert {entry.date_time[0] for entry in zipfile.ZipFile(io.BytesIO(first)).infolist()} == {1980}


def test_it_holds_the_agent_and_dnspython_as_sources_and_nothing_else() -> None:
    names = zipfile.ZipFile(io.BytesIO(zipapp())).namelist()

    assert {name.partition("/")[0] for name in names} == {"__main__.py", "netfacts", "dns"}
    assert all(name.endswith(".py") for name in names)
    assert {name for name in names if name.startswith("netfacts/") and "/agent/" not in name} == {
        "netfacts/__init__.py"
    }


def test_it_serves_without_anything_that_is_installed(program: Path, tmp_path: Path) -> None:
    argv = [sys.executable, "-I", "-S", str(program), "trial", "60"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        hello = protocol.decode(process.stdout.readline())
        # Of all operations the one that imports most, and only when it is asked for.
        args = {"kind": "dns-udp", "address": "127.0.0.1", "port": 0, "names": {"a.lab": "198.51.100.1"}}
        process.stdin.write(protocol.encode({"id": 1, "op": "listen", "args": args}))
        process.stdin.flush()
        answer = protocol.decode(process.stdout.readline())
        process.stdin.close()
        assert process.wait(30) == 0

    assert hello["pid"] > 0
    assert "ok" in answer, answer


def test_it_ends_when_nothing_is_said_for_as_long_as_it_has_patience(program: Path) -> None:
    argv = [sys.executable, "-I", "-S", str(program), "trial", "0.5"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        # Its input stays open: no end of file is what ends it.
        assert process.wait(30) == 0


def test_signs_of_life_keep_it_going(program: Path) -> None:
    argv = [sys.executable, "-I", "-S", str(program), "trial", "2"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(argv, **pipes) as process:
        assert process.stderr is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        for _ in range(8):
            process.stdin.write(protocol.ALIVE + b"\n")
            process.stdin.flush()
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
        process.stdin.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


def test_python_that_is_too_old_is_told_so() -> None:
    text = zipfile.ZipFile(io.BytesIO(zipapp())).read("__main__.py").decode()
    pretended = re.sub(r"^import sys$", "import sys; sys.version_info = (3, 9, 2)", text, flags=re.MULTILINE)

    done = subprocess.run([sys.executable, "-c", pretended], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert done.stderr == "python3 is 3.9 here, and the agent of netfacts needs 3.11 or later\n"
