"""The cache of engines: each in a folder of its own beside the machine, with a manifest that says what it is."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from netfacts.engine.progress import Progress, Step
from netfacts.lab.stamp import owner_is_dead, stamp
from netfacts.model.errors import EngineError, UsageError

MANIFEST = ".netfacts.json"
_UNREADABLE = "?"
_DIGITS = 8
# A name becomes part of a mount's options, where colons and commas mean something.
_UNFIT = re.compile(r"[^A-Za-z0-9.+~-]")
_BLOCK_BYTES = 512


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine of the cache is. `digest` is of its packages' versions, or of the bundle that it came as.

    Of an application's image it is of its packages' versions and of `recipe`, a digest of how it was made.
    """

    spec: str
    version: str
    digest: str
    packages: dict[str, str] = {}
    size_bytes: int
    added_at: datetime.datetime
    recipe: str = ""


@dataclass(frozen=True)
class Entry:
    """An engine of the cache."""

    path: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.path.name


@dataclass(frozen=True)
class Content:
    """What was put into a folder that is to become an entry."""

    version: str
    digest: str
    packages: dict[str, str]
    recipe: str = ""


def folder() -> Path:
    """Give the cache's folder, by the XDG base directory specification; root's own is /var/cache."""
    chosen = os.environ.get("XDG_CACHE_HOME")
    if chosen:
        return Path(chosen) / "netfacts"
    return Path("/var/cache/netfacts") if os.geteuid() == 0 else Path.home() / ".cache" / "netfacts"


def engines() -> Path:
    """Give the folder of engines, which may not be there yet."""
    return folder() / "engines"


# -- reading


def entries() -> list[Entry]:
    """Give all engines of the cache, the newest first.

    Raises: EngineError where the folder can't be read.
    """
    found = []
    for path in _folders():
        with contextlib.suppress(FileNotFoundError):
            found.append(Entry(path, _manifest(path)))
    return sorted(found, key=lambda entry: (entry.manifest.added_at, entry.name), reverse=True)


def newest(spec: str) -> Entry | None:
    """Give the engine of this spec that was added last; None where there is none."""
    return next((entry for entry in entries() if entry.manifest.spec == spec), None)


def without_manifest() -> list[Path]:
    """Give the folders that carry no manifest."""
    return [path for path in _folders() if not (path / MANIFEST).exists()]


def _folders() -> list[Path]:
    try:
        found = [path for path in engines().iterdir() if path.is_dir() and not path.is_symlink()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise EngineError(
            "could not read the cache of engines", where=str(engines()), returned=error.strerror or str(error)
        ) from None
    return sorted(path for path in found if not path.name.startswith((".", "netfacts-")))


def _manifest(path: Path) -> Manifest:
    """Read a manifest. One that says nothing leaves an engine that can be listed and removed, but not used.

    Raises: FileNotFoundError.
    """
    file = path / MANIFEST
    try:
        return msgspec.json.decode(file.read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        when = datetime.datetime.fromtimestamp(0, datetime.UTC)
        return Manifest(spec=_UNREADABLE, version=_UNREADABLE, digest="", size_bytes=0, added_at=when)


# -- adding


def obtain(
    spec: str,
    make: Callable[[Path], Content],
    *,
    find: Callable[[], Entry | None],
    lock: str,
    progress: Progress,
) -> Entry:
    """Give the entry that `find` finds, or else have `make` fill a folder and add that.

    Two at once are safe: the second waits for the first. What is half made never bears a final name.

    `lock`: those of the same name wait for each other.

    Raises: EngineError where the cache can't be written to; what `make` raises, and nothing is left then.
    """
    if entry := find():
        return entry
    with _locked(lock, waiting=lambda: progress(Step(f"{spec}: waiting for another netfacts that is adding it"))):
        if entry := find():
            return entry
        sweep()
        # A name of its own: another thread of this process may be adding another engine.
        partial = engines() / stamp(f"partial-{secrets.token_hex(4)}")
        try:
            partial.mkdir()
            content = make(partial)
            return _store(partial, spec, lock, content)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _store(partial: Path, spec: str, prefix: str, content: Content) -> Entry:
    """Give a filled folder its manifest and final name; an engine that is there already becomes the newest again."""
    version = _UNFIT.sub("_", content.version)
    path = engines() / f"{prefix}-{version}-{content.digest[:_DIGITS]}"
    manifest = Manifest(
        spec=spec,
        version=content.version,
        digest=content.digest,
        packages=content.packages,
        size_bytes=_size(partial),
        added_at=datetime.datetime.now(datetime.UTC),
        recipe=content.recipe,
    )
    if path.is_dir():
        write_manifest(path, manifest)
    else:
        write_manifest(partial, manifest)
        partial.rename(path)
    return Entry(path, manifest)


def adopt(path: Path, spec: str, content: Content) -> None:
    """Make a folder without a manifest an entry, as it lies.

    Raises: OSError.
    """
    added_at = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
    write_manifest(
        path,
        Manifest(
            spec=spec,
            version=content.version,
            digest=content.digest,
            packages=content.packages,
            size_bytes=_size(path),
            added_at=added_at,
        ),
    )


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write an entry's manifest, whole or not at all.

    Raises: OSError.
    """
    new = engines() / stamp(f"manifest-{secrets.token_hex(4)}")
    try:
        new.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
        new.replace(path / MANIFEST)
    finally:
        new.unlink(missing_ok=True)


def sweep() -> None:
    """Remove what dead processes were adding or removing."""
    # What can't be removed is in nobody's way.
    with contextlib.suppress(OSError):
        for entry in engines().iterdir():
            if owner_is_dead(entry.name):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry, ignore_errors=True)
                else:
                    entry.unlink(missing_ok=True)


def _size(path: Path) -> int:
    """What a folder takes on disk. A file of two names counts once."""
    sizes = {}
    for at, _, names in os.walk(path):
        for name in names:
            status = os.lstat(os.path.join(at, name))
            sizes[status.st_ino] = status.st_blocks * _BLOCK_BYTES
    return sum(sizes.values())


@contextlib.contextmanager
def _locked(name: str, *, waiting: Callable[[], None]) -> Iterator[None]:
    try:
        engines().mkdir(parents=True, exist_ok=True)
        lock = open(engines() / f".{name}.lock", "w")  # noqa: SIM115  (closed below)
    except OSError as error:
        raise EngineError(
            "could not write to the cache of engines", where=str(engines()), returned=error.strerror or str(error)
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# -- using and removing

_HELD: dict[Path, int] = {}
"""What this process uses: folder → an open descriptor whose lock the kernel lets go when the process ends."""


def hold(entry: Entry) -> bool:
    """Keep an engine from being removed for as long as this process lives. False where it has gone meanwhile."""
    try:
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    # Whoever removes one renames it first: the lock may be on what this path no longer names.
    if not _is_at(descriptor, entry.path):
        os.close(descriptor)
        return False
    before = _HELD.get(entry.path)
    _HELD[entry.path] = descriptor
    if before is not None:
        os.close(before)
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def in_use(entry: Entry) -> bool:
    """Whether a run is using an engine.

    Raises: EngineError where the cache can't be read.
    """
    with _taken(entry) as taken:
        return taken is None


def remove(entry: Entry) -> None:
    """Remove an engine.

    Raises: UsageError where a run is using it, or the user may not; EngineError where something of it stays.
    """
    doomed = engines() / stamp(f"removed-{secrets.token_hex(4)}")
    with _taken(entry) as taken:
        if taken is None:
            pids = ", ".join(map(str, users(entry)))
            raise UsageError(
                f"{entry.name} is in use",
                where=str(entry.path),
                returned=f"by process {pids}" if pids else "by a run",
                remedy="wait for the end of that run, or end it",
            )
        try:
            entry.path.rename(doomed)
        except PermissionError as error:
            raise UsageError(
                f"could not remove {entry.name}", where=str(entry.path), returned=str(error.strerror), remedy="use sudo"
            ) from None
        except FileNotFoundError:
            # Gone already: as wished.
            return
    try:
        shutil.rmtree(doomed)
    except OSError as error:
        raise EngineError(
            f"could not remove {entry.name} as a whole",
            where=str(doomed),
            returned=str(error),
            remedy="remove the rest by hand",
        ) from None


@contextlib.contextmanager
def _taken(entry: Entry) -> Iterator[int | None]:
    """Take an engine for this process alone, without waiting; yields None where others use it."""
    with contextlib.ExitStack() as stack:
        try:
            # Two that look at once must not take each other for a run.
            gate = os.open(engines(), os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, gate)
            fcntl.flock(gate, fcntl.LOCK_EX)
            descriptor = os.open(entry.path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            yield -1
            return
        except OSError as error:
            raise EngineError(
                "could not look at an engine of the cache", where=str(entry.path), returned=str(error.strerror)
            ) from None
        stack.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor


def users(entry: Entry) -> list[int]:
    """Give the processes that use an engine, as far as the kernel's list of locks tells."""
    pids = set()
    with contextlib.suppress(OSError):
        inode = entry.path.stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if "FLOCK" in fields and "->" not in fields and fields[5].rpartition(":")[2] == str(inode):
                pids.add(int(fields[4]))
    return sorted(pids)
