"""Programs that labs run: unpacked once, never taken from the machine's PATH, and what to do where they can't be."""

from __future__ import annotations

from pathlib import Path

import pytest

from netfacts.cli.doctor import _stock
from netfacts.engine import cache as engine_cache
from netfacts.engine import packaged
from netfacts.engine.program import BIRD, ETCD, PROGRAMS, Program, obstacle, ready
from netfacts.engine.recipe import NEED
from netfacts.engine.stock import PACKAGED, STOCK, missing_stock
from netfacts.model.errors import EngineError, UsageError
from netfacts.model.fact import NEEDS
from selftests.engine.conftest import FILES, Fake, left

_VERSION = "3.4.23-4+b4"
_GOOD = f'{FILES}\necho "netfacts-package etcd-server {_VERSION}"\necho "netfacts-package libc6 2.36"\n'

_EACH = pytest.mark.parametrize("program", PROGRAMS.values(), ids=lambda one: one.name)


@pytest.fixture(autouse=True)
def suite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaged, "own_suite", lambda: "debian:bookworm")
    monkeypatch.setattr("os.geteuid", lambda: 0)


def test_program_is_unpacked_once_and_held(mmdebstrap: Fake, cache: Path) -> None:
    calls = mmdebstrap(_GOOD)

    first, second = ready(ETCD), ready(ETCD)

    assert first == second
    assert (first.program, first.version, first.root) == (ETCD, _VERSION, first.entry.path / "root")
    assert (first.root / "usr/bin/tool").exists()
    assert (first.root / "bin").is_symlink()
    assert left(cache) == [first.entry.name]
    assert first.entry.name.startswith("program-etcd-3.4.23-4+b4-")
    assert engine_cache.in_use(first.entry)
    said = calls.read_text()
    assert said.count("--variant=extract") == 1
    assert "--include=etcd-server,etcd-client " in said


def test_program_of_other_packages_is_not_taken_for_it(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap(_GOOD)
    old = ready(ETCD)

    new = ready(Program("etcd", main="etcd-server", packages=("etcd-server",)))

    assert left(cache) == sorted([old.entry.name, new.entry.name])


def test_program_that_can_not_be_unpacked_leaves_nothing(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap("echo 'E: Unable to locate package etcd-server'\nexit 100\n")

    with pytest.raises(EngineError) as caught:
        ready(ETCD)

    assert "Unable to locate package etcd-server" in caught.value.returned
    assert left(cache) == []


# -- a machine without mmdebstrap, and an empty cache


@_EACH
def test_what_is_to_be_done_names_the_package(program: Program, cache: Path, bin_only: Path) -> None:
    assert obstacle(program) == f"apt-get install mmdebstrap, which unpacks {program.package} (`./toxw` does so)"


@_EACH
def test_program_that_can_not_be_had_is_refused_with_what_to_do(program: Program, cache: Path, bin_only: Path) -> None:
    with pytest.raises(UsageError) as caught:
        ready(program)

    assert caught.value.remedy.startswith("apt-get install mmdebstrap")
    assert left(cache) == []


def test_program_on_the_machine_s_own_path_changes_nothing(cache: Path, bin_only: Path) -> None:
    for name in ("etcd", "etcdctl"):
        (bin_only / name).write_text("#!/bin/sh\n")
        (bin_only / name).chmod(0o755)

    assert "etcd-server" in obstacle(ETCD)


def test_all_that_can_not_be_had_is_missing_under_the_name_that_facts_have_for_it(cache: Path, bin_only: Path) -> None:
    missing = missing_stock()

    assert list(missing) == [NEED, "etcd", "bird"]
    assert "mariadb-server-core" in missing[NEED]
    assert "etcd-server" in missing["etcd"]
    assert "bird2" in missing["bird"]


@_EACH
def test_doctor_says_what_is_missing(program: Program, cache: Path, bin_only: Path) -> None:
    result = _stock(program.name, True)

    assert (result.state, result.what) == ("lacks", program.package)
    assert result.remedy == obstacle(program)


def test_doctor_shows_what_is_unpacked(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap(_GOOD)
    before = _stock("etcd", True)

    ready(ETCD)

    assert (before.state, before.means) == ("ok", "not unpacked yet; that is done when a check first needs it")
    assert _stock("etcd", True).means == f"program:etcd ({_VERSION})"


# -- and one on which nobody may unpack


def test_who_is_not_root_is_told(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    assert obstacle(BIRD).startswith("unpacking bird2 needs root: sudo ")


def test_system_without_a_suite_is_told(mmdebstrap: Fake, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise EngineError("no engine could be chosen", returned="gentoo is neither Debian nor Ubuntu")

    mmdebstrap(_GOOD)
    monkeypatch.setattr(packaged, "own_suite", fail)

    said = obstacle(ETCD)
    assert said == "what this machine's suite has is unpacked, etcd-server here: gentoo is neither Debian nor Ubuntu"


def test_nothing_is_to_be_done_where_it_is_in_the_cache(
    mmdebstrap: Fake, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mmdebstrap(_GOOD)
    ready(ETCD)

    monkeypatch.setenv("PATH", "/nowhere")

    assert obstacle(ETCD) == ""


def test_every_spec_and_need_is_known_once() -> None:
    assert set(PACKAGED) == {one.spec for wanted in STOCK.values() for one in wanted}
    assert {program.name for program in PROGRAMS.values()} <= NEEDS.keys() & STOCK.keys()
