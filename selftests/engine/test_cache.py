"""The cache's entries: held while they are used, removed whole, readable whatever lies beside them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netfacts.engine import cache as engine_cache
from netfacts.engine.cache import entries, in_use, newest, remove
from netfacts.engine.source import add, resolve
from netfacts.lab.stamp import stamp
from netfacts.lab.wait import until
from netfacts.model.errors import EngineError, UsageError
from selftests.engine.conftest import FILES, ROOT, Fake, left, packages


def held_by_another(spec: str) -> subprocess.Popen[str]:
    """Start a process that uses an engine until its input ends."""
    code = (
        f"import sys; from netfacts.engine import resolve; print(resolve({spec!r}).root, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip()
    return process


def test_engine_that_nobody_uses_is_removed_as_a_whole(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap()
    entry = add("debian:bookworm")

    assert not in_use(entry)
    remove(entry)

    assert left(cache) == []
    assert entries() == []


def test_engine_is_not_removed_while_another_process_uses_it(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap()
    entry = add("debian:bookworm")
    process = held_by_another("debian:bookworm")
    try:
        assert in_use(entry)
        with pytest.raises(UsageError) as caught:
            remove(entry)
    finally:
        process.communicate(timeout=20)

    assert caught.value.attempted == f"{entry.name} is in use"
    assert caught.value.returned == f"by process {process.pid}"
    assert (entry.path / "usr/sbin/dockerd").exists()
    assert not in_use(entry)
    remove(entry)
    assert left(cache) == []


def test_killed_process_uses_nothing_any_more(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap()
    entry = add("debian:bookworm")
    process = held_by_another("debian:bookworm")

    process.kill()
    process.communicate()

    assert not in_use(entry)


def test_engine_is_used_by_many_at_once(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap()
    entry = add("debian:bookworm")
    processes = [held_by_another("debian:bookworm") for _ in range(2)]

    processes[0].communicate(timeout=20)
    still = in_use(entry)
    processes[1].communicate(timeout=20)

    assert still
    assert not in_use(entry)


def test_what_a_process_itself_uses_is_in_use(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap()
    resolve("debian:bookworm")
    resolve("debian:bookworm")
    (entry,) = entries()

    assert in_use(entry)
    with pytest.raises(UsageError, match="is in use"):
        remove(entry)


def test_use_is_of_one_engine_and_not_of_its_spec(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap()
    resolve("debian:bookworm")
    old = newest("debian:bookworm")
    mmdebstrap(FILES + packages("20.10.24+dfsg1-2"))
    new = add("debian:bookworm")
    assert old is not None

    remove(new)

    assert left(cache) == [old.name]


def test_engine_that_goes_between_finding_and_holding_is_had_anew(
    mmdebstrap: Fake, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = mmdebstrap()
    add("debian:bookworm")
    held = engine_cache.hold
    attempts: list[bool] = []

    def hold(entry: engine_cache.Entry) -> bool:
        if not attempts:
            remove(entry)
        attempts.append(held(entry))
        return attempts[-1]

    monkeypatch.setattr(engine_cache, "hold", hold)
    root = resolve("debian:bookworm").root

    assert attempts == [False, True]
    assert root is not None
    assert root.is_dir()
    assert calls.read_text().count("--variant=extract") == 2


def test_removing_what_is_gone_already_is_no_error(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap()
    entry = add("debian:bookworm")
    shutil.rmtree(entry.path)

    remove(entry)

    assert not in_use(entry)


def test_removing_that_was_killed_half_way_is_ended_by_the_next_adding(mmdebstrap: Fake, cache: Path) -> None:
    """What is being removed has a stamp for a name from its first moment on."""
    mmdebstrap()
    dead = subprocess.run(
        [sys.executable, "-c", "from netfacts.lab.stamp import stamp; print(stamp('removed-00'))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (cache / dead / "usr").mkdir(parents=True)
    (cache / dead.replace("removed", "manifest")).write_text("{")
    alive = cache / stamp("removed-01")
    alive.mkdir()

    assert entries() == []
    entry = add("debian:bookworm")

    assert left(cache) == sorted([alive.name, entry.name])


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"spec": "debian:bookworm"}', b"\xff\xfe", b'{"added_at": "yesterday"}']
)
def test_unreadable_manifest_leaves_an_engine_that_is_not_used_but_can_be_removed(
    mmdebstrap: Fake, cache: Path, text: bytes
) -> None:
    mmdebstrap()
    broken = add("debian:bookworm")
    (broken.path / ".netfacts.json").write_bytes(text)
    mmdebstrap(FILES + packages("20.10.24+dfsg1-2"))

    root = resolve("debian:bookworm").root

    assert root != broken.path
    last = entries()[-1]
    assert (last.name, last.manifest.spec, last.manifest.version) == (broken.name, "?", "?")
    remove(last)
    assert not broken.path.exists()


def test_manifest_of_a_later_netfacts_is_read_as_far_as_it_is_known(mmdebstrap: Fake, cache: Path) -> None:
    calls = mmdebstrap()
    entry = add("debian:bookworm")
    file = entry.path / ".netfacts.json"
    file.write_text(json.dumps({**json.loads(file.read_bytes()), "novelty": [1]}))

    assert resolve("debian:bookworm").root == entry.path
    assert calls.read_text().count("--variant=extract") == 1


def test_cached_engine_needs_neither_mmdebstrap_nor_a_cache_that_can_be_written_to(
    mmdebstrap: Fake, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mmdebstrap()
    entry = add("debian:bookworm")
    monkeypatch.setenv("PATH", "/nonexistent")

    def refuse(*_: object, **__: object) -> None:
        raise EngineError("not to be called")

    monkeypatch.setattr(engine_cache, "_locked", refuse)
    monkeypatch.setattr(engine_cache, "write_manifest", refuse)

    assert resolve("debian:bookworm").root == entry.path


def test_links_in_the_cache_are_no_entries(mmdebstrap: Fake, cache: Path, tmp_path: Path) -> None:
    mmdebstrap()
    entry = add("debian:bookworm")
    (cache / "debian-link").symlink_to(entry.path)

    assert [found.name for found in entries()] == [entry.name]


def test_size_is_what_it_takes_on_disk(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap(FILES + packages() + 'head -c 10000000 /dev/zero >"$target/big"; ln "$target/big" "$target/same"\n')

    size = add("debian:bookworm").manifest.size_bytes

    # The rest is busybox.
    assert 10_000_000 <= size < 15_000_000


def test_cache_that_is_a_file_is_refused_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netfacts").mkdir()
    (tmp_path / "netfacts" / "engines").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    with pytest.raises(EngineError) as caught:
        entries()

    assert caught.value.where == str(tmp_path / "netfacts" / "engines")
    assert caught.value.returned == os.strerror(20)


def test_waiting_for_another_is_told(mmdebstrap: Fake, cache: Path, tmp_path: Path) -> None:
    go = tmp_path / "go"
    calls = mmdebstrap(f"until [ -e {go} ]; do sleep 0.05; done\n" + FILES + packages())
    code = (
        "from netfacts.engine import resolve; resolve('debian:bookworm', progress=lambda step: print(step, flush=True))"
    )
    argv = [sys.executable, "-c", code]
    first = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    until(calls.exists, what="the first to be at work", timeout_s=20)
    second = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert second.stdout is not None
    told = second.stdout.readline()
    go.touch()

    assert told == "debian:bookworm: waiting for another netfacts that is adding it\n"
    assert first.wait(20) == second.wait(20) == 0
    first.communicate()
    second.communicate()
