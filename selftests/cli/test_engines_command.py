"""`netfacts engines`: what is in the cache, what comes into it, and what goes out."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from netfacts.cli.main import main
from selftests.cli.conftest import ROOT, Netfacts
from selftests.engine.conftest import bundle, left

Engines = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The folder of engines, which is not there yet."""
    return tmp_path / "cache" / "netfacts" / "engines"


@pytest.fixture
def engines(netfacts: Netfacts, tmp_path: Path) -> Engines:
    """Starts `netfacts engines` with a cache of its own and no configuration of the caller's."""

    def start(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        own = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "NETFACTS_ENGINE_URL": "", "NETFACTS_ENGINE_CHECKSUMS": ""}
        return netfacts("engines", *arguments, **(own | environment))

    return start


@pytest.fixture
def bundles(tmp_path: Path) -> tuple[Path, Path]:
    """Two bundles."""
    paths = tmp_path / "old.tgz", tmp_path / "new.tgz"
    for path, version in zip(paths, ("28.5.2", "29.0.0"), strict=True):
        path.write_bytes(bundle(version))
    return paths


def test_empty_cache_says_where_it_is_and_how_it_fills(engines: Engines, cache: Path) -> None:
    done = engines("list")

    assert done.returncode == 0
    assert done.stdout == f"no engines in {cache}; `netfacts engines add SPEC` adds one, and so does a run\n"
    assert not cache.exists()


def test_engine_is_added_listed_and_removed(engines: Engines, cache: Path, bundles: tuple[Path, Path]) -> None:
    old, _ = bundles

    added = engines("add", f"static:{old}")
    (name,) = left(cache)
    listed = engines("list")
    removed = engines("remove", name)

    assert [done.returncode for done in (added, listed, removed)] == [0, 0, 0]
    assert added.stdout.splitlines()[0] == f"static:{old}: unpacking"
    assert added.stdout.splitlines()[1].startswith(f"added {name} (Docker Engine 28.5.2, ")
    header, row = listed.stdout.splitlines()
    assert header.split() == ["name", "spec", "version", "size", "added", "in", "use"]
    assert row.split()[:3] == [name, f"static:{old}", "28.5.2"]
    assert not row.rstrip().endswith("yes")
    assert removed.stdout.startswith(f"removed {name} (")
    assert left(cache) == []


def test_adding_the_same_again_says_so(engines: Engines, cache: Path, bundles: tuple[Path, Path]) -> None:
    engines("add", f"static:{bundles[0]}")

    done = engines("add", f"static:{bundles[0]}")

    assert done.returncode == 0
    assert done.stdout.startswith(f"the same is there already: {left(cache)[0]} ")


def test_newest_is_listed_first(engines: Engines, bundles: tuple[Path, Path]) -> None:
    for path in bundles:
        engines("add", f"static:{path}")

    rows = engines("list").stdout.splitlines()[1:]

    assert [row.split()[2] for row in rows] == ["29.0.0", "28.5.2"]


def test_name_is_whole_in_a_narrow_pipe(engines: Engines, cache: Path, bundles: tuple[Path, Path]) -> None:
    engines("add", f"static:{bundles[0]}")

    assert left(cache)[0] in engines("list", COLUMNS="40").stdout


def test_spec_names_all_of_its_engines(engines: Engines, cache: Path, bundles: tuple[Path, Path]) -> None:
    old, new = bundles
    engines("add", f"static:{old}")
    old.write_bytes(new.read_bytes() + b"\0")
    engines("add", f"static:{old}")
    engines("add", f"static:{new}")

    done = engines("remove", f"static:{old}")

    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
    assert len(left(cache)) == 1


def used(cache: Path, spec: str) -> subprocess.Popen[str]:
    """Start a process that uses an engine until its input ends."""
    code = (
        "import sys; from netfacts.engine import cache; "
        f"print(cache.hold(cache.newest({spec!r})), flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(cache.parents[1])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "True\n"
    return process


def test_engine_in_use_is_listed_as_such_and_not_removed(
    engines: Engines, cache: Path, bundles: tuple[Path, Path]
) -> None:
    for path in bundles:
        engines("add", f"static:{path}")
    process = used(cache, f"static:{bundles[0]}")
    (name,) = (name for name in left(cache) if "28.5.2" in name)
    try:
        listed = engines("list")
        one = engines("remove", name)
        everything = engines("remove", "--all")
    finally:
        process.communicate(timeout=20)

    assert [row.rstrip().endswith("yes") for row in listed.stdout.splitlines()[1:]] == [False, True]
    assert one.returncode == 4
    assert f"{name} is in use (on {cache / name})" in one.stderr
    assert f"by process {process.pid}" in one.stderr
    assert everything.returncode == 4
    assert "removed static-29.0.0-" in everything.stdout
    assert f"in use, not removed: {name}" in everything.stderr
    assert left(cache) == [name]
    assert engines("remove", "--all").returncode == 0
    assert left(cache) == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("remove", "what is to be removed?"),
        ("remove x --all", "what is to be removed?"),
        ("remove debian:trixie", "there is no engine 'debian:trixie' in the cache"),
        ("remove ../../etc", "there is no engine '../../etc' in the cache"),
        ("add", "Missing argument 'SPEC'"),
        ("add bogus", "'bogus' names no engine"),
        ("add debian:../x", "'debian:../x' names no engine"),
        ("add auto", "auto is no engine of the cache"),
        ("add system", "system is no engine of the cache"),
        ("add rootfs:/", "rootfs is no engine of the cache"),
        ("add static:/nonexistent.tgz", "the bundle is not there (on /nonexistent.tgz)"),
        ("add version:28.5.2", "NETFACTS_ENGINE_URL is not set"),
        ("list extra", "extra"),
    ],
)
def test_what_can_not_be_meant_is_refused(
    cache: Path, line: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parents[1]))
    monkeypatch.delenv("NETFACTS_ENGINE_URL", raising=False)

    status = main(["engines", *line.split()])

    assert status == 4
    assert said in capsys.readouterr().err
    assert left(cache) == []


def test_engine_that_can_not_be_had_is_an_error(engines: Engines, cache: Path, tmp_path: Path) -> None:
    """No server there: exit code 3, in a few lines, and nothing left."""
    sums = tmp_path / "sums"
    sums.write_text(f"{'0' * 64}  docker-28.5.2.tgz\n")

    done = engines(
        *("add", "version:28.5.2"),
        NETFACTS_ENGINE_URL="http://127.0.0.1:1/docker-{version}.tgz",
        NETFACTS_ENGINE_CHECKSUMS=str(sums),
        no_proxy="*",
    )

    assert done.returncode == 3
    assert "could not download (on http://127.0.0.1:1/docker-28.5.2.tgz)" in done.stderr
    assert "Connection refused" in done.stderr
    assert left(cache) == []


def test_help_names_the_commands(engines: Engines) -> None:
    done = engines("--help")

    assert done.returncode == 0
    assert all(f"│ {command} " in done.stdout for command in ("list", "add", "remove"))


def test_another_s_cache_can_be_read_but_not_changed(unprivileged: Netfacts, bundles: tuple[Path, Path]) -> None:
    if os.geteuid() != 0:
        pytest.skip("a cache of someone else's needs root to make it: sudo ./toxw -e selftests")
    # Not below tmp_path, which nobody else may enter.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        own = {"XDG_CACHE_HOME": name}
        subprocess.run(
            [sys.executable, "-m", "netfacts", "engines", "add", f"static:{bundles[0]}"],
            cwd=ROOT,
            env={**os.environ, **own},
            check=True,
            stdout=subprocess.DEVNULL,
        )
        listed = unprivileged("engines", "list", **own)
        removed = unprivileged("engines", "remove", "--all", **own)
        added = unprivileged("engines", "add", "debian:bookworm", **own)

        assert listed.returncode == 0
        assert "28.5.2" in listed.stdout
        assert removed.returncode == 4
        assert "→ use sudo" in removed.stderr
        assert added.returncode == 3
        assert "could not write to the cache of engines" in added.stderr
        assert len(left(Path(name) / "netfacts" / "engines")) == 1


def test_what_a_bundle_calls_itself_is_listed_as_it_is(engines: Engines, tmp_path: Path) -> None:
    """And not taken for markup, nor by the terminal for an order."""
    odd = tmp_path / "[red]x[bold].tgz"
    odd.write_bytes(bundle("28.5.2\x1b[2J"))

    added = engines("add", f"static:{odd}")
    listed = engines("list")

    assert (added.returncode, listed.returncode) == (0, 0), added.stderr + listed.stderr
    assert "Docker Engine 28.5.2␛[2J" in added.stdout
    assert "[red]x[bold].tgz" in listed.stdout.replace("\n", "")
    assert "28.5.2␛[2J" in listed.stdout
    assert "\x1b" not in added.stdout + listed.stdout
