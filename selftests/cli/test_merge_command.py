"""`netfacts merge`: what it writes, how it ends, and what it refuses. Needs neither root nor a lab."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from reports.merge import lines
from reports.page import render
from reports.record import read
from selftests.cli.conftest import Netfacts
from selftests.reports.conftest import full_record
from selftests.reports.test_report_shards import shards


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    """The run folders of three shards, with JUnit's and Allure's files."""
    found = []
    for name, record in shards(full_record()).items():
        folder = tmp_path / name
        (folder / "allure-results").mkdir(parents=True)
        (folder / "allure-results" / f"{name}-result.json").write_text("{}")
        (folder / "captures").mkdir()
        (folder / "captures" / f"{name}.pcap").touch()
        (folder / "record.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines(record)))
        (folder / "junit.xml").write_text(f'<testsuites><testsuite><testcase name="{name}"/></testsuite></testsuites>')
        found.append(str(folder))
    return found


def test_shards_become_a_run_folder(netfacts: Netfacts, folders: list[str], tmp_path: Path) -> None:
    out = tmp_path / "merged"

    done = netfacts("merge", *folders, "--out", str(out))

    assert (done.returncode, done.stderr) == (1, "")
    assert "1 fact deviates on Docker Engine 20.10.24" in done.stdout
    files = ["index.html", "junit.xml", "record.jsonl"]
    assert sorted(path.name for path in out.iterdir()) == ["allure-results", "captures", *files]
    assert [len(list((out / name).iterdir())) for name in ("allure-results", "captures")] == [3, 3]
    assert [part in (out / "junit.xml").read_text() for part in ("shard 1/3", "shard3")] == [True, True]
    assert (out / "index.html").read_text("utf-8") == render(read(out))
    assert read(out).run.run_id == "merged"
    assert netfacts("report", str(out)).returncode == 0


def test_missing_shard_is_a_warning(netfacts: Netfacts, folders: list[str], tmp_path: Path) -> None:
    done = netfacts("merge", *folders[:2], "--out", str(tmp_path / "merged"))

    assert (done.returncode, done.stderr) == (2, "netfacts: 1 shard is missing: 3/3\n")
    assert "Interrupted: 1 fact deviates" in done.stdout
    assert "shard 1,2/3" in done.stdout


def test_merged_run_is_not_written_over(netfacts: Netfacts, folders: list[str]) -> None:
    done = netfacts("merge", *folders, "--out", folders[0])

    assert done.returncode == 4
    assert "could not write a merged run over what is there" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([0, 0], "this run is named twice"),
        (["/nonexistent"], "could not read a record"),
    ],
    ids=["twice", "missing"],
)
def test_what_can_not_be_merged_is_refused(
    netfacts: Netfacts, folders: list[str], tmp_path: Path, arguments: list[int | str], said: str
) -> None:
    places = [folders[one] if isinstance(one, int) else one for one in arguments]

    done = netfacts("merge", *places, "--out", str(tmp_path / "merged"))

    assert done.returncode == 4
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "merged").exists()
