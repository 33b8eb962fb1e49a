"""The table of docs/support-matrix.md: what it says of runs, where it is put, and that the committed one is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from netfacts.catalogue import load
from netfacts.catalogue.chapters import Chapter, load_chapters
from netfacts.model.errors import UsageError
from netfacts.model.fact import NEEDS
from netfacts.model.record import RunLine
from netfacts.model.verdict import Verdict
from reports.record import Record
from reports.support import BEGIN, END, PAGE, insert, markdown, read, system, write
from selftests.reports import upgrades
from selftests.reports.conftest import RUN, fact_line, full_record, sabotage_record, verdict_line
from selftests.reports.upgrades import ABSENT, NEW, OLD, C, D, N, U, put

CATALOGUE = load()
KERNEL = "6.1.0-18-amd64"


def run_on(kernel: str = KERNEL, **fields: Any) -> RunLine:
    """The line of a run on a kernel that lacks IPVS and IPv6."""
    missing = {"ip_vs": "modprobe ip_vs", "ipv6": "boot without ipv6.disable=1", "br_netfilter": "modprobe it"}
    return msgspec.structs.replace(RUN, **({"kernel": kernel, "missing": missing} | fields))


def old(**fields: Any) -> Record:
    """The run of an old engine on a kernel that lacks something."""
    facts = (
        fact_line("dns.scope"),
        fact_line("dns.outage"),
        fact_line("dns.v6", needs=["ipv6"]),
        fact_line("gwmode.isolated", area="remote", expected=ABSENT, needs=["ipv6"]),
        fact_line("gwmode.nat", area="remote", expected=ABSENT),
        fact_line("overlay.reach"),
        fact_line("swarm.vip", area="overlay", needs=["vxlan", "ip_vs"]),
        fact_line("swarm.ingress", area="overlay", needs=["vxlan", "ip_vs"]),
        fact_line("remote.driver-protocol", area="networks"),
    )
    verdicts = (
        verdict_line("dns.scope"),
        verdict_line("dns.outage", D),
        verdict_line("dns.v6", N, reason="ipv6 is missing here: boot without ipv6.disable=1"),
        verdict_line("gwmode.isolated", N, expected=ABSENT, reason="ipv6 is missing here"),
        verdict_line("gwmode.nat", N, expected=ABSENT, reason="engine 20.10.24 does not have this"),
        verdict_line("overlay.reach"),
        verdict_line("swarm.vip", N, reason="ip_vs is missing here: modprobe ip_vs"),
        verdict_line("swarm.ingress", N, reason="ip_vs is missing here: modprobe ip_vs"),
        verdict_line("remote.driver-protocol", N, reason="the plugin | did <not> come up\nin 30 s"),
    )
    return Record(run=run_on(engine=OLD, **fields), facts=facts, verdicts=verdicts)


def in_a_vm() -> Record:
    """The run of a new engine in a VM, of some facts only."""
    facts = tuple(
        msgspec.structs.replace(line, selected=line.fact in ("swarm.vip", "gwmode.nat")) for line in old().facts
    )
    verdicts = (verdict_line("swarm.vip"), verdict_line("gwmode.nat", U, reason="the control failed"))
    return Record(run=run_on("6.12.1", engine=NEW, missing={}), facts=facts, verdicts=verdicts)


def one(fact: str, verdict: Verdict = C, *, run: RunLine | None = None, **fields: Any) -> Record:
    """A run of one fact."""
    return Record(
        run=run or run_on(), facts=(fact_line(fact, **fields),), verdicts=(verdict_line(fact, verdict, reason="why"),)
    )


def chapters() -> tuple[Chapter, ...]:
    """Two chapters of the guide."""
    several = ("swarm.vip", "swarm.ingress", "overlay.reach")
    return (
        Chapter(title="Several hosts", about=(), facts=tuple(CATALOGUE[fact] for fact in several)),
        Chapter(title="Names", about=(), facts=(CATALOGUE["dns.scope"],)),
    )


GOLDEN = f"""\
| system | about | 20.10.24<br>Linux 6.1.0-18-amd64 | 28.5.2<br>Linux 6.12.1 |
| --- | --- | --- | --- |
| **overlay** | Several hosts | 1 of 1 conform | – |
| **swarm** | Several hosts | 0 of 2 exercised: no ip_vs | 1 of 1 conform; 1 not tried |
| **dns** | Names | 2 of 3 exercised: no ipv6 (`dns.v6`); **deviates**: `dns.outage` | – |
| **remote** |  | absent | 0 of 1 conform; **inconclusive**: `gwmode.nat`; 1 not tried |
| **remote driver** |  | 0 of 1 exercised: the plugin \\| did &lt;not> come up | – |
| all |  | 3 of 7 exercised; **1 deviates**; 2 absent | 1 of 2 conform; **1 inconclusive**; 7 not tried |

| missing | it means | on Linux | what would help |
| --- | --- | --- | --- |
| `ip_vs` | {NEEDS["ip_vs"]} | 6.1.0-18-amd64 | modprobe ip_vs |
| `ipv6` | the kernel has IPv6 | 6.1.0-18-amd64 | boot without ipv6.disable=1 |

| engine | API | firewall | kernel | machine | on |
| --- | --- | --- | --- | --- | --- |
| 20.10.24 | 1.41 | iptables-nft | 6.1.0-18-amd64 | Debian GNU/Linux 12 | 2026-03-01 |
| 28.5.2 | 1.51 | iptables-nft | 6.12.1 | Debian GNU/Linux 12 | 2026-03-01 |
"""


def rows(*records: Record) -> dict[str, list[str]]:
    """The cells of each system's row, without what it is about."""
    table = markdown(records, ()).partition("\n\n")[0].splitlines()[2:]
    return {cells[0].strip("* "): cells[2:] for cells in (row.strip("| ").split(" | ") for row in table)}


def test_table_says_what_was_exercised_and_why_the_rest_was_not() -> None:
    assert markdown([old(), in_a_vm()], chapters()) == GOLDEN


def test_runs_on_one_kernel_share_a_column_in_which_the_worst_counts() -> None:
    both = (one("dns.scope", D), one("dns.scope"), one("dns.outage"))

    assert rows(*both) == {
        "dns": ["1 of 2 conform; **deviates**: `dns.scope`"],
        "all": ["1 of 2 conform; **1 deviates**"],
    }


@pytest.mark.parametrize("other", [{"kernel": "6.12.1"}, {"engine": NEW}, {"target": "local"}], ids=str)
def test_another_kernel_engine_or_somebody_s_machine_has_a_column_of_its_own(other: dict[str, Any]) -> None:
    both = (one("dns.scope"), one("dns.scope", N, run=run_on(**other)))

    assert rows(*both)["dns"] == ["1 of 1 conform", "0 of 1 exercised: why"]


def test_many_facts_with_one_reason_are_not_all_named() -> None:
    facts = [f"dns.n{number}" for number in range(6)]
    record = Record(
        run=run_on(),
        facts=tuple(map(fact_line, ["dns.scope", *facts])),
        verdicts=(verdict_line("dns.scope"), *(verdict_line(fact, N, reason="why") for fact in facts)),
    )

    assert rows(record)["dns"] == ["1 of 7 exercised: why (`dns.n0`, `dns.n1`, `dns.n2`, `dns.n3` and 2 more)"]


def test_what_a_kernel_lacks_is_told_where_facts_were_tried_that_need_it() -> None:
    whole = one("dns.v6", N, needs=["ipv6"])
    unselected = msgspec.structs.replace(whole.facts[0], selected=False)
    part = Record(
        run=run_on("6.12.1"), facts=(fact_line("dns.scope"), unselected), verdicts=(verdict_line("dns.scope"),)
    )

    assert f"| `ipv6` | the kernel has IPv6 | {KERNEL} | boot" in markdown([whole, part], ())
    assert "| `ipv6` |" not in markdown([part], ())


def test_interrupted_run_says_what_it_did_not_come_to() -> None:
    record = msgspec.structs.replace(one("dns.scope"), verdicts=(), end=None)

    assert rows(record)["dns"] == ["0 of 1 exercised: the run ended before it"]


def test_every_name_of_a_system_of_its_own_is_of_the_catalogue() -> None:
    found = {system(fact.id, fact.area) for fact in CATALOGUE}

    assert found - {fact.area for fact in CATALOGUE} == {"swarm", "ipvlan", "flannel", "calico", "remote driver"}


# -- the runs


def test_of_an_upgrade_both_fresh_runs_are_read(tmp_path: Path) -> None:
    for role, record in upgrades.small_upgrade().items():
        put(record, tmp_path / role, with_page=False)
    put(full_record(), tmp_path / "run", with_page=False)

    found = read([tmp_path, tmp_path / "run", tmp_path / "run" / "record.jsonl"])

    assert [record.run.engine.version for record in found] == ["20.10.24", "28.5.2", "20.10.24", "20.10.24"]
    assert not any(record.run.predecessor for record in found)


@pytest.mark.parametrize("role", ["carried", "broken"])
def test_run_that_says_nothing_of_an_engine_by_itself_is_refused(tmp_path: Path, role: str) -> None:
    records = {**upgrades.small_upgrade(), "broken": sabotage_record()}
    put(records[role], tmp_path / role, with_page=False)

    with pytest.raises(UsageError, match="does not say what an engine supports"):
        read([tmp_path / role])


def test_folder_without_a_record_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="could not read a record") as caught:
        read([tmp_path])

    assert caught.value.where == str(tmp_path / "record.jsonl")


# -- the page


def test_table_takes_the_place_of_the_one_before_and_prose_stays() -> None:
    page = f"# Mine\n\nBefore.\n\n{BEGIN}\n\n| old |\n\n{END}\n\nAfter.\n"

    once = insert("| new |\n", page)

    assert once == f"# Mine\n\nBefore.\n\n{BEGIN}\n\n| new |\n\n{END}\n\nAfter.\n"
    assert insert("| new |\n", once) == once


@pytest.mark.parametrize("page", ["", "# Mine\n", f"{BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_page_without_a_place_for_the_table_is_refused_and_kept(tmp_path: Path, page: str) -> None:
    target = tmp_path / "page.md"
    target.write_text(page)

    with pytest.raises(UsageError, match="where its table stands") as caught:
        write("| new |\n", target)

    assert caught.value.where == str(target)
    assert BEGIN in caught.value.remedy
    assert target.read_text() == page


def test_page_is_made_where_there_is_none(tmp_path: Path) -> None:
    target = write("| new |\n", tmp_path / "page.md")

    assert target.read_text().startswith("# What is exercised on which engine\n")
    assert target.read_text().endswith(f"{BEGIN}\n\n| new |\n\n{END}\n")


def test_words_of_a_record_can_not_end_the_table() -> None:
    nasty = f"x {END} | y\n\n<script>"
    table = markdown([one("dns.scope", run=run_on(nasty, machine=nasty, missing={"ipv6": nasty}), needs=["ipv6"])], ())

    assert END not in table
    assert "<script" not in table
    assert {row.replace("\\|", "").count("|") for row in table.split("\n\n")[0].splitlines()} == {4}


def test_committed_page_has_a_row_for_every_system_of_the_catalogue() -> None:
    """A new area or system is put into it by `netfacts facts support RUN… --write`, with a run on each engine."""
    page = PAGE.read_text("utf-8")
    generated = page.partition(BEGIN)[2].partition(END)[0]

    missing = {
        system(fact.id, fact.area) for fact in CATALOGUE if f"| **{system(fact.id, fact.area)}** |" not in generated
    }
    assert missing == set()


def test_guide_says_of_every_system_what_it_is_about() -> None:
    everything = tuple(fact_line(fact.id, area=fact.area) for fact in CATALOGUE)
    table = markdown([Record(run=run_on(), facts=everything)], load_chapters(CATALOGUE))

    assert "** |  |" not in table
    assert table.count("\n| **") == len({system(fact.id, fact.area) for fact in CATALOGUE})
