"""What is not exactly as documented is refused, with file, entry, what came back and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from netfacts.catalogue import load
from netfacts.model.errors import UsageError
from selftests.catalogue.conftest import ENTRY, Write

KEYS = "claim, sources, lab, expect, show, note, accuracy, needs, carried"


def refused(folder: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        load(folder)
    assert caught.value.exit_code == 4
    return caught.value


def test_good_entry_is_read(write: Write) -> None:
    (fact,) = load(write())

    assert (fact.id, fact.area, fact.lab, fact.needs, fact.note) == ("dns.scope", "dns", "one-host", (), "")


def test_wrong_key_is_refused_with_file_and_entry(write: Write) -> None:
    folder = write(ENTRY + 'claims = "twice"\n')

    error = refused(folder)

    assert error.where == f"[dns.scope] in {folder / 'dns.toml'}"
    assert "`claims`" in error.returned
    assert error.remedy == f"the keys are {KEYS}"


def test_wrong_key_of_an_expectation_is_refused_with_its_place(write: Write) -> None:
    error = refused(write(ENTRY.replace("outcome =", "result =")))

    assert "[dns.scope]" in error.where
    assert "result" in error.returned or "outcome" in error.returned
    assert "$.expect[0]" in error.returned


def test_unknown_need_is_refused_with_those_that_there_are(write: Write) -> None:
    error = refused(write(ENTRY + 'needs = ["vxlan", "ipvs"]\n'))

    assert "ipvs" in error.attempted
    assert "vxlan" not in error.attempted
    assert "br_netfilter, vxlan" in error.remedy


@pytest.mark.parametrize("field", ["claim", "sources", "lab", "show", "expect"])
def test_missing_field_is_refused_by_name(write: Write, field: str) -> None:
    lines = [line for line in ENTRY.splitlines() if not line.startswith(field)]

    error = refused(write("\n".join(lines)))

    assert f"`{field}`" in error.returned
    assert "[dns.scope]" in error.where


@pytest.mark.parametrize(("field", "empty"), [("claim", '""'), ("sources", "[]"), ("show", "[]"), ("expect", "[]")])
def test_empty_field_is_refused_by_name(write: Write, field: str, empty: str) -> None:
    lines = [f"{field} = {empty}" if line.startswith(field) else line for line in ENTRY.splitlines()]

    error = refused(write("\n".join(lines)))

    assert error.attempted == f"a fact needs its `{field}`"
    assert "[dns.scope]" in error.where


def test_unknown_lab_is_refused_with_the_known_ones(write: Write) -> None:
    error = refused(write(ENTRY.replace("one-host", "one-hots")))

    assert error.attempted == "no lab is shaped 'one-hots'"
    known = "one-host, host-and-outside, two-hosts, routed, underlay, fabric, hosts-N, routed-hosts-N"
    assert error.remedy == f"one of {known}"
    assert "[dns.scope]" in error.where


@pytest.mark.parametrize("engine", ["20.10 and later", ">=20.10 <28", ">=", "latest", ">=20.10,<x"])
def test_range_that_can_not_be_read_is_refused(write: Write, engine: str) -> None:
    error = refused(write(ENTRY.replace(">=20.10", engine)))

    assert error.attempted == "a range of engine versions can't be read"
    assert engine.rpartition(",")[2] in error.returned
    assert "[dns.scope]" in error.where


def test_unknown_outcome_is_refused_by_name(write: Write) -> None:
    assert "'works'" in refused(write(ENTRY.replace("holds", "works"))).returned


def test_entry_that_stands_twice_in_two_files_is_refused_with_both(write: Write) -> None:
    write()
    error = refused(write(name="names.toml"))

    assert error.attempted == "fact dns.scope stands twice"
    assert error.where == "names.toml and dns.toml"


def test_entry_that_stands_twice_in_one_file_is_refused(write: Write) -> None:
    folder = write(ENTRY + ENTRY)

    error = refused(folder)

    assert error.where == str(folder / "dns.toml")
    assert "at line" in error.returned


def test_broken_toml_is_refused_with_file_and_line(write: Write) -> None:
    folder = write(ENTRY + "claim = \n")

    error = refused(folder)

    assert error.attempted == "could not read the catalogue"
    assert error.where == str(folder / "dns.toml")
    assert "at line 7" in error.returned


@pytest.mark.parametrize("data", [b"\xff\xfe", b'[dns.scope]\nclaim = "\xe9"\n'], ids=["bom", "latin-1"])
def test_file_of_another_encoding_is_refused_with_its_name(write: Write, data: bytes) -> None:
    assert refused(write(data)).where.endswith("/dns.toml")


def test_file_that_can_not_be_read_is_refused_with_its_name(write: Write) -> None:
    folder = write()
    (folder / "folder.toml").mkdir()

    error = refused(folder)

    assert error.attempted == "could not read the catalogue"
    assert error.where == str(folder / "folder.toml")


@pytest.mark.parametrize("accuracy", ["imprecise", "outdated", "wrong"])
def test_accuracy_without_a_note_is_refused(write: Write, accuracy: str) -> None:
    error = refused(write(ENTRY + f'accuracy = "{accuracy}"\n'))

    assert error.attempted == f"`accuracy = '{accuracy}'` needs a `note` that says how"
    assert "[dns.scope]" in error.where


def test_accuracy_with_a_note_is_read(write: Write) -> None:
    (fact,) = load(write(ENTRY + 'accuracy = "wrong"\nnote = "It is not."\n'))

    assert (fact.accuracy.value, fact.note) == ("wrong", "It is not.")


@pytest.mark.parametrize("name", ["dns.Scope_1", 'dns."a.b"', "Dns.scope", '"".scope', 'dns.""', "dns.-x"])
def test_name_of_another_form_is_refused(write: Write, name: str) -> None:
    error = refused(write(ENTRY.replace("[dns.scope]", f"[{name}]")))

    assert error.attempted == "a fact's name must read like `dns.not-default-bridge`"


@pytest.mark.parametrize("text", ['title = "x"', "[dns]\nscope = 1", "[[dns]]\nclaim = 1", "[dns]\nscope = [1]"])
def test_table_of_another_form_is_refused(write: Write, text: str) -> None:
    assert refused(write(text)).where


def test_folder_without_facts_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        error = refused(folder)
        assert error.where == str(folder)
        assert error.remedy == "run netfacts from its checkout"
