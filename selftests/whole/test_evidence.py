"""What a check that does not conform leaves behind, and labs that are kept to be looked into."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from netfacts.lab.wait import until
from netfacts.model.record import VerdictLine
from netfacts.model.verdict import Verdict
from reports.page import render
from reports.record import read
from selftests.whole.conftest import PATIENCE_S, Run, Start, held, users
from selftests.whole.test_kills import swept

_AT_ONCE = ("-k", "stage.first or stage.last")
_LAST_DEVIATES = {"STAGE_DEVIATES": "stage.last"}
_STATE = [
    "packets",
    "iptables-save -c on host",
    "ip6tables-save -c on host",
    "links on host",
    "routes on host",
    "DNS configuration on host",
    "connections that the kernel tracks on host",
    "end of the engine's log on host",
]


def verdicts(run: Run) -> dict[str, VerdictLine]:
    """The lines of the record by fact."""
    return {line.fact: line for line in read(run.out).verdicts}


def frames(path: Path) -> Iterator[tuple[int, bytes]]:
    """The packets of a capture with their lengths on the wire, read as its format is documented."""
    data = path.read_bytes()
    magic, major, minor, _, _, _, link = struct.unpack("<IHHiIII", data[:24])
    assert (magic, major, minor, link) == (0xA1B2C3D4, 2, 4, 1)
    place = 24
    while place < len(data):
        _, _, kept, length = struct.unpack("<IIII", data[place : place + 16])
        yield length, data[place + 16 : place + 16 + kept]
        place += 16 + kept
    assert place == len(data)


@pytest.mark.parametrize("workers", ["0", "2"])
def test_deviating_check_leaves_packets_and_state(staged: Path, start: Start, workers: str) -> None:
    run = start(staged, "-n", workers, *_AT_ONCE, environment=_LAST_DEVIATES)

    assert run.wait() == 1, run.said()
    first, last = verdicts(run)["stage.first"], verdicts(run)["stage.last"]
    assert (first.verdict, first.state, first.captures) == (Verdict.CONFORMS, [], [])
    assert (last.verdict, last.captures) == (Verdict.DEVIATES, ["captures/stage.last.pcap"])
    assert [path.name for path in (run.out / "captures").iterdir()] == ["stage.last.pcap"]
    echoes = [frame for _, frame in frames(run.out / last.captures[0]) if frame[12:14] == b"\x08\0" and frame[23] == 1]
    # The request and its answer, each where it passes the bridge and where it passes the container's veth.
    assert len(echoes) == 4
    state = {piece.title: piece.text for piece in last.state}
    assert list(state) == _STATE
    assert "can't be had" not in "".join(state.values())
    assert state["packets"].count("echo request") == state["packets"].count("echo reply") == 2
    assert "host docker0 " in state["packets"]
    assert "MASQUERADE" in state["iptables-save -c on host"]
    assert "docker0          UP             172.17.0.1/16" in state["links on host"]
    assert "172.17.0.0/16 dev docker0" in state["routes on host"]
    assert "# /etc/resolv.conf of box-" in state["DNS configuration on host"]
    assert "icmp" in state["connections that the kernel tracks on host"]
    assert "API listen on /run/docker.sock" in state["end of the engine's log on host"]


def test_page_shows_them_and_can_be_made_again(staged: Path, start: Start) -> None:
    run = start(staged, "-n", "0", *_AT_ONCE, environment=_LAST_DEVIATES)

    assert run.wait() == 1, run.said()
    page = (run.out / "index.html").read_text()
    assert page.count('<a href="captures/stage.last.pcap">') == 1
    assert page.count('<details class="state">') == 1
    assert "echo request" in page
    assert render(read(run.out)) == page


def test_dead_machine_leaves_a_record_all_the_same(staged: Path, start: Start) -> None:
    run = start(staged, "-n", "0")
    run.until_waiting()
    (agent,) = run.named("nf-host: ")

    os.kill(agent, signal.SIGKILL)
    run.go()

    assert run.wait() == 3, run.said()
    line = verdicts(run)["stage.waits"]
    assert line.verdict is Verdict.INCONCLUSIVE
    state = {piece.title: piece.text for piece in line.state}
    assert state["state on host"] == "can't be had: the machine is lost"
    assert "host: its packets can't be had: " in state["packets"]
    # What the other machine has heard, if there was anything to hear.
    heard = "resolver eth0" in state["packets"]
    assert heard or "no packet" in state["packets"]
    assert line.captures == (["captures/stage.waits.pcap"] if heard else [])
    assert verdicts(run)["stage.last"].verdict is Verdict.CONFORMS
    run.until_nothing_is_left()


# -- labs that are kept


def lab(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`netfacts lab`, as from another terminal."""
    argv = [sys.executable, "-m", "netfacts", "lab", *arguments]
    return subprocess.run(
        argv, cwd=checkout, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60
    )


def until_kept(run: Run) -> None:
    """Wait until the run has said that its lab is kept."""
    until(lambda: "is kept as the check left it" in run.said(), what="the lab to be kept", timeout_s=PATIENCE_S)
    run.look()


def notes(run: Run) -> list[Path]:
    """What the run has written for `netfacts lab` to find it."""
    return list(Path("/run").glob(f"netfacts-{run.process.pid}-*"))


def test_kept_lab_can_be_entered_until_ctrl_c(staged: Path, start: Start) -> None:
    run = start(staged, "--keep-lab", *_AT_ONCE, environment=_LAST_DEVIATES, stdin=subprocess.PIPE)
    until_kept(run)
    this = ("--run", str(run.out))
    namespaces = run.namespaces()

    links = lab(staged, "shell", *this, "host", "--", "ip", "-br", "link")
    assert (links.returncode, links.stderr) == (0, "")
    assert "docker0" in links.stdout
    # The engine's own client sees the check's container, which nobody has removed.
    names = lab(staged, "shell", *this, "--engine", "host", "--", "docker", "ps", "--format={{.Names}}")
    assert names.stdout.startswith("box-"), names.stderr
    inside = lab(staged, "shell", *this, "--container", "box", "host", "--", "ip", "-br", "address")
    assert "172.17.0.2/16" in inside.stdout
    assert lab(staged, "shell", *this, "resolver", "--", "sh", "-c", "hostname; exit 7").returncode == 7
    listed = lab(staged, "list").stdout
    assert str(run.out) in listed
    assert f"  host: {names.stdout.strip()}" in listed
    wrong = lab(staged, "shell", *this, "hots", "--", "true")
    assert wrong.returncode == 4
    assert "no machine 'hots'" in wrong.stderr
    assert "  host\n  resolver\n" in wrong.stderr
    # The page is there while somebody looks into the lab.
    assert "captures/stage.last.pcap" in (run.out / "index.html").read_text()
    assert [path.stat().st_mode & 0o777 for path in notes(run)] == [0o600]

    before = users(namespaces)
    run.process.send_signal(signal.SIGINT)

    assert run.wait() == 1, run.said()
    run.until_nothing_is_left()
    assert held(namespaces, before) == set()
    assert notes(run) == []
    swept(run)
    gone = lab(staged, "shell", *this, "host", "--", "true")
    assert gone.returncode == 4
    assert "no lab" in gone.stderr


def test_kept_lab_ends_with_a_line_on_standard_input(staged: Path, start: Start) -> None:
    """The checks that would have come have no turn, and the run says so."""
    run = start(staged, "--keep-lab", *_AT_ONCE, environment={"STAGE_DEVIATES": "stage.first"}, stdin=subprocess.PIPE)
    until_kept(run)
    assert run.process.stdin is not None
    run.process.stdin.write("\n")
    run.process.stdin.flush()

    assert run.wait() == 1, run.said()
    record = read(run.out)
    assert [(line.fact, line.verdict) for line in record.verdicts] == [("stage.first", Verdict.DEVIATES)]
    assert record.end is not None
    assert record.interrupted
    assert "the run ended before it" in run.said()
    assert notes(run) == []
    run.until_nothing_is_left()
    run.process.stdin.close()


def test_kept_lab_waits_for_nobody_where_standard_input_has_ended(staged: Path, start: Start) -> None:
    run = start(staged, "--keep-lab", *_AT_ONCE, environment=_LAST_DEVIATES)

    assert run.wait() == 1, run.said()
    assert notes(run) == []
    run.until_nothing_is_left()


def test_run_that_conforms_keeps_no_lab(staged: Path, start: Start) -> None:
    run = start(staged, "--keep-lab", *_AT_ONCE, stdin=subprocess.PIPE)

    assert run.wait() == 0, run.said()
    assert "is kept" not in run.said()
    assert not (run.out / "captures").exists()
    run.until_nothing_is_left()


def test_note_of_a_killed_run_is_removed_by_whoever_looks(staged: Path, start: Start) -> None:
    run = start(staged, "--keep-lab", *_AT_ONCE, environment=_LAST_DEVIATES, stdin=subprocess.PIPE)
    until_kept(run)
    assert notes(run)

    run.process.kill()
    run.wait()

    assert str(run.out) not in lab(staged, "list").stdout
    assert notes(run) == []
    run.until_nothing_is_left()
    swept(run)


def test_kept_lab_can_t_be_another_process_s(staged: Path, start: Start) -> None:
    run = start(staged, "--keep-lab", "-n", "2")

    assert run.wait() == 4
    assert "--keep-lab keeps one lab, and -n asks for several processes" in run.said()
    assert not run.out.exists()
