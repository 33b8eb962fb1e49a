"""`netfacts report`: renders what is a record, and says of everything else what it is."""

from __future__ import annotations

import re
import shutil
import socket
import tempfile
from pathlib import Path

import msgspec
import pytest

from netfacts.model.record import READABLE, SCHEMA, Line
from netfacts.model.verdict import Verdict
from netfacts.verdict import Recorder
from reports import upgrade
from reports.page import render
from reports.record import Record, read
from reports.redact import redact, redact_all
from reports.sheet import ROLES
from selftests.cli.conftest import Netfacts
from selftests.reports.conftest import full_record, verdict_line
from selftests.reports.upgrades import put, small_upgrade


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run's folder with a whole record."""
    record: Record = full_record()
    assert record.end is not None
    lines: list[Line] = [record.run, *record.labs, *record.facts, *record.verdicts, record.end]
    with Recorder(tmp_path / "record.jsonl") as recorder:
        for line in lines:
            recorder.write(line)
    return tmp_path


@pytest.mark.parametrize("place", ["", "record.jsonl"])
def test_record_is_rendered_and_summed_up(netfacts: Netfacts, run_folder: Path, place: str) -> None:
    done = netfacts("report", str(run_folder / place))

    assert done.returncode == 0
    assert "1 fact deviates on Docker Engine 20.10.24" in done.stdout
    assert str(run_folder / "index.html") in done.stdout
    assert (run_folder / "index.html").read_text().endswith("</html>\n")


def test_truncated_record_is_rendered_as_interrupted(netfacts: Netfacts, run_folder: Path) -> None:
    path = run_folder / "record.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b'"kind":"end"') + 5])

    done = netfacts("report", str(run_folder))

    assert done.returncode == 0
    assert "Interrupted: " in done.stdout
    assert "<h1>Interrupted" in (run_folder / "index.html").read_text()


def test_missing_record_is_refused(netfacts: Netfacts, tmp_path: Path) -> None:
    done = netfacts("report", str(tmp_path))

    assert done.returncode == 4
    assert done.stdout == ""
    assert done.stderr == (
        f"netfacts: could not read a record (on {tmp_path / 'record.jsonl'})\n"
        "  No such file or directory\n"
        "  → give a record.jsonl or the run folder that holds one; `netfacts run` writes both\n"
    )


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"{}\n", b"\xff\xfe\x00", b"<html></html>\n"])
def test_foreign_file_is_refused(netfacts: Netfacts, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "record.jsonl").write_bytes(data)

    done = netfacts("report", str(tmp_path))

    assert done.returncode == 4
    assert "this file is not a record" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "index.html").exists()


def test_record_of_another_schema_is_refused_with_both_numbers(netfacts: Netfacts, run_folder: Path) -> None:
    path = run_folder / "record.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"schema":%d' % SCHEMA, b'"schema":7', 1))

    done = netfacts("report", str(run_folder))

    assert done.returncode == 4
    assert f"the record has schema 7, this netfacts reads {', '.join(map(str, READABLE))}" in done.stderr
    assert not (run_folder / "index.html").exists()


def test_folder_that_can_not_be_written_to_is_refused(unprivileged: Netfacts, run_folder: Path) -> None:
    """Someone else's run may be read, but its page goes nowhere."""
    # Not below tmp_path, which nobody else may enter.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(run_folder / "record.jsonl", folder)
        folder.chmod(0o555)

        done = unprivileged("report", name)

        folder.chmod(0o755)
    assert done.returncode == 4
    assert "could not write the page of a record" in done.stderr
    assert "copy the record to a folder of yours" in done.stderr


@pytest.fixture
def private_run(run_folder: Path) -> Path:
    """A run's folder whose record names this machine, with all that a run writes beside it."""
    folder = run_folder / "acme-prod"
    (folder / "captures").mkdir(parents=True)
    (folder / "captures" / "a.pcap").write_bytes(b"")
    (folder / "junit.xml").write_text("<testsuites/>")
    data = (run_folder / "record.jsonl").read_text()
    said = f"a was resolved on {socket.gethostname()}-x by 10.1.2.3, /home/jane/x, Acme"
    assert data.count("a was resolved") == 1
    (folder / "record.jsonl").write_text(data.replace("a was resolved", said))
    return folder


@pytest.mark.parametrize("place", ["", "record.jsonl"])
def test_redacted_record_goes_to_a_folder_of_its_own(netfacts: Netfacts, private_run: Path, place: str) -> None:
    before = {path: path.read_bytes() for path in private_run.rglob("*") if path.is_file()}
    out = private_run.with_name("acme-prod-redacted")

    done = netfacts("report", str(private_run / place), "--redact", "--also", "acme")

    assert (done.returncode, done.stderr) == (0, "")
    assert "1 fact deviates on Docker Engine 20.10.24" in done.stdout
    assert "not copied: captures" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == ["index.html", "record.jsonl"]
    assert read(out) == redact(read(private_run), hosts=[socket.gethostname()], words=["acme"])
    reasons = [line.reason for line in read(out).verdicts if line.reason.startswith("a was")]
    assert [reason.partition(" by ")[2] for reason in reasons] == ["240.1.1.3, <path>, word-1"]
    assert (out / "index.html").read_text("utf-8") == render(read(out))
    assert {path: path.read_bytes() for path in private_run.rglob("*") if path.is_file()} == before


def test_redacted_record_is_rendered_to_the_same_page(netfacts: Netfacts, private_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "published" / "run"
    netfacts("report", str(private_run), "--redact", "--out", str(out))
    page = (out / "index.html").read_bytes()

    done = netfacts("report", str(out))

    assert done.returncode == 0
    assert (out / "index.html").read_bytes() == page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--redact", "--out", "RUN"], "a redacted record goes to a folder of its own"),
        (["--redact", "--out", "RUN/junit.xml"], "a redacted record goes to a folder of its own"),
        (["--redact", "--out", "RUN/junit.xml/x"], "could not make the folder of a redacted record"),
        (["--redact", "--also", "ab"], "--also 'ab' would go from the middle of other words"),
        (["--out", "RUN/x"], "--out says how to redact"),
        (["--also", "acme"], "--also says how to redact"),
    ],
    ids=["in-place", "file", "below-a-file", "short-word", "out-alone", "also-alone"],
)
def test_redaction_that_can_not_be_done_is_refused(
    netfacts: Netfacts, private_run: Path, arguments: list[str], said: str
) -> None:
    before = {path: path.read_bytes() for path in private_run.parent.rglob("*") if path.is_file()}

    done = netfacts("report", str(private_run), *(one.replace("RUN", str(private_run)) for one in arguments))

    assert done.returncode == 4
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in private_run.parent.rglob("*") if path.is_file()} == before


@pytest.fixture
def private_upgrade(tmp_path: Path) -> Path:
    """The folder of an upgrade whose records name this machine, an address of its own in each and one in all."""
    folder = tmp_path / "acme-up"
    for number, (role, one) in enumerate(small_upgrade().items()):
        said = f"{socket.gethostname()}-x saw 10.1.{number}.3 and 10.9.9.9, /home/jane/x, Acme"
        line = verdict_line("dns.scope", Verdict.DEVIATES, case="private", reason=said)
        one = msgspec.structs.replace(
            one,
            run=msgspec.structs.replace(one.run, run_id=role),
            verdicts=(line, *one.verdicts),
        )
        put(one, folder / role)
        (folder / role / "junit.xml").write_text("<testsuites/>")
    return folder


@pytest.mark.parametrize("place", ["", "upgrade.json"])
def test_upgrade_is_redacted_as_a_whole(netfacts: Netfacts, private_upgrade: Path, place: str) -> None:
    told = netfacts("report", str(private_upgrade))
    before = {path: path.read_bytes() for path in private_upgrade.rglob("*") if path.is_file()}
    out = private_upgrade.with_name("acme-up-redacted")

    done = netfacts("report", str(private_upgrade / place), "--redact", "--also", "acme")

    assert (done.returncode, done.stderr) == (0, "")
    assert told.stdout.splitlines()[1] == "1 fact regresses from 20.10.24 to 28.5.2" == done.stdout.splitlines()[1]
    assert f"page    {out / 'index.html'}" in done.stdout
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == sorted(
        ["index.html", "upgrade.json", *(f"{role}/{name}" for role in ROLES for name in ("index.html", "record.jsonl"))]
    )
    records = {role: read(out / role) for role in ROLES}
    assert records == redact_all(upgrade.records(private_upgrade), hosts=[socket.gethostname()], words=["acme"])
    reasons = [one.verdicts[0].reason.partition("saw ")[2] for one in records.values()]
    assert reasons == [f"240.0.{third}.3 and 240.1.1.9, <path>, word-1" for third in (0, 1, 2, 3)]
    for page in (out / "index.html", *(out / role / "index.html" for role in ROLES)):
        assert "<strong>Redacted.</strong>" in page.read_text("utf-8"), page
    for path in out.rglob("*.*"):
        assert not re.search(r"acme|jane|10\.9\.9\.9", path.read_text("utf-8"), re.IGNORECASE), path
    assert {path: path.read_bytes() for path in private_upgrade.rglob("*") if path.is_file()} == before


def test_redacted_upgrade_is_rendered_to_the_same_page(netfacts: Netfacts, private_upgrade: Path) -> None:
    out = private_upgrade.with_name("published")
    netfacts("report", str(private_upgrade), "--redact", "--out", str(out))
    first = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    done = netfacts("report", str(out))

    assert done.returncode == 0
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == first


def test_upgrade_without_a_fresh_run_is_not_redacted(netfacts: Netfacts, private_upgrade: Path) -> None:
    shutil.rmtree(private_upgrade / "after")

    done = netfacts("report", str(private_upgrade), "--redact")

    assert done.returncode == 4
    assert "this upgrade has no run `after`" in done.stderr
    assert not private_upgrade.with_name("acme-up-redacted").exists()


def test_comparison_has_nothing_to_redact(netfacts: Netfacts, private_upgrade: Path, tmp_path: Path) -> None:
    """It is made of records that lie elsewhere."""
    out = tmp_path / "comparison"
    netfacts("compare", str(private_upgrade / "before"), str(private_upgrade / "after"), "--out", str(out))

    done = netfacts("report", str(out), "--redact")

    assert done.returncode == 4
    assert "a comparison has no records of its own" in done.stderr
    assert not out.with_name("comparison-redacted").exists()


def test_no_text_of_a_file_gives_orders_to_the_terminal(netfacts: Netfacts, run_folder: Path) -> None:
    """A record comes from elsewhere as well; what it holds is quoted in summaries and in refusals."""
    path = run_folder / "record.jsonl"
    order = b"\\u001b]0;mine\\u0007\\u001b[2J"
    path.write_bytes(path.read_bytes().replace(b'"version":"20.10.24"', b'"version":"20.10.24' + order + b'"', 1))

    told = netfacts("report", str(run_folder))
    path.write_bytes(b'{"kind":"run","schema":99,"netfacts":"0.1' + order + b'"}\n')
    refused = netfacts("report", str(run_folder))

    assert (told.returncode, refused.returncode) == (0, 4)
    assert "1 fact deviates on Docker Engine 20.10.24␛]0;mine␇␛[2J" in told.stdout
    assert "read it with the netfacts that wrote it (0.1␛]0;mine␇␛[2J)" in refused.stderr
    assert not {"\x1b", "\x07"} & set(told.stdout + told.stderr + refused.stdout + refused.stderr)
