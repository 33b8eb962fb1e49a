"""`netfacts lab up`: a lab that one enters from another terminal, until it is ended; nothing of it is left then."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netfacts.lab.wait import until
from selftests.whole.conftest import ENGINE, PATIENCE_S, ROOT, Run, held, users


def netfacts(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netfacts", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Run]:
    """`netfacts lab up` with three hosts, one of them behind a router. Undo: ended where it still runs."""
    if os.geteuid() != 0:
        pytest.skip("building a lab needs root: sudo ./toxw -e selftests")
    options = ["--engine", ENGINE, "--hosts", "3", "--routed"]
    with (tmp_path / "said").open("w") as said:
        process = subprocess.Popen(
            # As a terminal has it: who runs this may have been started with nohup.
            ["env", "--default-signal=HUP", sys.executable, "-m", "netfacts", "lab", "up", *options],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
    run = Run(process, tmp_path / "out", tmp_path)
    try:
        until(lambda: "Ctrl-C ends it" in run.said(), what=f"the lab: {run.said()}", timeout_s=PATIENCE_S)
        run.look()
        yield run
    finally:
        if process.poll() is None:
            # In order: what a kill leaves is there until another run begins.
            process.terminate()
        process.wait(PATIENCE_S)


def test_what_a_lab_recommends_works(up: Run) -> None:
    lines = [line.split() for line in up.said().splitlines() if line.startswith("  netfacts lab shell")]

    done = [netfacts(*line[1:3], "--run", str(up.process.pid), *line[3:]) for line in lines]

    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * 3
    assert "*filter" in done[0].stdout
    assert "eth0" in done[1].stdout


def test_lab_is_entered_until_it_is_ended_from_another_terminal(up: Run) -> None:
    said, this = up.said(), ("--run", str(up.process.pid))
    namespaces = up.namespaces()

    assert re.search(r"^routed-hosts-3, 3 engines \d+\.\d+\S*: up in \d+\.\d s$", said, re.MULTILINE), said
    rows = re.findall(r"^(\w+) +(\w+) +.* (\d+) MiB$", said, re.MULTILINE)
    assert [(name, role) for name, role, _ in rows] == [
        ("host", "host"),
        ("host2", "host"),
        ("host3", "host"),
        ("router", "router"),
        ("client", "client"),
        ("resolver", "resolver"),
    ]
    assert all(0 < int(used) < 500 for *_, used in rows)
    assert f"routed-hosts-3, engine {said.split()[3].rstrip(':')}, up since" in netfacts("lab", "list").stdout
    # What is started there now can be entered as well.
    docker = ("docker", "run", "-d", "--name", "box", "netfacts/probe:1", "sleep", "100")
    assert netfacts("lab", "shell", *this, "--engine", "host3", "--", *docker).returncode == 0
    inside = netfacts("lab", "shell", *this, "--container", "box", "host3", "--", "ip", "-br", "address")
    assert "172.17.0.2/16" in inside.stdout, inside.stderr
    assert "no container 'bix'" in netfacts("lab", "shell", *this, "--container", "bix", "host3", "--", "true").stderr

    up.look()
    before = users(namespaces)
    done = netfacts("lab", "down", str(up.process.pid))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"routed-hosts-3 of process {up.process.pid} has ended\n"
    assert up.wait() == 0
    up.until_nothing_is_left()
    assert held(namespaces, before) == set()
    assert netfacts("lab", "shell", *this, "host", "--", "true").returncode == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["ctrl-c", "hangup"])
def test_lab_ends_with_a_signal(up: Run, number: signal.Signals) -> None:
    up.process.send_signal(number)

    assert up.wait() == 0, up.said()
    up.until_nothing_is_left()
    assert list(Path("/run").glob(f"netfacts-{up.process.pid}-*")) == []


def test_lab_ends_with_a_container_that_is_paused(up: Run) -> None:
    for command in (("run", "-d", "--name", "box", "netfacts/probe:1", "sleep", "100"), ("pause", "box")):
        done = netfacts("lab", "shell", "--run", str(up.process.pid), "--engine", "host", "--", "docker", *command)
        assert done.returncode == 0, done.stderr
    up.look()

    assert netfacts("lab", "down", str(up.process.pid)).returncode == 0

    up.until_nothing_is_left()
    assert up.cgroups() == []
