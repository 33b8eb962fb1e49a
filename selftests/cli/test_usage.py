"""Exit codes and texts of `python -m netfacts`, as far as they need neither root nor a lab."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from netfacts import __version__
from netfacts.catalogue import load
from netfacts.catalogue.notes import read_notes
from netfacts.catalogue.sabotages import read_sabotages
from netfacts.cli.main import main
from netfacts.model.fact import Carried
from selftests.cli.conftest import Netfacts


def test_help_names_every_command_and_exit_code(netfacts: Netfacts) -> None:
    done = netfacts("--help")

    assert done.returncode == 0
    assert done.stderr == ""
    for command in (
        "run",
        "sabotage",
        "compare",
        "merge",
        "facts",
        "engines",
        "lab",
        "matrix",
        "doctor",
        "report",
        "sweep",
    ):
        assert re.search(rf"│ {command} +\w", done.stdout)
    for code in (
        "0 all exercised facts conform",
        "1 a fact deviates",
        "2 interrupted",
        "3 ",
        "4 wrong usage",
        "5 nothing",
        "6 a fact regresses",
    ):
        assert code in " ".join(done.stdout.split())


def test_short_help_is_the_same(netfacts: Netfacts) -> None:
    assert netfacts("-h").stdout == netfacts("--help").stdout


def test_version_is_said(netfacts: Netfacts) -> None:
    done = netfacts("--version")

    assert (done.returncode, done.stdout, done.stderr) == (0, f"netfacts {__version__}\n", "")


def test_nothing_asked_is_wrong_usage_with_the_help(netfacts: Netfacts) -> None:
    done = netfacts()

    assert done.returncode == 4
    assert "Usage: netfacts" in done.stdout + done.stderr


@pytest.mark.parametrize("command", [("facts", "list"), ("doctor",)], ids=str)
def test_reader_that_has_seen_enough_is_no_failure(command: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "netfacts", *command], stdout=closed, stderr=subprocess.PIPE, text=True, check=False
        )

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("rnu", "No such command 'rnu'"),
        ("--bogus", "No such option: --bogus"),
        ("run --bogus", "No such option: --bogus"),
        ("run -n many", "Invalid value for '-n'"),
        ("run extra", "extra"),
        ("run --shard 4/3", "'4/3' is no shard"),
        ("merge", "Missing argument 'DIR...'"),
        ("facts show", "Missing argument 'ID'"),
        ("report", "Missing argument 'DIR'"),
        ("compare a", "Missing argument 'B'"),
        ("sabotage --engine", "--engine"),
    ],
)
def test_wrong_command_line_is_refused_with_what_is_wrong(netfacts: Netfacts, line: str, said: str) -> None:
    done = netfacts(*line.split())

    assert done.returncode == 4
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_unknown_target_is_refused_with_the_known_ones(netfacts: Netfacts) -> None:
    done = netfacts("run", "--target", "vm")

    assert (done.returncode, done.stderr) == (
        4,
        "netfacts: 'vm' is no target\n  → one of: embedded, local, ssh://[user@]vm[:port],…\n",
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "ssh://lab@vm1,lab@vm1"], "a visit goes to each VM once"),
        (["--target", "ssh://"], "names no VM"),
        (["--ssh-config", "/etc/ssh/ssh_config"], "--ssh-config is for ssh"),
        (["--target", "ssh://vm1", "--ssh-config", "/nowhere"], "no such configuration"),
        (["--target", "ssh://vm1", "--from", "system"], "take another's place"),
        (["--target", "ssh://vm1", "-n", "2"], "one engine, and one lab"),
        (["--target", "ssh://vm1", "--keep-lab"], "keeps a lab of this machine"),
    ],
)
def test_what_cannot_be_done_on_a_vm_is_refused_before_anything_is_tried(
    netfacts: Netfacts, arguments: list[str], said: str
) -> None:
    done = netfacts("run", *arguments)

    assert done.returncode == 4
    assert said in done.stdout + done.stderr


def test_patience_that_is_no_number_of_seconds_is_refused(netfacts: Netfacts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETFACTS_SSH_PATIENCE_S", "nan")

    done = netfacts("run", "--target", "ssh://vm1")

    assert done.returncode == 4
    assert "NETFACTS_SSH_PATIENCE_S is a number of seconds" in done.stdout + done.stderr


# -- facts


def test_facts_list_has_every_fact_once(netfacts: Netfacts) -> None:
    done = netfacts("facts", "list")

    assert done.returncode == 0
    for fact in load():
        assert len(re.findall(rf"^{fact.area} +{re.escape(fact.id)} ", done.stdout, flags=re.MULTILINE)) == 1


def test_facts_list_of_an_area_has_that_area_alone(netfacts: Netfacts) -> None:
    done = netfacts("facts", "list", "dns")

    listed = re.findall(r"^dns +(\S+)", done.stdout, flags=re.MULTILINE)
    assert listed == [fact.id for fact in load() if fact.area == "dns"]
    assert not re.search(r"^(bridge|publish) ", done.stdout, flags=re.MULTILINE)


def test_facts_list_of_an_unknown_area_is_refused_with_the_known_ones(netfacts: Netfacts) -> None:
    done = netfacts("facts", "list", "dsn")

    assert done.returncode == 4
    assert "there is no area 'dsn'" in done.stderr
    assert "dns" in done.stderr


def test_facts_show_says_all_that_the_catalogue_holds(netfacts: Netfacts) -> None:
    fact = load()["dns.scope"]

    done = netfacts("facts", "show", "dns.scope")

    assert done.returncode == 0
    for text in (fact.id, fact.claim, fact.note, *fact.show, *fact.sources, fact.lab, ">=20.10", "holds"):
        assert text in re.sub(r" *\n *", " ", done.stdout) or text in done.stdout


def test_facts_show_tells_what_a_note_says_at_the_line_that_is_cited(netfacts: Netfacts) -> None:
    done = netfacts("facts", "show", "proxy.per-mapping")

    line = r"^  notes/000_\w+\.txt:117\n    For every mapped port the host starts a process docker-proxy\."
    assert re.search(line, done.stdout, re.MULTILINE)


def test_facts_show_tells_how_the_fact_is_broken_and_on_which_engines(netfacts: Netfacts) -> None:
    done = netfacts("facts", "show", "v6.lo")

    assert "How netfacts breaks it" in done.stdout
    for sabotage in read_sabotages(of="v6.lo")["v6.lo"]:
        line = rf"^  {re.escape(sabotage.title)} +engine {re.escape(sabotage.engines)} *$"
        assert re.search(line, done.stdout, re.MULTILINE)


@pytest.mark.parametrize("fact", [fact.id for fact in load() if fact.carried is Carried.HOLDS])
def test_facts_show_knows_facts_that_hold_once_another_engine_has_taken_over(netfacts: Netfacts, fact: str) -> None:
    done = netfacts("facts", "show", fact)

    assert (done.returncode, done.stderr) == (0, "")
    assert "Carried over to another engine\n  holds, whichever engine takes over" in done.stdout


@pytest.mark.parametrize("selected", [(), ("--hosts", "one")], ids=["all", "hosts=one"])
def test_facts_coverage_is_whole(netfacts: Netfacts, selected: tuple[str, ...]) -> None:
    done = netfacts("facts", "coverage", *selected)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(re.findall(r" 100 %$", done.stdout, re.MULTILINE)) == 6
    assert "Open" not in done.stdout


def test_facts_coverage_says_where_the_notes_are_others(netfacts: Netfacts, tmp_path: Path) -> None:
    for note in read_notes():
        (tmp_path / note.file).write_text("A network.\n")

    done = netfacts("facts", "coverage", "--notes", str(tmp_path))

    assert done.returncode == 4
    assert done.stderr.startswith("netfacts: what is said about the notes is not so\n")
    assert "has 1 lines, and not 120" in done.stderr


def test_facts_docs_writes_the_guide_where_it_is_told_to(netfacts: Netfacts, tmp_path: Path) -> None:
    place = tmp_path / "new" / "guide.html"

    done = netfacts("facts", "docs", "--out", str(place))

    assert (done.returncode, done.stdout, done.stderr) == (0, f"{place}\n", "")
    assert all(f'id="{fact.id}"' in place.read_text("utf-8") for fact in load())


@pytest.mark.parametrize("place", ["", "file/guide.html"])
def test_facts_docs_to_where_it_can_t_be_written_is_refused(netfacts: Netfacts, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()

    done = netfacts("facts", "docs", "--out", str(tmp_path / place))

    assert (done.returncode, done.stdout) == (4, "")
    assert re.match(r"netfacts: could not (write|make) the guide.*\n.*\n  → give another place by --out\n", done.stderr)


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        ("dns.scope", "as expected of the engine that runs then"),
        ("docker0.mac", "as expected of the first engine that was started on the machine"),
        ("mac.from-ip", "as expected of the engine that built it"),
        ("user.static-ip-needs-subnet", "does not hold any more"),
        ("link.user-net-alias-only", "does not hold any more where containers keep running"),
        ("inspect.gateway-is-docker0", "holds, whichever engine takes over"),
    ],
)
def test_facts_show_says_what_becomes_of_it_where_another_engine_takes_over(
    netfacts: Netfacts, fact: str, said: str
) -> None:
    assert f"Carried over to another engine\n  {said}" in netfacts("facts", "show", fact).stdout


def test_facts_regressions_lists_issues_with_the_facts_that_catch_them(netfacts: Netfacts) -> None:
    done = netfacts("facts", "regressions")

    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^moby/moby#45553 +24\.0\.0 .* dns\.nxdomain", done.stdout, re.MULTILINE)


def test_facts_show_of_an_unknown_fact_suggests_the_nearest(netfacts: Netfacts) -> None:
    done = netfacts("facts", "show", "dns.scop")

    assert done.returncode == 4
    assert done.stderr.startswith("netfacts: there is no fact 'dns.scop'\n  → did you mean dns.scope")
    assert done.stdout == ""


def test_facts_with_markup_in_their_texts_are_shown_as_they_are(netfacts: Netfacts) -> None:
    """rich would take [dim] for a style: no text of the catalogue may vanish that way."""
    done = netfacts("facts", "show", "[bold]x[/bold]")

    assert "there is no fact '[bold]x[/bold]'" in done.stderr


# -- rights


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "-n", "0"],
        ["run", "--engine", "debian:bookworm", "-k", "dns"],
        ["sabotage"],
        ["matrix"],
        ["sweep"],
    ],
    ids=" ".join,
)
def test_what_needs_root_is_refused_without_it(unprivileged: Netfacts, arguments: list[str]) -> None:
    done = unprivileged(*arguments)
    said = done.stdout + done.stderr

    assert done.returncode == 4
    assert "building a lab needs root" in said
    assert "this is user " in said
    assert "→ sudo " in said
    assert "Traceback" not in said


def test_refused_run_leaves_no_folder(unprivileged: Netfacts, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("out")
    folder.chmod(0o777)

    done = unprivileged("run", "--out", str(folder / "run"))

    assert done.returncode == 4
    assert list(folder.iterdir()) == []


def test_doctor_without_root_says_so_and_how_to_go_on(unprivileged: Netfacts) -> None:
    done = unprivileged("doctor")

    assert done.returncode == 4
    assert "✗ root: labs are namespaces, interfaces and mounts" in done.stdout
    assert "→ sudo netfacts doctor" in done.stdout
    assert "✓ Python " in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["--version"], ["facts", "list"], ["facts", "show", "dns.scope"]], ids=" ".join)
def test_what_needs_no_root_works_without_it(unprivileged: Netfacts, arguments: list[str]) -> None:
    assert unprivileged(*arguments).returncode == 0


# -- the matrix


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--target", "local"], "a matrix is of a lab of netfacts' own"),
        (["--hosts", "17"], "a lab has 1 to 16 hosts, and not 17"),
        (["--containers", "-1"], "there are 0 to 400 containers, and not -1"),
        (["--network", "briidge"], "containers can't be on 'briidge'"),
        (["--network", "bridge", "--network", "bridge"], "a host has one network bridge"),
        (["--network", "user"] * 33, "a host has subnets for 32 bridge networks, and not for 33"),
        (["--protocol", "sctp"], "nobody can be asked by 'sctp'"),
        (["--change", "iptables -F"], "--change 'iptables -F' names no machine and what to run there"),
        (["--change", "host"], "--change 'host' names no machine and what to run there"),
        (["--change", 'host "unbalanced'], "--change 'host \"unbalanced' can't be read"),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_matrix_that_can_not_be_had_is_refused(netfacts: Netfacts, arguments: list[str], said: str) -> None:
    done = netfacts("matrix", *arguments)

    assert (done.returncode, done.stdout) == (4, "")
    assert said in done.stderr
    assert "→ " in done.stderr or "containers" in said


# -- called from Python


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), (["bogus"], 4), (["facts", "show", "x.y"], 4)])
def test_main_gives_the_exit_code(arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == code
    capsys.readouterr()
