"""docker.io of a suite: unpacked once, kept by its packages' versions, whoever else unpacks or is killed meanwhile."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from netfacts.engine import suite as engine_suite
from netfacts.engine.progress import Step, quiet
from netfacts.engine.source import add, cached, resolve
from netfacts.engine.suite import _finish
from netfacts.engine.unpack import merge
from netfacts.lab.stamp import owner_is_dead
from netfacts.lab.wait import until
from netfacts.model.errors import EngineError
from selftests.engine.conftest import FILES, GOOD, ROOT, VERSION, Fake, left, packages


def unpack(distribution: str, suite: str) -> Path:
    return engine_suite.unpacked(distribution, suite, progress=quiet).path


def calls_of(calls: Path) -> int:
    """How often mmdebstrap was called."""
    return calls.read_text().count("--variant=extract")


def test_engine_is_unpacked_once_and_found_from_then_on(mmdebstrap: Fake, cache: Path) -> None:
    calls = mmdebstrap()

    first = unpack("debian", "bookworm")
    second = unpack("debian", "bookworm")

    assert first == second
    assert first.parent == cache
    assert first.name.startswith(f"debian-bookworm-{VERSION}-")
    assert (first / "usr/sbin/dockerd").exists()
    assert left(cache) == [first.name]
    assert calls_of(calls) == 1


def test_mmdebstrap_is_asked_for_an_engine_of_the_suite(mmdebstrap: Fake, cache: Path) -> None:
    calls = mmdebstrap()

    unpack("debian", "bookworm")
    bookworm = calls.read_text()
    unpack("debian", "trixie")
    trixie = calls.read_text().removeprefix(bookworm)

    assert " bookworm " in bookworm
    assert "docker.io" in bookworm
    assert "docker-cli" not in bookworm
    assert "docker-cli" in trixie


def test_manifest_says_what_was_unpacked(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap(FILES + packages(runc="1.1.5+ds1-1"))

    path = unpack("debian", "bookworm")

    manifest = json.loads((path / ".netfacts.json").read_bytes())
    assert manifest["spec"] == "debian:bookworm"
    assert manifest["version"] == VERSION
    assert manifest["packages"] == {"docker.io": VERSION, "runc": "1.1.5+ds1-1"}
    assert path.name.endswith(manifest["digest"][:8])
    assert manifest["size_bytes"] > 0
    assert manifest["added_at"].endswith("Z")


def test_progress_is_told_step_by_step(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap('echo "I: running apt-get update..."\necho noise\necho "I: extracting archives..."\n' + GOOD)
    told: list[Step] = []

    engine_suite.unpacked("debian", "bookworm", progress=told.append)

    assert [str(step).partition(": ")[2] for step in told[1:]] == ["reading package lists", "unpacking"]
    assert all(str(step).startswith("debian:bookworm: ") for step in told)


# -- what the mirror has later


def test_newer_packages_are_added_beside_and_used_from_then_on(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap()
    old = resolve("debian:bookworm").root
    mmdebstrap(FILES + packages("20.10.24+dfsg1-2"))

    before = resolve("debian:bookworm").root
    new = add("debian:bookworm").path

    assert before == old
    assert resolve("debian:bookworm").root == new != old
    assert old is not None
    assert left(cache) == sorted([old.name, new.name])


@pytest.mark.parametrize("package", ["runc", "libc6"])
def test_other_version_of_any_package_is_another_engine(mmdebstrap: Fake, cache: Path, package: str) -> None:
    mmdebstrap(FILES + packages(**{package: "1"}))
    first = add("debian:bookworm")
    mmdebstrap(FILES + packages(**{package: "2"}))
    second = add("debian:bookworm")

    assert first.name.rpartition("-")[0] == second.name.rpartition("-")[0]
    assert left(cache) == sorted([first.name, second.name])


def test_same_packages_are_not_added_twice_but_become_the_newest(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap()
    first = add("debian:bookworm")
    mmdebstrap(FILES + packages("20.10.24+dfsg1-2"))
    add("debian:bookworm")
    calls = mmdebstrap()
    (first.path / "here").touch()

    again = add("debian:bookworm")

    assert again.path == first.path
    assert (first.path / "here").exists()
    assert len(left(cache)) == 2
    assert resolve("debian:bookworm").root == first.path
    assert calls_of(calls) == 3


def test_adding_that_fails_leaves_what_is_there(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap()
    root = resolve("debian:bookworm").root
    mmdebstrap("exit 1\n")

    with pytest.raises(EngineError):
        add("debian:bookworm")

    assert resolve("debian:bookworm").root == root


def test_version_that_means_something_in_a_mount_option_does_not_get_there(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap(FILES + packages("5:28.5.2-1,x"))

    assert unpack("debian", "bookworm").name.startswith("debian-bookworm-5_28.5.2-1_x-")


def test_versions_are_read_from_changelogs_where_the_hook_says_nothing(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap(
        FILES
        + 'mkdir -p "$target/usr/share/doc/docker.io"\n'
        + 'echo "docker.io (26.1.5+dfsg1-9) trixie; urgency=low" | gzip '
        + '>"$target/usr/share/doc/docker.io/changelog.Debian.gz"\n'
    )

    assert add("debian:trixie").manifest.packages == {"docker.io": "26.1.5+dfsg1-9"}


# -- folders from before there were manifests


def old_folder(cache: Path, name: str = "debian-bookworm") -> Path:
    path = cache / name
    (path / "usr/sbin").mkdir(parents=True)
    (path / "usr/sbin/dockerd").write_text("#!/bin/sh\n")
    for package, log, version in (
        ("docker.io", "changelog.Debian.gz", "20.10.24+dfsg1-1"),
        ("docker.io", "changelog.Debian.amd64.gz", "20.10.24+dfsg1-1+b6"),
        ("usrmerge", "changelog.gz", "37~deb12u1"),
        ("broken", "changelog.gz", ""),
    ):
        folder = path / "usr/share/doc" / package
        folder.mkdir(parents=True, exist_ok=True)
        with gzip.open(folder / log, "wt") as text:
            text.write(f"{package} ({version}) bookworm; urgency=low\n")
    (path / "usr/share/doc/broken/changelog.gz").write_bytes(b"no gzip")
    return path


def test_old_folder_is_used_as_it_lies_and_gets_its_manifest(mmdebstrap: Fake, cache: Path) -> None:
    calls = mmdebstrap()
    path = old_folder(cache)
    inode, when = path.stat().st_ino, path.stat().st_mtime

    installation = resolve("debian:bookworm")

    assert installation.root == path
    assert path.stat().st_ino == inode
    assert not calls.exists()
    (entry,) = cached()
    assert entry.manifest.version == "20.10.24+dfsg1-1+b6"
    assert entry.manifest.packages == {"docker.io": "20.10.24+dfsg1-1+b6", "usrmerge": "37~deb12u1"}
    assert entry.manifest.added_at.timestamp() == pytest.approx(when)
    assert left(cache) == ["debian-bookworm"]


def test_engine_is_added_beside_an_old_folder(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap()
    old = old_folder(cache)

    new = add("debian:bookworm")

    assert left(cache) == sorted([old.name, new.name])
    assert resolve("debian:bookworm").root == new.path


def test_suite_with_a_hyphen_is_adopted_as_itself(mmdebstrap: Fake, cache: Path) -> None:
    path = old_folder(cache, "debian-trixie-backports")

    assert resolve("debian:trixie-backports").root == path


def test_foreign_folder_is_neither_adopted_nor_touched(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap()
    for name in ("debian-empty", "foreign", "fedora-40"):
        (cache / name).mkdir(parents=True)

    resolve("debian:bookworm")

    assert [entry.manifest.spec for entry in cached()] == ["debian:bookworm"]
    for name in ("debian-empty", "foreign", "fedora-40"):
        assert list((cache / name).iterdir()) == []


# -- at the same time


def test_threads_that_unpack_the_same_suite_unpack_it_once(mmdebstrap: Fake, cache: Path) -> None:
    calls = mmdebstrap(GOOD)

    with ThreadPoolExecutor(4) as pool:
        roots = set(pool.map(lambda _: unpack("debian", "bookworm"), range(4)))

    assert len(roots) == 1
    assert calls_of(calls) == 1
    assert left(cache) == [roots.pop().name]


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
        trixie, forky = pool.map(lambda suite: unpack("debian", suite), ("trixie", "forky"))

    assert left(cache) == sorted([forky.name, trixie.name])
    for root, suite in ((trixie, "trixie"), (forky, "forky")):
        assert f" {suite} " in (root / "etc/suite").read_text()
        assert (root / "usr/sbin/dockerd").exists()


def test_processes_that_unpack_the_same_suite_unpack_it_once(mmdebstrap: Fake, cache: Path) -> None:
    calls = mmdebstrap(GOOD)

    processes = [start() for _ in range(3)]
    said = [process.communicate(timeout=60)[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0]
    assert [{text.strip() for text in said}] == [{str(path) for path in cache.glob("debian-bookworm-*")}]
    assert calls_of(calls) == 1


def test_processes_that_add_at_once_add_one_engine(mmdebstrap: Fake, cache: Path) -> None:
    """Each gets what the mirror has, one after the other; the same is there once."""
    calls = mmdebstrap(GOOD)

    processes = [start("add('debian:bookworm').path") for _ in range(2)]
    said = [process.communicate(timeout=60)[0].strip() for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    assert len(set(said)) == 1
    assert left(cache) == [Path(said[0]).name]
    assert calls_of(calls) == 2


def start(expression: str = "resolve('debian:bookworm').root") -> subprocess.Popen[str]:
    """Start a process that prints what an expression gives."""
    code = f"from netfacts.engine.source import add, resolve; print({expression})"
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)


# -- what goes wrong


def test_unpacking_that_fails_leaves_nothing_and_says_why(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap('mkdir "$target/usr"\necho "E: The repository has no Release file." >&2\nexit 25\n')

    with pytest.raises(EngineError) as caught:
        unpack("debian", "nosuchsuite")

    assert "could not unpack docker.io of debian nosuchsuite" in caught.value.attempted
    assert "exit status 25" in caught.value.returned
    assert "no Release file" in caught.value.returned
    assert caught.value.remedy
    assert left(cache) == []


def test_suite_without_an_engine_leaves_nothing(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap('mkdir "$target/usr"\n')

    with pytest.raises(EngineError, match="holds no dockerd"):
        unpack("debian", "bookworm")

    assert left(cache) == []


def test_unpacking_that_takes_too_long_is_ended_and_leaves_nothing(
    mmdebstrap: Fake, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = mmdebstrap("exec sleep 60\n")
    monkeypatch.setattr(engine_suite, "_TIMEOUT_S", 0.2)

    with pytest.raises(EngineError, match="could not unpack") as caught:
        unpack("debian", "bookworm")

    assert "no end after 0.2 s" in caught.value.returned
    assert left(cache) == []
    assert not Path(f"/proc/{calls.read_text().split()[0]}").exists()


def test_next_try_succeeds_after_one_that_failed(mmdebstrap: Fake, cache: Path) -> None:
    mmdebstrap("exit 1\n")
    with pytest.raises(EngineError):
        unpack("debian", "bookworm")

    mmdebstrap(GOOD)

    assert unpack("debian", "bookworm").is_dir()


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
    assert cached() == []
    mmdebstrap(GOOD)
    trixie = unpack("debian", "trixie")

    assert left(cache) == [trixie.name]


def test_partial_one_of_a_live_run_is_left_alone(mmdebstrap: Fake, cache: Path) -> None:
    """Another run may be at work on another suite; foreign folders are nobody's business."""
    calls = mmdebstrap('mkdir "$target/half"\nexec sleep 60\n')
    process = start()
    try:
        until(lambda: [p for p in cache.glob("*") if (p / "half").exists()], what="a partial one", timeout_s=20)
        (cache / "foreign").mkdir()
        mmdebstrap(GOOD)
        unpack("debian", "trixie")

        assert len([p for p in cache.glob("*") if (p / "half").exists()]) == 1
        assert (cache / "foreign").is_dir()
    finally:
        process.kill()
        process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(calls.read_text().split()[0]), signal.SIGKILL)


# -- what the packages' scripts would have done


def test_merge_moves_a_folder_into_usr_and_leaves_a_link(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool").write_text("new")
    (tmp_path / "bin" / "other").symlink_to("tool")
    (tmp_path / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "usr" / "bin" / "there").touch()

    merge(tmp_path, "bin")

    assert os.readlink(tmp_path / "bin") == "usr/bin"
    assert sorted(os.listdir(tmp_path / "bin")) == ["other", "there", "tool"]
    assert (tmp_path / "bin" / "other").read_text() == "new"


def test_merge_makes_what_is_missing_and_leaves_links_alone(tmp_path: Path) -> None:
    merge(tmp_path, "lib64")
    (tmp_path / "sbin").symlink_to("usr/bin")
    merge(tmp_path, "sbin")

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

    merge(tmp_path, "bin")

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
