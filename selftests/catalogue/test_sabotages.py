"""Sabotages as they are read from the source are those that importing the suites registers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from netfacts.catalogue import load
from netfacts.catalogue.sabotages import SUITES, Sabotage, read_sabotages
from netfacts.model.errors import UsageError
from netfacts.model.fact import engine_version
from netfacts.model.verdict import Expected

SUITE = """\
from fixtures.sabotage import flags, strike, tamper

@strike("dns.scope", "the names are lost")
def _(stage): ...

@tamper("dns.scope", "the engine ignores "
        "--network", engines=">=28")
def _(request):
    return strike("dns.none", "not registered when this is imported")

flags("dns.ttl", "--dns", "198.51.100.1", engines="<28")
"""


# In a process of its own: in this one other selftests may have registered sabotages of theirs.
IMPORT = """
import importlib, json, sys
from fixtures.sabotage import SABOTAGES
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps({fact: [(one.title, one.engines) for one in found] for fact, found in SABOTAGES.items()}))
"""


def test_read_are_just_those_that_importing_registers() -> None:
    root = SUITES.parent
    modules = [
        ".".join(path.relative_to(root).with_suffix("").parts)
        for path in sorted(SUITES.rglob("*.py"))
        if path.name != "__init__.py"
    ]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, *modules], cwd=root, check=True, capture_output=True, text=True, timeout=60
    )
    registered = json.loads(done.stdout)

    read = {fact: [[one.title, one.engines] for one in found] for fact, found in read_sabotages().items()}

    assert read == registered


def test_every_fact_has_a_sabotage_and_every_sabotage_a_fact() -> None:
    assert set(read_sabotages()) == {fact.id for fact in load()}


@pytest.mark.parametrize("engine", ["20.10.24", "23.0.6", "24.0.9", "25.0.6", "26.1.5", "27.5.1", "28.5.2", "29.0.0"])
def test_every_fact_has_a_sabotage_for_every_engine_that_it_is_of(engine: str) -> None:
    version, sabotages = engine_version(engine), read_sabotages()

    bare = [
        fact.id
        for fact in load()
        if fact.expectation(version).outcome is not Expected.ABSENT
        and not any(version in SpecifierSet(one.engines) for one in sabotages[fact.id])
    ]

    assert bare == []


def test_all_kinds_are_read(tmp_path: Path) -> None:
    (tmp_path / "test_names.py").write_text(SUITE)

    assert read_sabotages(tmp_path) == {
        "dns.scope": [
            Sabotage("dns.scope", "the names are lost", ""),
            Sabotage("dns.scope", "the engine ignores --network", ">=28"),
        ],
        "dns.ttl": [Sabotage("dns.ttl", "dockerd --dns 198.51.100.1", "<28")],
    }


def test_those_of_one_fact_are_read_alone(tmp_path: Path) -> None:
    (tmp_path / "test_names.py").write_text(SUITE)
    (tmp_path / "test_others.py").write_text("this is no Python, and not looked at? ")

    assert list(read_sabotages(tmp_path, of="dns.ttl")) == ["dns.ttl"]
    assert read_sabotages(tmp_path, of="dns.none") == {}


def test_title_that_is_not_written_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_names.py").write_text(SUITE.replace('"dns.ttl"', "NAME"))

    with pytest.raises(UsageError, match="written out") as caught:
        read_sabotages(tmp_path)

    assert caught.value.where == f"{tmp_path / 'test_names.py'}, line 11"
    assert caught.value.returned == "NAME"


def test_file_that_is_no_python_is_refused(tmp_path: Path) -> None:
    (tmp_path / "test_names.py").write_text("def")

    with pytest.raises(UsageError, match="could not read"):
        read_sabotages(tmp_path)
