"""Records of shards become one that says what an unsharded run says, or are refused by what does not fit."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec
import pytest

from netfacts.model.errors import UsageError
from netfacts.model.record import EngineInfo, PortraitLine, TimingLine
from netfacts.model.verdict import Verdict
from reports.merge import junit, lines, merge
from reports.page import render
from reports.record import Record
from reports.summary import exit_code, summarise
from selftests.reports.conftest import END, fact_line, full_record, sabotage_record, verdict_line

_SHARES = (
    {"dns.not-default-bridge"},
    {"publish.hairpin", "bridge.gateway-mode"},
    {"publish.any-address"},
)


def shard(whole: Record, number: int, **fields: object) -> Record:
    """What one of three shards would have recorded of a run."""
    mine = _SHARES[number - 1]
    usual = {
        "run": msgspec.structs.replace(whole.run, shard=f"{number}/3", run_id=f"shard{number}"),
        "facts": tuple(
            msgspec.structs.replace(fact, selected=fact.selected and fact.fact in mine) for fact in whole.facts
        ),
        "verdicts": tuple(line for line in whole.verdicts if line.fact in mine),
        "sabotages": tuple(line for line in whole.sabotages if line.fact in mine),
    }
    return msgspec.structs.replace(whole, **(usual | fields))


def shards(whole: Record) -> dict[str, Record]:
    return {f"shard{number}": shard(whole, number) for number in (1, 2, 3)}


def test_three_shards_say_what_the_whole_run_says() -> None:
    whole = full_record()

    merged = merge(shards(whole), run_id="merged")

    assert merged.warnings == ()
    record = merged.record
    assert record.facts == whole.facts
    assert record.labs == whole.labs
    assert sorted(record.verdicts, key=str) == sorted(whole.verdicts, key=str)
    assert summarise(record.facts, record.verdicts, interrupted=False) == summarise(
        whole.facts, whole.verdicts, interrupted=False
    )
    assert (record.run.run_id, record.run.shard) == ("merged", "")
    assert msgspec.structs.replace(record.run, run_id=whole.run.run_id) == whole.run
    assert record.end is not None
    assert list(record.end.facts.values()) == [4, 3, 2, 1, 0, 1]
    assert record.end.facts.keys() == END.facts.keys()

    assert (record.end.probes, record.end.duration_s) == (3 * END.probes, round(3 * END.duration_s, 2))
    assert not record.interrupted
    assert exit_code(record.end, record.sabotages) == 1


def test_order_in_which_shards_are_named_does_not_matter() -> None:
    parts = shards(full_record())

    assert merge(dict(reversed(parts.items())), run_id="m") == merge(parts, run_id="m")


def test_sabotages_are_merged_as_well() -> None:
    whole = sabotage_record()
    parts = {f"shard{number}": shard(whole, number) for number in (1, 3)}
    parts["shard1"] = shard(whole, 1, run=msgspec.structs.replace(whole.run, shard="1/2"))
    parts["shard3"] = shard(whole, 3, run=msgspec.structs.replace(whole.run, shard="2/2"))

    record = merge(parts, run_id="m").record

    assert sorted(line.fact for line in record.sabotages) == sorted(line.fact for line in whole.sabotages)
    assert record.end is not None
    assert exit_code(record.end, record.sabotages) == 1


def test_lines_are_those_of_a_record() -> None:
    whole = msgspec.structs.replace(
        full_record(),
        portraits=(PortraitLine(scenario="fresh", parts={"links": ["docker0"]}),),
        timings=(TimingLine(operation="start", took_s=[0.5]),),
    )

    written = list(lines(whole))

    assert written[0] == whole.run
    assert written[-1] == whole.end
    assert len(written) == 2 + sum(
        len(group) for group in (whole.labs, whole.portraits, whole.timings, whole.facts, whole.verdicts)
    )


def test_portraits_are_taken_once_and_timings_together() -> None:
    whole = msgspec.structs.replace(
        full_record(),
        portraits=(PortraitLine(scenario="fresh", parts={}),),
        timings=(TimingLine(operation="start", took_s=[0.5]),),
    )

    record = merge(shards(whole), run_id="m").record

    assert record.portraits == whole.portraits
    assert record.timings == (TimingLine(operation="start", took_s=[0.5, 0.5, 0.5]),)


def test_machines_that_differ_are_all_named() -> None:
    parts = shards(full_record())
    other = msgspec.structs.replace(
        parts["shard2"].run, kernel="6.12", started_at="2026-02-28T00:00:00+00:00", missing={"vxlan": "no module"}
    )
    parts["shard2"] = msgspec.structs.replace(parts["shard2"], run=other)

    run = merge(parts, run_id="m").record.run

    assert run.kernel == "6.1.0-18-amd64, 6.12"
    assert run.machine == "Debian GNU/Linux 12"
    assert run.started_at.startswith("2026-02-28")
    assert set(run.missing) == {"br_netfilter", "vxlan"}


# -- what is not whole


def test_missing_shard_leaves_a_run_that_counts_as_interrupted() -> None:
    parts = shards(full_record())
    del parts["shard2"]

    merged = merge(parts, run_id="m")

    assert merged.warnings == ("1 shard is missing: 2/3",)
    assert merged.record.interrupted
    assert merged.record.run.shard == "1,3/3"
    assert merged.record.end is not None
    assert exit_code(merged.record.end, ()) == 2
    assert {fact.fact for fact in merged.record.facts if not fact.selected} == _SHARES[1] | {"swarm.ingress"}
    assert "has only the facts of shard 1,3/3" in render(merged.record)


@pytest.mark.parametrize("end", [None, msgspec.structs.replace(END, interrupted=True)], ids=["killed", "stopped"])
def test_interrupted_shard_interrupts_the_whole(end: object) -> None:
    parts = shards(full_record())
    parts["shard2"] = msgspec.structs.replace(parts["shard2"], end=end)

    merged = merge(parts, run_id="m")

    assert merged.warnings == ("shard 2/3 was interrupted (shard2)",)
    assert merged.record.interrupted


def test_shard_without_facts_interrupts_the_whole() -> None:
    parts = shards(full_record())
    parts["shard3"] = msgspec.structs.replace(parts["shard3"], facts=(), verdicts=())

    merged = merge(parts, run_id="m")

    assert merged.warnings == ("shard 3/3 came to no facts (shard3)",)
    assert merged.record.interrupted


# -- what does not belong together

_FORKY = EngineInfo(spec="debian:forky", version="28.5.2", api="1.51", firewall="iptables-nft")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"engine": _FORKY}, "engine: debian:bookworm and debian:forky"),
        (
            {"engine": msgspec.structs.replace(full_record().run.engine, version="20.10.25")},
            "version of the engine: 20.10.24 and 20.10.25",
        ),
        ({"target": "local"}, "target: embedded and local"),
        ({"catalogue": {"facts": 6}}, "facts in the catalogue: 5 and 6"),
        ({"schema": 1}, "schema: 5 and 1"),
        ({"redacted": True}, "redacted: no and yes"),
        ({"predecessor": _FORKY}, "predecessor: none and debian:forky 28.5.2"),
        ({"shard": "1/3"}, "both are shard 1/3"),
        ({"shard": "2/4"}, "one is shard 1/3, the other 2/4"),
    ],
    ids=["spec", "version", "target", "catalogue", "schema", "redacted", "predecessor", "twice", "number"],
)
def test_records_that_do_not_belong_together_are_refused(change: dict[str, object], said: str) -> None:
    parts = shards(full_record())
    parts["shard2"] = msgspec.structs.replace(
        parts["shard2"], run=msgspec.structs.replace(parts["shard2"].run, **change)
    )

    with pytest.raises(UsageError, match="don't belong together") as raised:
        merge(parts, run_id="m")

    assert raised.value.returned == said
    assert "shard1" in raised.value.where
    assert "shard2" in raised.value.where


def test_catalogues_that_differ_in_a_fact_are_refused() -> None:
    parts = shards(full_record())
    changed = tuple(msgspec.structs.replace(fact, claim="Another.") for fact in parts["shard2"].facts)
    parts["shard2"] = msgspec.structs.replace(parts["shard2"], facts=changed)

    with pytest.raises(UsageError, match="don't belong together") as raised:
        merge(parts, run_id="m")

    assert raised.value.returned.startswith("the catalogues differ in ")


def test_facts_that_two_shards_judge_are_refused() -> None:
    parts = shards(full_record())
    facts = tuple(msgspec.structs.replace(fact, selected=True) for fact in parts["shard2"].facts)
    parts["shard2"] = msgspec.structs.replace(parts["shard2"], facts=facts)

    with pytest.raises(UsageError, match="don't belong together") as raised:
        merge(parts, run_id="m")

    assert raised.value.returned.startswith("both judge ")


def test_sabotages_and_verdicts_are_not_mixed() -> None:
    parts = shards(full_record()) | {"shard1": shard(sabotage_record(), 1)}

    with pytest.raises(UsageError, match="don't belong together") as raised:
        merge(parts, run_id="m")

    assert raised.value.returned.startswith("sabotages: ")


def test_whole_run_is_refused() -> None:
    with pytest.raises(UsageError, match="of a whole run, not of a shard"):
        merge({"run": full_record()}, run_id="m")


def test_merged_record_of_some_is_refused() -> None:
    parts = shards(full_record())
    some = merge({"shard1": parts["shard1"], "shard2": parts["shard2"]}, run_id="m").record

    with pytest.raises(UsageError, match="itself merged"):
        merge({"some": some, "shard3": parts["shard3"]}, run_id="m")


def test_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="no records"):
        merge({}, run_id="m")


# -- JUnit

_SUITE = (
    '<testsuites name="pytest tests"><testsuite name="pytest" tests="1"><testcase name="{0}"/></testsuite></testsuites>'
)


def test_junit_files_become_one_with_a_suite_for_each_shard() -> None:
    data = junit({"1/2": _SUITE.format("a").encode(), "2/2": _SUITE.format("b").encode()})

    root = ElementTree.fromstring(data)
    assert [(suite.get("name"), [case.get("name") for case in suite]) for suite in root] == [
        ("shard 1/2", ["a"]),
        ("shard 2/2", ["b"]),
    ]


def test_broken_junit_file_is_refused_by_its_shard() -> None:
    with pytest.raises(UsageError, match="could not read a JUnit file") as raised:
        junit({"1/2": b"<testsuites>"})

    assert raised.value.where == "shard 1/2"


def test_fact_of_no_verdict_stays_without_one() -> None:
    whole = msgspec.structs.replace(
        full_record(),
        facts=(fact_line("dns.not-default-bridge"), fact_line("publish.any-address")),
        verdicts=(verdict_line("publish.any-address", Verdict.INCONCLUSIVE),),
    )

    end = merge(shards(whole), run_id="m").record.end

    assert end is not None
    assert end.facts["not_exercised"] == 1
    assert exit_code(end, ()) == 3
