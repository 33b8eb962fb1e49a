"""`netfacts compare`: what it prints and writes, how it ends, and what it refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

from netfacts.model.verdict import Verdict
from reports.record import Record
from selftests.cli.conftest import ROOT, Netfacts
from selftests.reports import upgrades
from selftests.reports.conftest import fact_line, sabotage_record, verdict_line
from selftests.reports.upgrades import NEW, OLD, C, D, N, U, put, record


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with the runs `before` and `after` of a small upgrade."""
    put(upgrades.before(), tmp_path / "before")
    put(upgrades.after(), tmp_path / "after")
    return tmp_path


def test_summary_has_the_sentence_on_top_and_the_page_at_the_end(netfacts: Netfacts, runs: Path) -> None:
    done = netfacts("compare", str(runs / "before"), str(runs / "after" / "record.jsonl"), "--out", str(runs / "out"))
    lines = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]

    assert (done.returncode, done.stderr) == (6, "")
    assert lines[0] == "1 fact regresses from 20.10.24 to 28.5.2"
    assert lines[1] == "✗ dns.scope  regressed"
    assert lines[3] == "  1 of 2 cases (family=6): resolve b (from a): expected connected, saw resolver_failed"
    assert lines[4].startswith(f"  evidence: /etc/resolv.conf of a, {runs / 'after' / 'index.html'}#fact-dns.scope")
    assert lines[-1] == f"page    {runs / 'out' / 'index.html'}"
    order = [
        "✗ dns.scope",
        "✗ bridge.icc",
        "≠ 3 documented changes",
        "release-notes/28",
        "? 1 lost",
        "✓ 1 fixed",
        "+ 1 new",
    ]
    assert [done.stdout.index(one) for one in order] == sorted(done.stdout.index(one) for one in order)
    assert sorted(one.name for one in (runs / "out").iterdir()) == ["compare.json", "index.html"]


def test_json_is_printed_instead_and_is_what_was_written(netfacts: Netfacts, runs: Path) -> None:
    done = netfacts("compare", str(runs / "before"), str(runs / "after"), "--out", str(runs / "out"), "--json")

    assert done.returncode == 6
    assert done.stdout == (runs / "out" / "compare.json").read_text("utf-8")
    assert json.loads(done.stdout)["headline"] == "1 fact regresses from 20.10.24 to 28.5.2"


def test_report_makes_the_page_of_a_comparison_again(netfacts: Netfacts, runs: Path) -> None:
    netfacts("compare", str(runs / "before"), str(runs / "after"), "--out", str(runs / "out"))
    page = runs / "out" / "index.html"
    first = page.read_bytes()
    page.unlink()

    done = netfacts("report", str(runs / "out"))

    assert done.returncode == 0
    assert "1 fact regresses" in done.stdout
    assert page.read_bytes() == first


def test_report_makes_the_page_of_an_upgrade(netfacts: Netfacts, tmp_path: Path) -> None:
    for role, one in upgrades.small_upgrade().items():
        put(one, tmp_path / role)

    done = netfacts("report", str(tmp_path))

    assert done.returncode == 0
    assert "2 facts regress from 20.10.24 to 28.5.2" in done.stdout
    assert "✗ egress.masquerade  regressed, seen on what was carried over" in done.stdout
    assert "Going back, which counts nowhere: 1 fact is not as it was" in done.stdout
    assert (tmp_path / "index.html").read_text("utf-8").endswith("</html>\n")
    assert json.loads((tmp_path / "upgrade.json").read_bytes())["exit_code"] == 6


def test_root_is_not_needed(unprivileged: Netfacts, runs: Path) -> None:
    # Not below tmp_path, which nobody else may enter.
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o777)
        for role in ("before", "after"):
            shutil.copytree(runs / role, place / role)

        done = unprivileged("compare", f"{place}/before", f"{place}/after", "--out", f"{place}/out")

    assert (done.returncode, done.stderr) == (6, "")


def test_folder_that_may_not_be_entered_is_refused(unprivileged: Netfacts, runs: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        place.chmod(0o755)
        shutil.copytree(runs / "before", place / "before")
        (place / "before").chmod(0o700)

        done = unprivileged("compare", f"{place}/before", f"{place}/before", "--out", f"{place}/out")

    if os.geteuid() == 0:
        assert done.returncode == 4
        assert str(place / "before") in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("before", "after", "code"),
    [(C, C, 0), (D, C, 0), (N, C, 0), (C, D, 6), (D, D, 1), (N, D, 1), (C, U, 3), (U, U, 0), (N, N, 5), (C, N, 5)],
    ids=lambda one: getattr(one, "value", None),
)
def test_exit_code_says_what_the_comparison_came_to(
    netfacts: Netfacts, tmp_path: Path, before: Verdict, after: Verdict, code: int
) -> None:
    for role, engine, verdict in (("before", OLD, before), ("after", NEW, after)):
        put(record(engine, [fact_line("a.one")], [verdict_line("a.one", verdict)]), tmp_path / role, with_page=False)

    assert (
        netfacts("compare", str(tmp_path / "before"), str(tmp_path / "after"), "--out", str(tmp_path / "o")).returncode
        == code
    )


def test_run_beside_itself_is_unchanged(netfacts: Netfacts, runs: Path) -> None:
    done = netfacts("compare", str(runs / "before"), str(runs / "before"), "--out", str(runs / "out"))

    assert done.returncode == 1
    assert "No regression was seen between two runs of 20.10.24, but 2 facts still deviate" in done.stdout


def test_interrupted_record_is_compared_with_a_warning(netfacts: Netfacts, runs: Path) -> None:
    path = runs / "after" / "record.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])

    done = netfacts("compare", str(runs / "before"), str(runs / "after"), "--out", str(runs / "out"))

    assert done.returncode == 6
    assert "Interrupted: 1 fact regresses" in done.stdout
    assert "! The run after was interrupted: facts that it did not come to" in done.stdout
    assert "not exercised: the run ended before it" in done.stdout


# -- refusals


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "this file is not a record"),
        (b"\n\n", "this file is not a record"),
        (b'{"kind":"run"', "this file is not a record"),
        (b'{"level":"info","msg":"another JSONL"}\n', "this file is not a record"),
        (b"\x7fELF\x02\x01\x01\x00\xff\xfe", "this file is not a record"),
        (b'{"kind":"run","schema":7,"netfacts":"9.9"}\n', "the record has schema 7, this netfacts reads 1, 2, 3, 4, 5"),
        (None, "could not read a record"),
    ],
    ids=["empty", "blank", "cut", "foreign", "binary", "schema", "missing"],
)
def test_what_is_no_record_is_refused_on_either_side(
    netfacts: Netfacts, runs: Path, side: str, data: bytes | None, said: str
) -> None:
    path = runs / side / "record.jsonl"
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)

    done = netfacts("compare", str(runs / "before"), str(runs / "after"), "--out", str(runs / "out"))

    assert (done.returncode, done.stdout) == (4, "")
    assert said in done.stderr
    assert str(path) in done.stderr
    assert "→ " in done.stderr
    assert "Traceback" not in done.stderr
    assert not (runs / "out").exists()


def test_damaged_line_is_refused_by_its_number(netfacts: Netfacts, runs: Path) -> None:
    path = runs / "after" / "record.jsonl"
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([*lines[:3], lines[3][:20], *lines[4:]]))

    done = netfacts("compare", str(runs / "before"), str(runs / "after"), "--out", str(runs / "out"))

    assert done.returncode == 4
    assert "could not read line 4 of a record" in done.stderr


def test_record_of_sabotages_is_refused(netfacts: Netfacts, runs: Path) -> None:
    broken: Record = sabotage_record()
    put(broken, runs / "broken", with_page=False)

    done = netfacts("compare", str(runs / "before"), str(runs / "broken"), "--out", str(runs / "out"))

    assert done.returncode == 4
    assert "a record of sabotages can't be compared" in done.stderr


def test_runs_of_different_targets_are_compared_with_a_warning(netfacts: Netfacts, runs: Path) -> None:
    """Seeing what one's own host does otherwise than a lab is a reason to compare."""
    local = upgrades.before()
    put(msgspec.structs.replace(local, run=msgspec.structs.replace(local.run, target="local")), runs / "local")

    done = netfacts("compare", str(runs / "before"), str(runs / "local"), "--out", str(runs / "out"))

    assert done.returncode == 1
    assert "! The targets differ (embedded, local)" in done.stdout


def test_upgrade_is_not_one_run(netfacts: Netfacts, runs: Path) -> None:
    done = netfacts("compare", str(runs), str(runs / "after"), "--out", str(runs / "out"))

    assert done.returncode == 4
    assert "this is not one run" in done.stderr
    assert str(runs / "before") in done.stderr


@pytest.mark.parametrize("out", ["before", "after/record.jsonl/below"])
def test_folder_that_holds_a_run_or_can_not_be_made_is_refused(netfacts: Netfacts, runs: Path, out: str) -> None:
    page = (runs / "before" / "index.html").read_bytes()

    done = netfacts("compare", str(runs / "before"), str(runs / "after"), "--out", str(runs / out))

    assert done.returncode == 4
    assert "Traceback" not in done.stderr
    assert (runs / "before" / "index.html").read_bytes() == page


def test_markup_and_control_characters_are_shown_as_they_are(netfacts: Netfacts, tmp_path: Path) -> None:
    """rich would take [bold] for a style, and a terminal an escape sequence for an order."""
    nasty = "[bold]x[/bold] \x1b[2J<b>"
    for role, verdict in (("before", C), ("after", D)):
        facts = [fact_line("a.one", claim=nasty)]
        put(record(OLD, facts, [verdict_line("a.one", verdict, case=nasty, reason=nasty)]), tmp_path / role)

    done = netfacts("compare", str(tmp_path / "before"), str(tmp_path / "after"), "--out", str(tmp_path / "out"))

    assert done.stdout.count("[bold]x[/bold] ␛[2J<b>") == 2
    assert "\x1b" not in done.stdout
    assert "[bold]x[/bold] ␛[2J&lt;b&gt;" in (tmp_path / "out" / "index.html").read_text("utf-8")


def test_neither_docker_s_sdk_nor_pytest_is_imported_to_compare() -> None:
    """Starting is most of what a comparison takes."""
    heavy = ("docker", "pytest", "pyroute2", "dns", "testinfra", "asyncio", "netfacts.lab", "netfacts.engine")
    code = (
        "import sys\nfrom netfacts.cli.main import main\nmain(['compare', 'a', 'b'])\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert done.stdout == "[]\n"
