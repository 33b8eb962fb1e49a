"""docker.io of a suite of Debian or Ubuntu: unpacked beside the machine, never installed on it."""

from __future__ import annotations

import contextlib
import gzip
import re
import shutil
from pathlib import Path

from netfacts.engine import cache
from netfacts.engine.cache import Content, Entry
from netfacts.engine.progress import Progress
from netfacts.engine.unpack import DISTRIBUTIONS, SUITE, digest_of, merge_usr, unpack
from netfacts.model.errors import EngineError

_PACKAGES = ("docker.io", "docker-cli", "containerd", "runc", "iptables", "nftables", "ca-certificates")
# docker-cli is a package of its own since trixie and noble; before, docker.io holds it.
_WITHOUT_CLI = {"bullseye", "bookworm", "focal", "jammy"}
_ENGINE = "docker.io"
_TIMEOUT_S = 600.0
_CHANGELOG = re.compile(r"\S+ \((\S+)\)")


def unpacked(distribution: str, suite: str, *, fresh: bool = False, progress: Progress) -> Entry:
    """Give the cached docker.io of a suite that was added last, unpacking it first where there is none.

    `fresh`: unpack what the mirror has now in any case; that is added beside, if it is new.

    Raises: EngineError with the end of what the tools said; UsageError where mmdebstrap is missing.
    """
    spec = f"{distribution}:{suite}"

    def make(partial: Path) -> Content:
        packages = _mmdebstrap(distribution, suite, partial, progress)
        _finish(partial)
        if not (partial / "usr/sbin/dockerd").exists():
            raise EngineError(f"docker.io of {distribution} {suite} holds no dockerd", where=str(partial))
        return _content(packages or _changelogs(partial))

    return cache.obtain(
        spec,
        make,
        find=lambda: None if fresh else cache.newest(spec),
        lock=f"{distribution}-{suite}",
        progress=progress,
    )


def _content(packages: dict[str, str]) -> Content:
    return Content(packages.get(_ENGINE, "?"), digest_of(packages), packages)


def adopt() -> None:
    """Write the manifests of suites that were unpacked before there were any; as they lie, under their old names."""
    for path in cache.without_manifest():
        distribution, _, suite = path.name.partition("-")
        if distribution in DISTRIBUTIONS and SUITE.fullmatch(suite) and (path / "usr/sbin/dockerd").exists():
            # Another's cache may be read all the same.
            with contextlib.suppress(OSError):
                cache.adopt(path, f"{distribution}:{suite}", _content(_changelogs(path)))


def _changelogs(root: Path) -> dict[str, str]:
    """Read the packages' versions from their changelogs: that of a rebuild first, it has the longer version."""
    found = {}
    for folder in sorted((root / "usr/share/doc").glob("*")):
        logs = [*folder.glob("changelog.Debian.*.gz"), folder / "changelog.Debian.gz", folder / "changelog.gz"]
        for log in logs:
            with contextlib.suppress(OSError, EOFError), gzip.open(log, "rt", errors="replace") as text:
                if match := _CHANGELOG.match(text.readline(200)):
                    found[folder.name] = match[1]
                    break
    return found


def _mmdebstrap(distribution: str, suite: str, target: Path, progress: Progress) -> dict[str, str]:
    """Unpack, and give the packages' versions."""
    return unpack(
        [name for name in _PACKAGES if not (name == "docker-cli" and suite in _WITHOUT_CLI)],
        target,
        what="docker.io",
        distribution=distribution,
        suite=suite,
        label=f"{distribution}:{suite}",
        progress=progress,
        timeout_s=_TIMEOUT_S,
    )


def _finish(root: Path) -> None:
    """Do what the packages' own scripts would have done, as far as an engine needs it."""
    merge_usr(root)
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
