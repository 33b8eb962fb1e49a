"""Static bundles: taken apart with care, and refused with the reason where they are none, unsafe, or of no use here."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfacts.engine import Installation, bundle, source
from netfacts.engine.source import add, cached, resolve
from netfacts.model.errors import UsageError
from selftests.engine import conftest as made
from selftests.engine.conftest import archive, left, member, members, programs


@pytest.fixture(autouse=True)
def iptables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This machine has iptables, whether it has or not. Gives the folder in which it is."""
    folder = tmp_path / "sbin"
    folder.mkdir()
    (folder / "iptables").write_text("#!/bin/sh\n")
    (folder / "iptables").chmod(0o755)
    monkeypatch.setattr(source, "PATH", str(folder))
    return folder


@pytest.fixture
def tgz(tmp_path: Path) -> Path:
    """A good bundle."""
    path = tmp_path / "docker-28.5.2.tgz"
    path.write_bytes(made.bundle())
    return path


@pytest.fixture
def opened(tmp_path: Path) -> Path:
    """The folder of a good bundle."""
    folder = tmp_path / "opened" / "docker"
    folder.mkdir(parents=True)
    for name, data in programs().items():
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o755)
    return folder


# -- good ones


def test_archive_is_unpacked_once_under_its_digest(cache: Path, tgz: Path) -> None:
    first = resolve(f"static:{tgz}")
    second = resolve(f"static:{tgz}")

    digest = made.sha256(tgz.read_bytes())
    assert first == second == Installation(f"static:{tgz}", None, cache / f"static-28.5.2-{digest[:8]}")
    assert first.programs is not None
    assert sorted(os.listdir(first.programs)) == sorted([".netfacts.json", *programs()])
    (entry,) = cached()
    assert (entry.manifest.spec, entry.manifest.version) == (f"static:{tgz}", "28.5.2")
    assert entry.manifest.digest == digest


def test_programs_come_before_those_of_the_machine(cache: Path, tgz: Path, iptables: Path) -> None:
    installation = resolve(f"static:{tgz}")

    assert installation.path == f"{installation.programs}:{source.PATH}"
    assert installation.root is None


def test_same_archive_elsewhere_is_the_same_engine(cache: Path, tgz: Path, tmp_path: Path) -> None:
    first = resolve(f"static:{tgz}").programs
    other = tgz.rename(tmp_path / "other.tgz")

    assert resolve(f"static:{other}").programs == first
    assert len(left(cache)) == 1


def test_other_archive_at_the_same_path_is_another_engine(cache: Path, tgz: Path) -> None:
    first = resolve(f"static:{tgz}").programs
    tgz.write_bytes(made.bundle("29.0.0"))

    second = resolve(f"static:{tgz}").programs

    assert first is not None
    assert second is not None
    assert left(cache) == sorted([first.name, second.name])


@pytest.mark.parametrize("place", ["docker", "."])
def test_folder_is_copied(cache: Path, opened: Path, place: str) -> None:
    """Either the folder `docker` of the archive, or the one in which it was unpacked."""
    given_ = opened if place == "docker" else opened.parent

    installation = resolve(f"static:{given_}")
    (opened / "dockerd").write_bytes(programs("29.0.0")["dockerd"])

    assert installation.programs is not None
    assert installation.programs.parent == cache
    assert (installation.programs / "dockerd").read_bytes() == programs()["dockerd"]
    assert (installation.programs / "dockerd").stat().st_ino != (opened / "dockerd").stat().st_ino


def test_changed_folder_is_another_engine(cache: Path, opened: Path) -> None:
    first = resolve(f"static:{opened}").programs
    (opened / "runc").write_text("#!/bin/sh\necho runc version 1.4\n")

    assert resolve(f"static:{opened}").programs != first
    assert len(left(cache)) == 2


def test_relative_path_is_meant_from_here(cache: Path, tgz: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tgz.parent)

    resolve(f"static:{tgz.name}")

    assert [entry.manifest.spec for entry in cached()] == [f"static:{tgz}"]


def test_link_to_a_neighbour_becomes_the_neighbour(cache: Path, tgz: Path, opened: Path) -> None:
    files = [one for one in members() if one[0].name != "docker/docker-init"]
    init = member("docker/docker-init", type=tarfile.SYMTYPE, linkname="tini")
    hard = member("docker/containerd-shim", type=tarfile.LNKTYPE, linkname="docker/runc")
    tgz.write_bytes(archive(*files, init, hard, member("docker/tini", programs()["docker-init"])))
    (opened / "docker-init").rename(opened / "tini")
    (opened / "docker-init").symlink_to("tini")

    for path in (tgz, opened):
        found = resolve(f"static:{path}").programs
        assert found is not None
        assert (found / "docker-init").read_bytes() == programs()["docker-init"]
        assert not any(file.is_symlink() for file in found.iterdir())


def test_modes_of_the_archive_do_not_reach_the_disk(cache: Path, tgz: Path) -> None:
    for info, _ in (files := members()):
        info.mode, info.uid, info.gid, info.mtime = 0o1666, 4711, 4711, 10**9
    tgz.write_bytes(archive(*files))

    found = resolve(f"static:{tgz}").programs

    assert found is not None
    for name in programs():
        status = (found / name).stat()
        assert stat.S_IMODE(status.st_mode) == 0o755
        assert status.st_uid == os.geteuid()


def test_what_lies_deeper_is_left_out(cache: Path, tgz: Path) -> None:
    tgz.write_bytes(archive(*members(), member("docker/cli-plugins/docker-buildx", b"x")))

    found = resolve(f"static:{tgz}").programs

    assert found is not None
    assert not (found / "docker-buildx").exists()


# -- what must not be unpacked

LINK = {"type": tarfile.SYMTYPE}
HARD = {"type": tarfile.LNKTYPE}
HOSTILE = {
    "parent": (member("../evil", b"x"), "leads out of the folder"),
    "parent in the middle": (member("docker/../../evil", b"x"), "leads out of the folder"),
    "absolute": (member("/etc/evil", b"x"), "is absolute"),
    "absolute folder": (member("/etc/evil", type=tarfile.DIRTYPE), "is absolute"),
    "absolute link": (member("docker/evil", **LINK, linkname="/etc/passwd"), "a link that leaves the folder"),
    "link up": (member("docker/evil", **LINK, linkname="../../etc/passwd"), "a link that leaves the folder"),
    "link to the folder": (member("docker/evil", **LINK, linkname=".."), "a link that leaves the folder"),
    "link to nothing": (member("docker/evil", **LINK, linkname=""), "a link that leaves the folder"),
    "link to what is not there": (member("docker/evil", **LINK, linkname="none"), "which is not in it"),
    "link to itself": (member("docker/evil", **LINK, linkname="evil"), "which is not in it"),
    "link for a folder": (member("docker", **LINK, linkname="/etc"), "a link that leaves the folder"),
    "hard link out": (member("docker/evil", **HARD, linkname="/etc/shadow"), "a link that leaves the folder"),
    "hard link up": (member("docker/evil", **HARD, linkname="../etc/shadow"), "a link that leaves the folder"),
    "character device": (member("docker/evil", type=tarfile.CHRTYPE, devmajor=1, devminor=1), "a device"),
    "block device": (member("docker/evil", type=tarfile.BLKTYPE, devmajor=8), "a device"),
    "pipe": (member("docker/evil", type=tarfile.FIFOTYPE), "a pipe"),
    "set-uid": (member("docker/evil", b"x", mode=0o4755), "set-uid"),
    "set-gid": (member("docker/evil", b"x", mode=0o2755), "set-gid"),
    "twice": (member("docker/dockerd", b"x"), "it holds dockerd twice"),
    "twice elsewhere": (member("other/dockerd", b"x"), "it holds dockerd twice"),
    "line break": (member("docker/ev\nil", b"x"), "is no file's"),
    "escape": (member("docker/\x1b[2Jevil", b"x"), "is no file's"),
}


# A file of many holes and no data, by GNU's extended headers, which also give it another name and size.
HOLES = b"1\n0\n0\n".ljust(512, b"\0")
SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
HOSTILE |= {
    "parent by an extended header": (member("docker/x", b"x", pax_headers={"path": "../evil"}), "leads out"),
    "absolute by an extended header": (member("docker/x", b"x", pax_headers={"path": "/etc/evil"}), "is absolute"),
    "link by an extended header": (
        member("docker/x", **LINK, linkname="runc", pax_headers={"linkpath": "/etc/passwd"}),
        "a link that leaves the folder",
    ),
    "parent by a sparse file's name": (
        member("docker/x", HOLES, pax_headers=SPARSE | {"GNU.sparse.name": "../evil", "GNU.sparse.realsize": "9"}),
        "leads out",
    ),
    "sparse file of a terabyte": (
        member(
            "docker/x", HOLES, pax_headers=SPARSE | {"GNU.sparse.name": "docker/x", "GNU.sparse.realsize": "9" * 13}
        ),
        "it holds more than",
    ),
    "name of a mile": (member(f"docker/{'x' * 5000}", b"x"), "is no file's"),
    "name of half a character": (member("docker/\udce9vil", b"x"), "is no file's"),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
@pytest.mark.parametrize("filtered", [True, False], ids=["filter", "no filter"])
def test_unsafe_archive_is_refused_and_leaves_nothing(
    cache: Path, tgz: Path, tmp_path: Path, kind: str, first: bool, filtered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by a Python whose tarfile has no filter yet, as Debian 12's."""
    if not filtered:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    evil, said = HOSTILE[kind]
    tgz.write_bytes(archive(*([evil, *members()] if first else [*members(), evil])))
    before = {path for path in tmp_path.rglob("*") if tmp_path / "cache" not in (path, *path.parents)}

    with pytest.raises(UsageError) as caught:
        resolve(f"static:{tgz}")

    assert said in caught.value.returned
    assert caught.value.where == str(tgz)
    assert caught.value.returned.isprintable()
    assert left(cache) == []
    assert {path for path in tmp_path.rglob("*") if tmp_path / "cache" not in (path, *path.parents)} == before


def test_archive_of_many_files_is_refused(cache: Path, tgz: Path) -> None:
    tgz.write_bytes(archive(*members(), *(member(f"docker/{number}", b"") for number in range(1000))))

    with pytest.raises(UsageError) as caught:
        resolve(f"static:{tgz}")

    assert caught.value.returned == "it holds more than 200 files"
    assert left(cache) == []


def test_archive_that_grows_beyond_all_measure_is_refused_before_it_is_written(
    cache: Path, tgz: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "_MOST_BYTES", 1 << 20)
    tgz.write_bytes(archive(*members(), member("docker/big", bytes(1 << 21))))
    written: list[int] = []
    monkeypatch.setattr(bundle, "_write", lambda source, _: written.append(len(source.read(1 << 19))))

    with pytest.raises(UsageError) as caught:
        resolve(f"static:{tgz}")

    assert caught.value.returned == "it holds more than 1 MiB"
    assert sum(written) < 1 << 20
    assert left(cache) == []


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, b"S"])
def test_header_of_absurd_size_is_refused_before_it_is_read(cache: Path, tgz: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("docker/x")
    info.type, info.size = kind, 8 << 30
    with gzip.open(tgz, "wb", compresslevel=1) as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(16 << 20))

    with pytest.raises(UsageError):
        resolve(f"static:{tgz}")

    assert left(cache) == []


def test_chain_of_headers_is_refused(cache: Path, tgz: Path) -> None:
    """tarfile reads a header for the next file by calling itself."""
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 5
    block = info.tobuf(tarfile.GNU_FORMAT) + b"name\0".ljust(512, b"\0")
    with gzip.open(tgz, "wb") as file:
        file.write(block * 3000)

    with pytest.raises(UsageError):
        resolve(f"static:{tgz}")

    assert left(cache) == []


NAMES = st.lists(
    st.sampled_from(["docker", "dockerd", "runc", "..", ".", "", "/", "etc", "\0", "a" * 300, "\n"])
    | st.text(max_size=8),
    max_size=5,
).map("/".join)
TYPES = st.sampled_from([tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE]) | (
    st.sampled_from([tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, b"Z", b"\xff"])
)


@st.composite
def archives(draw: st.DrawFn) -> bytes:
    """A .tgz of anything that has a header."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=draw(st.sampled_from([0, 1, 2]))) as tar:
        for _ in range(draw(st.integers(0, 5))):
            info = tarfile.TarInfo(draw(NAMES))
            info.type, info.linkname = draw(TYPES), draw(NAMES)
            info.mode = draw(st.integers(0, 0o7777))
            data = draw(st.binary(max_size=20))
            info.size = len(data) if info.type in (tarfile.REGTYPE, tarfile.AREGTYPE) else 0
            try:
                tar.addfile(info, io.BytesIO(data))
            except (ValueError, UnicodeError, OSError):
                continue
    return buffer.getvalue()


def _unpack_into(folder: Path, data: bytes) -> None:
    """Assert that an archive is unpacked or refused, and that nothing but plain programs in the folder comes of it."""
    path, target = folder / "x.tgz", folder / "below" / "target"
    target.mkdir(parents=True)
    path.write_bytes(data)
    with contextlib.suppress(UsageError):
        bundle.unpack(path, target)
    for found in target.rglob("*"):
        status = found.lstat()
        assert stat.S_ISREG(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o755
        assert status.st_nlink == 1
        assert found.parent == target
    assert sorted(one.name for one in folder.iterdir()) == ["below", "x.tgz"]
    assert [one.name for one in (folder / "below").iterdir()] == ["target"]


@settings(max_examples=200, deadline=None)
@given(archives())
def test_no_archive_reaches_beyond_its_folder(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    _unpack_into(tmp_path_factory.mktemp("any"), data)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_archive_is_refused_or_unpacked_but_never_raises(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Bytes changed, cut or put in, in what was compressed and in what compresses it."""
    whole = bytearray(gzip.decompress(made.bundle()))
    if data.draw(st.booleans(), label="inside"):
        for _ in range(data.draw(st.integers(1, 8))):
            whole[data.draw(st.integers(0, min(len(whole), 4096) - 1))] = data.draw(st.integers(0, 255))
        broken = gzip.compress(bytes(whole), compresslevel=1)
    else:
        broken = bytes(gzip.compress(bytes(whole), compresslevel=1))
        at = data.draw(st.integers(0, len(broken)))
        broken = broken[:at] + data.draw(st.binary(max_size=8)) + broken[data.draw(st.integers(at, len(broken))) :]
    _unpack_into(tmp_path_factory.mktemp("damaged"), broken)


# -- what is no bundle


@pytest.mark.parametrize("missing", ["dockerd", "containerd", "containerd-shim-runc-v2", "runc", "docker-proxy"])
def test_bundle_without_a_program_is_refused_with_its_name(cache: Path, tgz: Path, opened: Path, missing: str) -> None:
    tgz.write_bytes(archive(*(one for one in members() if one[0].name != f"docker/{missing}")))
    (opened / missing).unlink()

    for path in (tgz, opened):
        with pytest.raises(UsageError) as caught:
            resolve(f"static:{path}")
        assert caught.value.returned == f"not in it: {missing}"
        assert caught.value.where == str(path)
    assert left(cache) == []


@pytest.mark.parametrize("spare", ["docker", "docker-init", "ctr"])
def test_bundle_may_lack_what_an_engine_can_do_without(cache: Path, tgz: Path, spare: str) -> None:
    tgz.write_bytes(archive(*(one for one in members() if one[0].name != f"docker/{spare}")))

    assert resolve(f"static:{tgz}").programs is not None


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no gzip archive"),
        (b"<html>404</html>", "no gzip archive"),
        (b"PK\x03\x04" + bytes(100), "no gzip archive"),
        (b"\x1f\x8b", "can't be unpacked"),
        (gzip.compress(b""), "can't be unpacked"),
        (gzip.compress(b"<html></html>"), "can't be unpacked"),
        (made.bundle()[:-100], "can't be unpacked"),
        (archive(), "no whole bundle"),
    ],
    ids=["empty", "page", "zip", "two bytes", "nothing", "compressed page", "cut", "no files"],
)
def test_file_that_is_no_bundle_is_refused(cache: Path, tgz: Path, data: bytes, said: str) -> None:
    tgz.write_bytes(data)

    with pytest.raises(UsageError, match=said) as caught:
        resolve(f"static:{tgz}")

    assert caught.value.where == str(tgz)
    assert caught.value.remedy
    assert left(cache) == []


def test_path_at_which_nothing_is_is_refused(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the bundle is not there") as caught:
        resolve(f"static:{tmp_path / 'none.tgz'}")

    assert caught.value.where == str(tmp_path / "none.tgz")


def test_folder_with_a_link_that_leaves_it_is_refused(cache: Path, opened: Path, tmp_path: Path) -> None:
    (opened / "dockerd").rename(tmp_path / "dockerd")
    (opened / "dockerd").symlink_to(tmp_path / "dockerd")

    with pytest.raises(UsageError) as caught:
        resolve(f"static:{opened}")

    assert caught.value.returned == f"dockerd is a link that leaves the folder, to {tmp_path / 'dockerd'}"


def test_folder_with_a_set_uid_program_is_refused(cache: Path, opened: Path) -> None:
    (opened / "runc").chmod(0o4755)

    with pytest.raises(UsageError) as caught:
        resolve(f"static:{opened}")

    assert caught.value.returned == "runc is set-uid or set-gid"


def test_folder_of_all_kinds_of_programs_is_refused(cache: Path, opened: Path) -> None:
    for number in range(300):
        (opened / f"tool{number}").write_text("#!/bin/sh\n")
        (opened / f"tool{number}").chmod(0o755)

    with pytest.raises(UsageError) as caught:
        resolve(f"static:{opened}")

    assert "too many for a bundle" in caught.value.returned


# -- what does not run here


def _foreign_elf() -> bytes:
    """A program for a machine that this is not."""
    mips = 8
    return b"\x7fELF\x01\x02\x01" + bytes(9) + (2).to_bytes(2, "big") + mips.to_bytes(2, "big") + bytes(512)


@pytest.mark.parametrize(
    ("program", "data", "said"),
    [
        ("dockerd", _foreign_elf(), "Exec format error"),
        ("docker-proxy", _foreign_elf(), "Exec format error"),
        ("runc", b"#!/nonexistent/loader\n", "the dynamic loader that it names is not on this machine"),
        (
            "containerd",
            b"#!/bin/sh\necho 'error while loading shared libraries: libx.so.1: cannot open' >&2\nexit 127\n",
            "error while loading shared libraries: libx.so.1: cannot open",
        ),
        (
            "docker-proxy",
            b"#!/bin/sh\necho \"/lib/libc.so.6: version 'GLIBC_2.99' not found\" >&2\nexit 1\n",
            "version 'GLIBC_2.99' not found",
        ),
        ("docker", b"#!/bin/sh\nkill -SEGV $$\n", "exit status -11"),
    ],
    ids=["architecture", "proxy of another", "loader", "library", "old libc", "crash"],
)
def test_program_that_does_not_run_is_refused_with_what_the_kernel_or_loader_said(
    cache: Path, tgz: Path, program: str, data: bytes, said: str
) -> None:
    tgz.write_bytes(
        archive(*(one for one in members() if one[0].name != f"docker/{program}"), member(f"docker/{program}", data))
    )

    with pytest.raises(UsageError) as caught:
        resolve(f"static:{tgz}")

    assert caught.value.attempted == f"{program} of the bundle does not run on this machine"
    assert said in caught.value.returned
    assert os.uname().machine in caught.value.remedy
    assert left(cache) == []


def test_docker_proxy_built_by_an_old_go_is_fine(cache: Path, tgz: Path) -> None:
    proxy = member("docker/docker-proxy", b"#!/bin/sh\necho 'Usage of docker-proxy:' >&2\nexit 2\n")
    tgz.write_bytes(archive(*(one for one in members() if one[0].name != "docker/docker-proxy"), proxy))

    assert resolve(f"static:{tgz}").programs is not None


def test_dockerd_that_does_not_say_its_version_is_refused(cache: Path, tgz: Path) -> None:
    tgz.write_bytes(archive(*members()[2:], member("docker/dockerd", b"#!/bin/sh\necho hello\n")))

    with pytest.raises(UsageError) as caught:
        resolve(f"static:{tgz}")

    assert caught.value.returned == "hello"


def test_machine_without_iptables_is_refused_with_its_package(cache: Path, tgz: Path, iptables: Path) -> None:
    (iptables / "iptables").unlink()

    with pytest.raises(UsageError) as caught:
        resolve(f"static:{tgz}")

    assert "apt-get install iptables" in caught.value.remedy
    # To add it is fine all the same.
    assert add(f"static:{tgz}").manifest.version == "28.5.2"
