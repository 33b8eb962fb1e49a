"""A run as a user starts it: exit code, record, page, JUnit and Allure, all of one mind."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from netfacts.catalogue import load
from netfacts.model.verdict import Verdict
from netfacts.verdict import merge
from reports.page import render
from reports.record import Record, read
from selftests.whole.conftest import Start

_STATUS = {
    "passed": Verdict.CONFORMS,
    "failed": Verdict.DEVIATES,
    "broken": Verdict.INCONCLUSIVE,
    "skipped": Verdict.NOT_EXERCISED,
}


def recorded(record: Record) -> dict[str, Verdict]:
    """The verdict of each fact by the record."""
    facts = dict.fromkeys(line.fact for line in record.verdicts)
    return {fact: merge(line.verdict for line in record.verdicts if line.fact == fact) for fact in facts}


def junit(out: Path) -> dict[str, Verdict]:
    """The verdict of each fact by JUnit: a failure deviates, an error is inconclusive, a skip is not exercised."""
    found: dict[str, list[Verdict]] = {}
    for case in ElementTree.parse(out / "junit.xml").iter("testcase"):
        kinds = {child.tag for child in case}
        verdict = (
            Verdict.DEVIATES
            if "failure" in kinds
            else Verdict.INCONCLUSIVE
            if "error" in kinds
            else Verdict.NOT_EXERCISED
            if "skipped" in kinds
            else Verdict.CONFORMS
        )
        fact = next(one.get("value", "") for one in case.iter("property") if one.get("name") == "fact")
        found.setdefault(fact, []).append(verdict)
    return {fact: merge(verdicts) for fact, verdicts in found.items()}


def allure(out: Path) -> dict[str, Verdict]:
    """The verdict of each fact by Allure."""
    found: dict[str, list[Verdict]] = {}
    for path in (out / "allure-results").glob("*-result.json"):
        result = json.loads(path.read_text())
        fact = next(label["value"] for label in result["labels"] if label["name"] == "fact")
        found.setdefault(fact, []).append(_STATUS[result["status"]])
    return {fact: merge(verdicts) for fact, verdicts in found.items()}


def shown(out: Path) -> dict[str, Verdict]:
    """The verdict of each fact by the page."""
    html = (out / "index.html").read_text()
    pairs = re.findall(r'<details class="fact (\w+)"[^>]*?id="fact-([^"]+)"', html)
    return {fact: Verdict(verdict) for verdict, fact in pairs}


@pytest.mark.parametrize("workers", ["0", "1"])
def test_run_of_an_area_conforms_and_all_its_reports_agree(checkout: Path, start: Start, workers: str) -> None:
    run = start(checkout, "-k", "dns", "-n", workers)

    assert run.wait() == 0, run.said()
    run.until_nothing_is_left()
    record = read(run.out)
    verdicts = recorded(record)
    facts = {fact.id for fact in load(checkout / "facts")}
    assert verdicts == dict.fromkeys(facts, Verdict.CONFORMS)
    assert junit(run.out) == allure(run.out) == shown(run.out) == verdicts
    assert {line.worker for line in record.verdicts} == ({"gw0"} if workers == "1" else {""})
    assert record.end is not None
    assert not record.interrupted
    assert record.end.facts == {
        "total": len(facts),
        "exercised": len(facts),
        "conforms": len(facts),
        "deviates": 0,
        "inconclusive": 0,
        "not_exercised": 0,
    }
    # Some labs have two hosts.
    assert 0 < record.end.labs <= record.end.engines
    assert record.end.containers > 0
    assert record.run.engine.spec
    assert (run.out / "index.html").read_text() == render(record)
    assert "all conform on Docker Engine" in run.said()
    assert str(run.out / "index.html") in run.said().replace("\n", "")
    assert sorted(path.name for path in run.out.iterdir()) == [
        "allure-results",
        "index.html",
        "junit.xml",
        "record.jsonl",
    ]
    assert run.cgroups() == []
    assert (run.out.parent / "latest").resolve() == run.out.resolve()
