"""`netfacts matrix` as a user runs it: exit codes, the files it writes, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import msgspec
import pytest

from netfacts.lab.wait import until
from netfacts.model.matrix import Matrix, Way
from netfacts.model.verdict import Outcome
from reports.matrix import JSON, NAME
from selftests.whole.conftest import PATIENCE_S, ROOT, Start


@pytest.fixture(autouse=True)
def _root() -> None:
    if os.geteuid() != 0:
        pytest.skip("building a lab needs root: sudo ./toxw -e selftests")


def matrix_in(folder: Path) -> Matrix:
    return msgspec.json.decode((folder / JSON).read_bytes(), type=Matrix)


def test_matrix_that_is_as_expected_exits_with_0(start: Start) -> None:
    run = start(ROOT, "--network", "bridge", "--network", "user", command="matrix")

    assert run.wait() == 0, run.said()
    matrix = matrix_in(run.out)
    assert (matrix.lab, len(matrix.stations), len(matrix.cells), matrix.wrong) == ("hosts-2", 7, 7 * 7 * 6, ())
    assert f"All 294 cells are as expected on Docker Engine {matrix.engine.version}" in run.said()
    assert re.search(r"probing \d.*\(294 cells, \d+ cells a second\)", " ".join(run.said().split()))
    assert str(run.out / NAME) in run.said().replace("\n", "")
    assert "All 294 cells are as expected" in (run.out / NAME).read_text()
    run.until_nothing_is_left()


def test_matrix_of_a_lab_in_which_a_rule_was_added_exits_with_1_and_marks_the_cells(start: Start) -> None:
    drop = "host2 iptables -I DOCKER-USER -o eth0 -p icmp -j DROP"
    run = start(ROOT, "--containers", "2", "--change", drop, command="matrix")

    assert run.wait() == 1, run.said()
    matrix = matrix_in(run.out)
    assert matrix.changes == (drop,)
    # The second container is on host2: from there no ping gets out, and all else does.
    by_address = {(cell.source, cell.destination) for cell in matrix.wrong if cell.way is Way.ADDRESS}
    assert by_address == {("box2", "host"), ("box2", "client")}
    assert {cell.protocol.value for cell in matrix.wrong} == {"icmp"}
    assert {cell.observed.value for cell in matrix.wrong} == {"timed_out"}
    assert f"{len(matrix.wrong)} of 150 cells are not as expected" in run.said()
    assert re.search(r"box2 +client +icmp by address +connected +✗ timed_out", run.said())
    assert (run.out / NAME).read_text().count("✗") >= 3
    run.until_nothing_is_left()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("iptables -I NOWHERE -j DROP", "iptables -I NOWHERE -j DROP\n  exit status "),
        ("iptabels -F", "No such file or directory: 'iptabels'"),
        ("docker stop box9", "No such container: box9"),
        ("docker stop box1", "--change has ended box1"),
    ],
)
def test_change_that_fails_is_wrong_usage_and_no_wrong_cell(start: Start, command: str, said: str) -> None:
    run = start(ROOT, "--hosts", "1", "--containers", "1", "--change", f"host {command}", command="matrix")

    assert run.wait() == 4, run.said()
    assert said in run.said()
    assert "→ " in run.said()
    assert not run.out.exists()
    run.until_nothing_is_left()


def test_changes_are_made_by_the_engine_s_own_programs(start: Start) -> None:
    commands = (
        "/usr/sbin/iptables -I DOCKER-USER -j ACCEPT",
        "nft add table ip mine",
        "docker network disconnect user box1",
    )
    changes = [word for command in commands for word in ("--change", f"host {command}")]
    run = start(ROOT, "--hosts", "1", "--containers", "2", "--network", "user", *changes, command="matrix")

    assert run.wait() == 1, run.said()
    by_name = {
        (cell.source, cell.destination, cell.observed) for cell in matrix_in(run.out).wrong if cell.way is Way.NAME
    }
    assert ("box2", "box1", Outcome.NAME_NOT_FOUND) in by_name
    run.until_nothing_is_left()


def test_out_that_is_a_file_is_refused_before_anything_is_built(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = start(ROOT, "--engine", "rootfs:/nonexistent", "--out", str(tmp_path / "file"), command="matrix")

    assert run.wait() == 4, run.said()
    assert "this is no folder" in run.said()


def test_matrix_that_is_interrupted_leaves_nothing(start: Start) -> None:
    run = start(ROOT, "--hosts", "3", "--containers", "40", command="matrix")
    until(lambda: run.named("dockerd"), what=f"an engine: {run.said()}", timeout_s=PATIENCE_S)

    run.process.send_signal(signal.SIGINT)

    assert run.wait() == 2, run.said()
    assert not run.out.exists()
    run.until_nothing_is_left()
