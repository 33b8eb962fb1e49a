"""The cache of engines: a final name means a whole engine, whoever unpacks at the same time or is killed meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from netfacts.engine import cache as engine_cache
from netfacts.engine.cache import _finish, _merge, unpack
from netfacts.lab.stamp import owner_is_dead
from netfacts.lab.wait import until
from netfacts.model.errors import EngineError
from selftests.engine.conftest import GOOD, Fake

ROOT = Path(__file__).resolve().parents[2]


def quiet(_: str) -> None:
    pass


def left(cache: Path) -> list[str]:
    """What stands in the cache, but for the locks."""
    return sorted(path.name for path in cache.iterdir() if not path.name.endswith(".lock"))


def test_engine_is_unpacked_once_and_found_from_then_on(mmdebstrap: Fake, cache: Path) -> None:
    calls = mmdebstrap()

    first = unpack("debian", "bookworm", progress=quiet)
    second = unpack("debian", "bookworm", progress=quiet)

    assert first == second == cache / "debian-bookworm"
    assert (first / "usr/sbin/dockerd").exists()
    assert left(cache) == ["debian-bookworm"]
    assert len(calls.read_text().splitlines()) == 1


def test_mmdebstrap_is_asked_for_an_engine_of_the_suite(mmdebstrap: Fake, cache: Path) -> None:
    calls = mmdebstrap()

    unpack("debian", "bookworm", progress=quiet)
    unpack("debian", "trixie", progress=quiet)

    bookworm, trixie = calls.read_text().splitlines()
    assert " bookworm " in bookworm
    assert "docker.io" in bookworm
    assert "docker-cli" not in bookworm
    assert "docker-cli" in trixie


def test_progress_is_told_step_by_step(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap('echo "I: running apt-get update..."\necho noise\necho "I: extracting archives..."\n' + GOOD)
    told: list[str] = []

    unpack("debian", "bookworm", progress=told.append)

    assert [line.partition(": ")[2] for line in told[1:]] == ["reading package lists", "unpacking"]
    assert all(line.startswith("debian:bookworm: ") for line in told)


def test_two_threads_that_unpack_the_same_suite_unpack_it_once(mmdebstrap: Fake, cache: Path) -> None:
    calls = mmdebstrap(GOOD)

    with ThreadPoolExecutor(4) as pool:
        roots = list(pool.map(lambda _: unpack("debian", "bookworm", progress=quiet), range(4)))

    assert set(roots) == {cache / "debian-bookworm"}
    assert len(calls.read_text().splitlines()) == 1
    assert left(cache) == ["debian-bookworm"]


def test_two_suites_that_are_unpacked_at_once_do_not_collide(mmdebstrap: Fake, cache: Path, tmp_path: Path) -> None:
    """Each waits until the other has begun: they are at work at the same time, in folders of their own."""
    meet = tmp_path / "meet"
    meet.mkdir()
    mmdebstrap(
        f'touch "{meet}/$$"\n'
        f'n=0; until [ "$(ls {meet} | wc -l)" -ge 2 ] || [ $n -ge 500 ]; do n=$((n + 1)); sleep 0.01; done\n'
        f'[ $n -lt 500 ] || {{ echo "nobody came"; exit 1; }}\n' + GOOD + 'echo "$*" >"$target/etc/suite"\n'
    )

    with ThreadPoolExecutor(2) as pool:
        trixie, forky = pool.map(lambda suite: unpack("debian", suite, progress=quiet), ("trixie", "forky"))

    assert left(cache) == ["debian-forky", "debian-trixie"]
    for root, suite in ((trixie, "trixie"), (forky, "forky")):
        assert f" {suite} " in (root / "etc/suite").read_text()
        assert (root / "usr/sbin/dockerd").exists()


def test_two_processes_that_unpack_the_same_suite_unpack_it_once(mmdebstrap: Fake, cache: Path) -> None:
    calls = mmdebstrap(GOOD)

    processes = [start() for _ in range(3)]
    said = [process.communicate(timeout=60)[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert {text.strip() for text in said} == {str(cache / "debian-bookworm")}
    assert len(calls.read_text().splitlines()) == 1


def test_unpacking_that_fails_leaves_nothing_and_says_why(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap('mkdir "$target/usr"\necho "E: The repository has no Release file." >&2\nexit 25\n')

    with pytest.raises(EngineError) as caught:
        unpack("debian", "nosuchsuite", progress=quiet)

    assert "could not unpack docker.io of debian nosuchsuite" in caught.value.attempted
    assert "exit status 25" in caught.value.returned
    assert "no Release file" in caught.value.returned
    assert caught.value.remedy
    assert left(cache) == []


def test_suite_without_an_engine_leaves_nothing(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap('mkdir "$target/usr"\n')

    with pytest.raises(EngineError, match="holds no dockerd"):
        unpack("debian", "bookworm", progress=quiet)

    assert left(cache) == []


def test_unpacking_that_takes_too_long_is_ended_and_leaves_nothing(
    mmdebstrap: Fake, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = mmdebstrap("exec sleep 60\n")
    monkeypatch.setattr(engine_cache, "_TIMEOUT_S", 0.2)

    with pytest.raises(EngineError, match="could not unpack") as caught:
        unpack("debian", "bookworm", progress=quiet)

    assert "no end after 0.2 s" in caught.value.returned
    assert left(cache) == []
    assert not Path(f"/proc/{calls.read_text().split()[0]}").exists()


def test_next_try_succeeds_after_one_that_failed(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap("exit 1\n")
    with pytest.raises(EngineError):
        unpack("debian", "bookworm", progress=quiet)

    mmdebstrap(GOOD)

    assert unpack("debian", "bookworm", progress=quiet).is_dir()


def test_unpacking_that_is_killed_half_way_is_swept_by_the_next(mmdebstrap: Fake, cache: Path) -> None:
    calls = mmdebstrap('mkdir "$target/half"\nexec sleep 60\n')
    process = start()
    (partial,) = until(
        lambda: [p for p in cache.glob("*") if (p / "half").exists()], what="a partial one", timeout_s=20
    )
    process.kill()
    process.wait()
    # A mmdebstrap does not end with its caller, but in its own time; this one is but a sleep.
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(calls.read_text().split()[0]), signal.SIGKILL)

    assert left(cache) == [partial.name]
    assert owner_is_dead(partial.name)
    mmdebstrap(GOOD)
    unpack("debian", "trixie", progress=quiet)

    assert left(cache) == ["debian-trixie"]


def test_partial_one_of_a_live_run_is_left_alone(mmdebstrap: Fake, cache: Path) -> None:
    """Another run may be at work on another suite; foreign folders are nobody's business."""
    calls = mmdebstrap('mkdir "$target/half"\nexec sleep 60\n')
    process = start()
    try:
        until(lambda: [p for p in cache.glob("*") if (p / "half").exists()], what="a partial one", timeout_s=20)
        (cache / "foreign").mkdir()
        mmdebstrap(GOOD)
        unpack("debian", "trixie", progress=quiet)

        assert len([p for p in cache.glob("*") if (p / "half").exists()]) == 1
        assert (cache / "foreign").is_dir()
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(calls.read_text().split()[0]), signal.SIGKILL)


def start() -> subprocess.Popen[str]:
    """Start a process that unpacks bookworm and prints where."""
    code = "from netfacts.engine.cache import unpack; print(unpack('debian', 'bookworm', progress=lambda _: None))"
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)


# -- what the packages' scripts would have done


def test_merge_moves_a_folder_into_usr_and_leaves_a_link(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool").write_text("new")
    (tmp_path / "bin" / "other").symlink_to("tool")
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "usr" / "bin" / "there").touch()

    _merge(tmp_path, "bin")

    assert os.readlink(tmp_path / "bin") == "usr/bin"
    assert sorted(os.listdir(tmp_path / "bin")) == ["other", "there", "tool"]
    assert (tmp_path / "bin" / "other").read_text() == "new"


def test_merge_makes_what_is_missing_and_leaves_links_alone(tmp_path: Path) -> None:
    _merge(tmp_path, "lib64")
    (tmp_path / "sbin").symlink_to("usr/bin")
    _merge(tmp_path, "sbin")

    assert os.readlink(tmp_path / "lib64") == "usr/lib64"
    assert (tmp_path / "usr" / "lib64").is_dir()
    assert os.readlink(tmp_path / "sbin") == "usr/bin"


def test_merge_keeps_what_usr_has_already(tmp_path: Path) -> None:
    """Some packages have a link in /bin to their program in /usr/bin, under the same name."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "usr" / "bin" / "tool").write_text("the program")
    (tmp_path / "bin" / "tool").symlink_to("/usr/bin/tool")
    (tmp_path / "bin" / "more").symlink_to("tool")

    _merge(tmp_path, "bin")

    assert (tmp_path / "usr" / "bin" / "tool").read_text() == "the program"
    assert not (tmp_path / "usr" / "bin" / "tool").is_symlink()
    assert os.readlink(tmp_path / "bin" / "more") == "tool"


def test_finish_links_the_iptables_family_but_not_over_what_is_there(tmp_path: Path) -> None:
    sbin = tmp_path / "usr" / "sbin"
    sbin.mkdir(parents=True)
    (sbin / "iptables").symlink_to("xtables-legacy-multi")
    (sbin / "ip6tables-save").write_text("a program")

    _finish(tmp_path)

    assert os.readlink(sbin / "iptables") == "xtables-legacy-multi"
    assert (sbin / "ip6tables-save").read_text() == "a program"
    for name in ("iptables-save", "iptables-restore", "ip6tables", "ip6tables-restore"):
        assert os.readlink(sbin / name) == "xtables-nft-multi"


def test_finish_makes_every_folder_that_an_engine_is_mounted_over(tmp_path: Path) -> None:
    (tmp_path / "usr" / "sbin").mkdir(parents=True)

    _finish(tmp_path)

    for name in ("proc", "sys", "run", "tmp", "root", "var/lib", "etc/docker", "bin", "sbin", "lib", "lib64"):
        assert (tmp_path / name).is_dir()


def test_finish_leaves_a_shell_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "usr" / "sbin").mkdir(parents=True)
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "usr" / "bin" / "sh").write_text("dash")

    _finish(tmp_path)

    assert (tmp_path / "bin" / "sh").read_text() == "dash"
    assert not (tmp_path / "bin" / "busybox").exists()


def test_finish_is_done_twice_as_well_as_once(tmp_path: Path) -> None:
    (tmp_path / "usr" / "sbin").mkdir(parents=True)

    _finish(tmp_path)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    _finish(tmp_path)

    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before
