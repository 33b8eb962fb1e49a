"""Docker's static bundle: an archive of programs from anywhere, taken apart with care, or a folder of them."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import platform
import re
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from netfacts.engine.cache import Content
from netfacts.model.errors import EngineError, UsageError
from netfacts.run import Finished, run

# What an engine can't do without, each with what makes it say what it is and no more, and the exit statuses of that.
# docker-proxy has had no --version for long; its usage ends with 2 where it was built by an old Go.
_NEEDED = {
    "dockerd": ("--version", (0,)),
    "containerd": ("--version", (0,)),
    "containerd-shim-runc-v2": ("-v", (0,)),
    "runc": ("--version", (0,)),
    "docker-proxy": ("--help", (0, 2)),
}
_OPTIONAL = {"docker": ("--version", (0,)), "docker-init": ("--version", (0,)), "ctr": ("--version", (0,))}

# Docker's own bundles hold 8 files of 250 MB in all.
_MOST_MEMBERS = 200
_MOST_BYTES = 1 << 30
# A header that tells of more than this is a bomb: tarfile would read it into memory as a whole.
_MOST_AT_ONCE = 1 << 22
_CHUNK = 1 << 18
_DEEPEST = 2
# As much as any file system here takes.
_LONGEST_NAME = 255
_EXAMINE_S = 20.0
_VERSION = re.compile(r"version ([^\s,]+)")
_GZIP = b"\x1f\x8b"
# All that gzip and tarfile raise over what is none. A chain of headers before a file ends in a RecursionError.
_DAMAGED = (EOFError, RecursionError, ValueError, OverflowError, gzip.BadGzipFile, tarfile.TarError, zlib.error)


def digest_of(path: Path) -> str:
    """Give the SHA-256 of an archive, or one over the files of a bundle's folder.

    Raises: UsageError where it is not there; EngineError where it can't be read.
    """
    with _readable(path):
        if not path.is_dir():
            return _digest(path)
        lines = "".join(f"{_digest(file)}  {file.name}\n" for file in _files(path))
        return hashlib.sha256(lines.encode()).hexdigest()


def unpack(path: Path, target: Path) -> None:
    """Put the programs of a bundle, an archive or a folder, into a folder.

    Raises: UsageError where it is no bundle, or one that must not be unpacked; EngineError where the disk refuses.
    """
    with _readable(path):
        if path.is_dir():
            for file in _files(path):
                with file.open("rb") as source:
                    _write(source, target / file.name)
        else:
            _extract(path, target)


def examine(folder: Path, *, where: str, digest: str) -> Content:
    """See whether the programs of a bundle are all there and run on this machine, and give what they are.

    `where` names the bundle to the user.

    Raises: UsageError.
    """
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            "this is no whole bundle of Docker's static programs",
            where=where,
            returned=f"not in it: {', '.join(missing)}",
            remedy="https://docs.docker.com/engine/install/binaries/ says where to get one",
        )
    said = {}
    for name, (argument, statuses) in (_NEEDED | _OPTIONAL).items():
        if (folder / name).is_file():
            said[name] = _said(folder / name, argument, statuses, where)
    version = _VERSION.search(said["dockerd"])
    if not version:
        raise UsageError("the bundle's dockerd does not say its version", where=where, returned=said["dockerd"])
    return Content(version[1], digest, {})


def _said(program: Path, argument: str, statuses: tuple[int, ...], where: str) -> str:
    """Give what a program says of itself."""
    try:
        done = run([str(program), argument], timeout_s=_EXAMINE_S, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
    except FileNotFoundError:
        # The program is there: what the kernel misses is the loader that it names.
        done = Finished((), -1, "", "the dynamic loader that it names is not on this machine")
    except OSError as error:
        done = Finished((), -1, "", error.strerror or str(error))
    if done.exit_status not in statuses:
        tail = "\n".join((done.err or done.out).replace(f"{program}: ", "").strip().splitlines()[-4:])
        raise UsageError(
            f"{program.name} of the bundle does not run on this machine",
            where=where,
            returned=tail or f"exit status {done.exit_status}",
            remedy=f"take the bundle for {platform.machine()}, of static programs",
        )
    return f"{done.out}\n{done.err}".strip()


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what can go wrong in reading into a refusal."""
    try:
        yield
    except FileNotFoundError:
        raise UsageError("the bundle is not there", where=str(path)) from None
    except _DAMAGED as error:
        raise UsageError(
            "the bundle can't be unpacked",
            where=str(path),
            returned=str(error) or "it ends too early",
            remedy="a static bundle is a .tgz of Docker's, or the folder `docker` that is in it",
        ) from None
    except OSError as error:
        raise EngineError("could not unpack the bundle", where=str(path), returned=str(error)) from None


def _refuse(path: Path, reason: str) -> UsageError:
    return UsageError(
        "the bundle is not unpacked", where=str(path), returned=reason, remedy="this is not an archive of Docker's"
    )


# -- a folder


def _files(folder: Path) -> list[Path]:
    """Give the programs in a bundle's folder, by name.

    Raises: UsageError.
    """
    if not (folder / "dockerd").exists() and (folder / "docker" / "dockerd").is_file():
        folder /= "docker"
    inside = folder.resolve()
    found, total = [], 0
    for file in sorted(folder.iterdir()):
        real = file.resolve()
        status = real.stat() if real.exists() else None
        if status is None or not stat.S_ISREG(status.st_mode) or not status.st_mode & 0o111:
            continue
        if file.is_symlink() and real.parent != inside:
            raise _refuse(folder, f"{file.name} is a link that leaves the folder, to {real}")
        if status.st_mode & (stat.S_ISUID | stat.S_ISGID):
            raise _refuse(folder, f"{file.name} is set-uid or set-gid")
        found.append(file)
        total += status.st_size
    if len(found) > _MOST_MEMBERS or total > _MOST_BYTES:
        raise _refuse(folder, f"it holds {len(found)} programs of {total >> 20} MiB: too many for a bundle")
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# -- an archive


class _Bounded(gzip.GzipFile):
    """What was compressed, but never much of it at a time."""

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0 or size > _MOST_AT_ONCE or self.tell() > _MOST_BYTES + _MOST_AT_ONCE:
            raise tarfile.ReadError("it has headers of an absurd size")
        return super().read(size)


def _extract(path: Path, target: Path) -> None:
    """Write an archive's programs into a folder, flat. Nothing but regular files is ever made, and none twice."""
    with path.open("rb") as file:
        if file.read(2) != _GZIP:
            raise UsageError(
                "the bundle is no gzip archive", where=str(path), remedy="a static bundle is a .tgz of Docker's"
            )
        file.seek(0)
        links: dict[str, str] = {}
        with _Bounded(fileobj=file) as plain, tarfile.open(fileobj=plain, mode="r:") as archive:
            for member in _checked(archive, path, target):
                name = PurePosixPath(member.name).name
                if len(PurePosixPath(member.name).parts) > _DEEPEST or member.isdir():
                    continue
                if os.path.lexists(target / name) or name in links:
                    raise _refuse(path, f"it holds {name} twice")
                if member.isreg():
                    source = archive.extractfile(member)
                    assert source is not None
                    _write(source, target / name)
                else:
                    links[name] = PurePosixPath(member.linkname).name
        # A link becomes a copy of what it leads to, which _checked has seen to be beside it.
        for name, leads_to in links.items():
            if not (target / leads_to).is_file():
                raise _refuse(path, f"{name} is a link to {leads_to}, which is not in it")
            shutil.copy(target / leads_to, target / name)


def _checked(archive: tarfile.TarFile, path: Path, target: Path) -> Iterator[tarfile.TarInfo]:
    """Give an archive's members one by one, as long as they may be unpacked.

    Raises: UsageError at the first that must not.
    """
    # Python has it since 3.11.4 only; all that it would refuse is refused here too.
    data_filter: Any = getattr(tarfile, "data_filter", None)
    total = 0
    for number, member in enumerate(archive):
        total += max(0, member.size)
        if number >= _MOST_MEMBERS:
            raise _refuse(path, f"it holds more than {_MOST_MEMBERS} files")
        if total > _MOST_BYTES or member.size < 0:
            raise _refuse(path, f"it holds more than {_MOST_BYTES >> 20} MiB")
        if reason := _unsafe(member):
            raise _refuse(path, reason)
        if data_filter is not None:
            try:
                data_filter(member, str(target))
            except tarfile.TarError as error:
                raise _refuse(path, str(error)) from None
        yield member


def _unsafe(member: tarfile.TarInfo) -> str:
    """Say why a member must not be unpacked, "" where it may."""
    name = member.name
    shown = repr(name[:80])
    if not name or not name.isprintable() or len(name.encode()) > _LONGEST_NAME:
        return f"the name {shown} is no file's"
    if name.startswith("/"):
        return f"the name {shown} is absolute"
    if ".." in PurePosixPath(name).parts:
        return f"the name {shown} leads out of the folder"
    if member.isdir():
        return ""
    if member.issym() or member.islnk():
        # Relative to the link, or to the archive's root; in both cases nothing but a neighbour is meant.
        own = PurePosixPath(name).parent
        leads_to = PurePosixPath(member.linkname)
        beside = leads_to.parent in ((PurePosixPath("."),) if member.issym() else (own,))
        return "" if beside and leads_to.name not in ("", "..") else f"{shown} is a link that leaves the folder"
    if not member.isreg():
        return f"{shown} is a device, a pipe, or something stranger"
    if member.mode & (stat.S_ISUID | stat.S_ISGID):
        return f"{shown} is set-uid or set-gid"
    return ""


def _write(source: IO[bytes] | io.BufferedIOBase, target: Path) -> None:
    """Write a program."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o755)
    with os.fdopen(descriptor, "wb") as out:
        shutil.copyfileobj(source, out, _CHUNK)
