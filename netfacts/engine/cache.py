"""The cache of engines: docker.io of a suite, unpacked beside the machine and never installed on it."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from netfacts.lab.stamp import owner_is_dead, stamp
from netfacts.model.errors import EngineError, UsageError
from netfacts.run import follow

_PACKAGES = ("docker.io", "docker-cli", "containerd", "runc", "iptables", "nftables", "ca-certificates")
# docker-cli is a package of its own since trixie and noble; before, docker.io holds it.
_WITHOUT_CLI = {"bullseye", "bookworm", "focal", "jammy"}
_MERGED = ("bin", "sbin", "lib", "lib64")
_TIMEOUT_S = 600.0
_KEYRINGS = {
    "debian": Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    "ubuntu": Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg"),
}
_STEPS = (
    ("I: running apt-get update", "reading package lists"),
    ("I: downloading packages", "downloading packages"),
    ("I: extracting archives", "unpacking"),
    ("I: cleaning package lists", "tidying up"),
)


def folder() -> Path:
    """Give the cache's folder, by the XDG base directory specification; root's own is /var/cache."""
    chosen = os.environ.get("XDG_CACHE_HOME")
    if chosen:
        return Path(chosen) / "netfacts"
    return Path("/var/cache/netfacts") if os.geteuid() == 0 else Path.home() / ".cache" / "netfacts"


def unpack(distribution: str, suite: str, *, progress: Callable[[str], None]) -> Path:
    """Give the root file system of docker.io in a suite, unpacking it first where the cache lacks it.

    Two runs at once are safe: the second waits for the first. A half-unpacked one never bears the final name.

    Raises: EngineError with the end of what the tools said; UsageError where mmdebstrap is missing.
    """
    engines = folder() / "engines"
    try:
        engines.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError("could not make the cache of engines", where=str(engines), returned=str(error)) from None
    root = engines / f"{distribution}-{suite}"
    with open(engines / f".{root.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if root.is_dir():
            return root
        _sweep(engines)
        # A name of its own: another thread of this process may be unpacking another suite.
        partial = engines / stamp(f"partial-{secrets.token_hex(4)}")
        try:
            _mmdebstrap(distribution, suite, partial, progress)
            _finish(partial)
            if not (partial / "usr/sbin/dockerd").exists():
                raise EngineError(f"docker.io of {distribution} {suite} holds no dockerd", where=str(partial))
            partial.rename(root)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return root


def _sweep(engines: Path) -> None:
    for entry in engines.iterdir():
        if owner_is_dead(entry.name):
            shutil.rmtree(entry, ignore_errors=True)


def _mmdebstrap(distribution: str, suite: str, target: Path, progress: Callable[[str], None]) -> None:
    if not shutil.which("mmdebstrap"):
        raise UsageError(
            f"unpacking docker.io of {distribution} {suite} needs mmdebstrap",
            remedy="apt-get install mmdebstrap (`./toxw` does so), or name another engine with --engine",
        )
    packages = [name for name in _PACKAGES if not (name == "docker-cli" and suite in _WITHOUT_CLI)]
    keyring = _KEYRINGS[distribution]

    def tell(line: str) -> None:
        for begin, step in _STEPS:
            if line.startswith(begin):
                progress(f"{distribution}:{suite}: {step}")

    progress(f"{distribution}:{suite}: unpacking its docker.io (about 10 s, once)")
    argv = [
        "mmdebstrap",
        "--variant=extract",
        "--mode=root",
        f"--include={','.join(packages)}",
        # A suite that gets no more releases has a Release file that has expired.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        *([f"--keyring={keyring}"] if keyring.exists() else []),
        *(["--components=main,universe"] if distribution == "ubuntu" else []),
        suite,
        str(target),
    ]
    done = follow(argv, on_line=tell, timeout_s=_TIMEOUT_S)
    done.checked(
        f"could not unpack docker.io of {distribution} {suite}",
        EngineError,
        remedy="is the suite's name right, and is a package mirror reachable? `apt-get update` tells",
    )


def _finish(root: Path) -> None:
    """Do what the packages' own scripts would have done, as far as an engine needs it."""
    for name in _MERGED:
        _merge(root, name)
    sbin = root / "usr/sbin"
    for family in ("iptables", "ip6tables"):
        for suffix in ("", "-save", "-restore"):
            link = sbin / f"{family}{suffix}"
            if not link.is_symlink() and not link.exists():
                link.symlink_to("xtables-nft-multi")
    busybox = shutil.which("busybox")
    if busybox and not (root / "usr/bin/sh").exists():
        shutil.copy2(busybox, root / "usr/bin/busybox")
        (root / "usr/bin/sh").symlink_to("busybox")
    for name in ("proc", "sys", "run", "tmp", "root", "var/lib", "etc/docker"):
        (root / name).mkdir(parents=True, exist_ok=True)


def _merge(root: Path, name: str) -> None:
    """Make /bin and its like links into /usr, as base-files would have."""
    old, new = root / name, root / "usr" / name
    if old.is_symlink():
        return
    new.mkdir(parents=True, exist_ok=True)
    if old.is_dir():
        shutil.copytree(
            old, new, symlinks=True, dirs_exist_ok=True, ignore=lambda at, names: _there(old, new, at, names)
        )
        shutil.rmtree(old)
    old.symlink_to(f"usr/{name}")


def _there(old: Path, new: Path, at: str, names: list[str]) -> list[str]:
    """Those of `names` below `old` that `new` has already: a package's link to its program in /usr, most often."""
    below = new / Path(at).relative_to(old)
    folders = {entry.name for entry in os.scandir(at) if entry.is_dir(follow_symlinks=False)}
    return [name for name in names if name not in folders and os.path.lexists(below / name)]
