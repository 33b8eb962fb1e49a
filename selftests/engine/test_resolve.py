"""Engine specs: what names an engine, and what is refused with a way out."""

from __future__ import annotations

import datetime
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfacts.engine import Installation, cache, resolve, suite
from netfacts.engine.cache import Entry, Manifest
from netfacts.model.errors import EngineError, UsageError

PROGRAMS = ("dockerd", "containerd", "runc")


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What would have been unpacked."""
    calls: list[tuple[str, str]] = []
    replace(monkeypatch, calls)
    return calls


def replace(monkeypatch: pytest.MonkeyPatch, calls: list[tuple[str, str]]) -> None:
    """Have what would be unpacked noted, and nothing done."""

    def unpacked(distribution: str, name: str, *, fresh: bool, progress: object) -> Entry:
        calls.append((distribution, name))
        now = datetime.datetime.now(datetime.UTC)
        manifest = Manifest(spec=f"{distribution}:{name}", version="1", digest="0", size_bytes=0, added_at=now)
        return Entry(Path("/unpacked"), manifest)

    monkeypatch.setattr(suite, "unpacked", unpacked)
    monkeypatch.setattr(suite, "adopt", lambda: None)
    monkeypatch.setattr(cache, "hold", lambda _: True)


def put(folder: Path, *programs: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for program in programs:
        (folder / program).write_text("#!/bin/sh\n")
        (folder / program).chmod(0o755)


@pytest.mark.parametrize(
    "spec",
    [
        *("", "bogus", "bogus:bookworm", "debian", "debian:", "ubuntu:", "rootfs", "rootfs:", "auto:x", "system:x"),
        *("Debian:bookworm", "debian:Bookworm", "debian:book worm", " debian:bookworm", "debian:bookworm\n"),
        *("debian:../../etc", "debian:..", "debian:.", "debian:a/b", "debian:/etc", "debian:-x", "debian:a;b"),
        *("debian:bookworm:x", "debian:" + "a" * 300, "docker:28", "debian:a\0b"),
        *("static", "static:", "static:/x\0y", "version", "version:", "version:28", "version:28.5", "version:v28.5.2"),
        *("version:28.5.2/..", "version:../28.5.2", "version:28.5.2 ", "version:28.5.2+dfsg1", "version:latest"),
    ],
)
def test_spec_that_names_no_engine_is_refused_with_the_kinds(unpacked: list[object], spec: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(spec)

    assert caught.value.exit_code == 4
    assert repr(spec) in caught.value.attempted
    assert caught.value.remedy == (
        "an engine is auto, system, debian:SUITE, ubuntu:SUITE, static:PATH, version:X.Y.Z or rootfs:PATH"
    )
    assert unpacked == []


@given(st.text() | st.text("debian:ubto./-\n"))
def test_no_spec_reaches_a_folder_outside_the_cache(spec: str) -> None:
    reached: list[tuple[str, str]] = []
    patch = pytest.MonkeyPatch()
    replace(patch, reached)
    try:
        resolve(spec, os_release=Path("/nonexistent"))
    except (UsageError, EngineError):
        pass
    finally:
        patch.undo()

    names = ["-".join(one) for one in reached]
    assert all("/" not in name and ".." not in Path(name).parts and len(name) < 200 for name in names)


@pytest.mark.parametrize(
    ("spec", "asked"),
    [
        ("debian:bookworm", ("debian", "bookworm")),
        ("debian:trixie-backports", ("debian", "trixie-backports")),
        ("ubuntu:noble", ("ubuntu", "noble")),
    ],
)
def test_suite_is_unpacked(unpacked: list[tuple[str, str]], spec: str, asked: tuple[str, str]) -> None:
    assert resolve(spec) == Installation(spec, Path("/unpacked"))
    assert unpacked == [asked]


# -- rootfs


def test_rootfs_that_is_not_there_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(f"rootfs:{tmp_path / 'none'}")

    assert caught.value.where == str(tmp_path / "none")


def test_rootfs_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match="is not there"):
        resolve(f"rootfs:{tmp_path / 'file'}")


@pytest.mark.parametrize("missing", PROGRAMS)
def test_rootfs_without_a_program_is_refused_with_its_name(tmp_path: Path, missing: str) -> None:
    put(tmp_path / "usr" / "sbin", *(name for name in PROGRAMS if name != missing))

    with pytest.raises(UsageError) as caught:
        resolve(f"rootfs:{tmp_path}")

    assert caught.value.where == str(tmp_path)
    assert caught.value.returned.endswith(f": {missing}")


def test_rootfs_may_have_its_programs_in_any_of_the_usual_folders(tmp_path: Path) -> None:
    for folder, program in zip(("usr/bin", "usr/sbin", "usr/local/bin"), PROGRAMS, strict=True):
        put(tmp_path / folder, program)

    assert resolve(f"rootfs:{tmp_path}") == Installation(f"rootfs:{tmp_path}", tmp_path.resolve())


def test_rootfs_of_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "root" / "usr" / "bin", *PROGRAMS)
    monkeypatch.chdir(tmp_path)

    assert resolve("rootfs:root").root == tmp_path.resolve() / "root"


# -- system and auto


@pytest.mark.parametrize("present", [(), ("dockerd",), ("containerd", "runc")], ids=["none", "dockerd", "others"])
def test_system_without_an_engine_on_path_is_refused_with_what_is_missing(
    bin_only: Path, present: tuple[str, ...]
) -> None:
    put(bin_only, *present)

    with pytest.raises(UsageError) as caught:
        resolve("system")

    missing = [name for name in PROGRAMS if name not in present]
    assert caught.value.attempted == "there is no Docker Engine on this machine's PATH"
    assert caught.value.returned == f"not found: {', '.join(missing)}"
    assert "--engine debian:bookworm" in caught.value.remedy


@pytest.mark.parametrize("spec", ["system", "auto"])
def test_engine_on_path_is_the_system_s(bin_only: Path, spec: str) -> None:
    put(bin_only, *PROGRAMS)

    assert resolve(spec) == Installation("system", None)


@pytest.mark.parametrize(
    ("release", "asked"),
    [
        ('ID=debian\nVERSION_CODENAME=bookworm\nPRETTY_NAME="Debian GNU/Linux 12"\n', ("debian", "bookworm")),
        ('NAME="Ubuntu"\nID="ubuntu"\nVERSION_CODENAME="noble"\n', ("ubuntu", "noble")),
        ("\n# comment\nID=debian\nVERSION_CODENAME=trixie\nODD\n", ("debian", "trixie")),
    ],
)
def test_auto_takes_the_machine_s_own_suite_when_no_engine_is_on_path(
    bin_only: Path, tmp_path: Path, unpacked: list[tuple[str, str]], release: str, asked: tuple[str, str]
) -> None:
    (tmp_path / "os-release").write_text(release)

    assert resolve("auto", os_release=tmp_path / "os-release").spec == ":".join(asked)
    assert unpacked == [asked]


@pytest.mark.parametrize(
    ("release", "said"),
    [
        ("ID=fedora\nVERSION_CODENAME=\n", "fedora is neither Debian nor Ubuntu"),
        ("ID=arch\n", "arch is neither"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_CODENAME=wilma\n', "linuxmint is neither"),
        ("ID=debian\n", "no dockerd on PATH"),
        ("", "this system is neither"),
        (None, "this system is neither"),
    ],
)
def test_auto_on_another_distribution_is_refused_with_the_kinds(
    bin_only: Path, tmp_path: Path, unpacked: list[object], release: str | None, said: str
) -> None:
    path = tmp_path / "os-release"
    if release is not None:
        path.write_text(release)

    with pytest.raises(EngineError) as caught:
        resolve("auto", os_release=path)

    assert said in caught.value.returned
    assert "debian:SUITE" in caught.value.remedy
    assert unpacked == []


def test_suite_without_mmdebstrap_is_refused_with_its_package(cache: Path, bin_only: Path) -> None:
    with pytest.raises(UsageError) as caught:
        resolve("debian:bookworm")

    assert "apt-get install mmdebstrap" in caught.value.remedy
    assert [path.name for path in cache.iterdir() if not path.name.endswith(".lock")] == []


def test_cache_that_can_not_be_made_is_refused_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    with pytest.raises(EngineError) as caught:
        resolve("debian:bookworm")

    assert caught.value.where == str(tmp_path / "file" / "netfacts" / "engines")
    assert os.strerror(20) in caught.value.returned
