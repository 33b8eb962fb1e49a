"""docker.io of a suite of Debian or Ubuntu: unpacked beside the machine, never installed on it."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import re
import shutil
from pathlib import Path

from netfacts.engine import cache
from netfacts.engine.cache import Content, Entry
from netfacts.engine.progress import Progress, Step
from netfacts.model.errors import EngineError, UsageError
from netfacts.run import follow

DISTRIBUTIONS = ("debian", "ubuntu")
SUITE = re.compile(r"[a-z][a-z0-9.-]{0,60}")

_PACKAGES = ("docker.io", "docker-cli", "containerd", "runc", "iptables", "nftables", "ca-certificates")
# docker-cli is a package of its own since trixie and noble; before, docker.io holds it.
_WITHOUT_CLI = {"bullseye", "bookworm", "focal", "jammy"}
_ENGINE = "docker.io"
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
# Nothing is installed, so no database knows the packages: they are asked while they are still there.
_PACKAGE = "netfacts-package"
_TELL_PACKAGES = (
    'for deb in "$1"/var/cache/apt/archives/*.deb; do '
    f"dpkg-deb --showformat='{_PACKAGE} ${{Package}} ${{Version}}\\n' --show \"$deb\"; done"
)
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
    lines = "".join(f"{name}={version}\n" for name, version in sorted(packages.items()))
    return Content(packages.get(_ENGINE, "?"), hashlib.sha256(lines.encode()).hexdigest(), packages)


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
    if not shutil.which("mmdebstrap"):
        raise UsageError(
            f"unpacking docker.io of {distribution} {suite} needs mmdebstrap",
            remedy="apt-get install mmdebstrap (`./toxw` does so), or name another engine with --engine",
        )
    packages = [name for name in _PACKAGES if not (name == "docker-cli" and suite in _WITHOUT_CLI)]
    keyring = _KEYRINGS[distribution]
    versions: dict[str, str] = {}

    def hear(line: str) -> None:
        for begin, step in _STEPS:
            if line.startswith(begin):
                progress(Step(f"{distribution}:{suite}: {step}"))
        if line.startswith(_PACKAGE):
            _, name, version = line.split()
            versions[name] = version

    progress(Step(f"{distribution}:{suite}: unpacking its docker.io (about 10 s, once)"))
    argv = [
        "mmdebstrap",
        "--variant=extract",
        "--mode=root",
        f"--include={','.join(packages)}",
        f"--extract-hook={_TELL_PACKAGES}",
        # A suite that gets no more releases has a Release file that has expired.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        *([f"--keyring={keyring}"] if keyring.exists() else []),
        *(["--components=main,universe"] if distribution == "ubuntu" else []),
        suite,
        str(target),
    ]
    done = follow(argv, on_line=hear, timeout_s=_TIMEOUT_S)
    done.checked(
        f"could not unpack docker.io of {distribution} {suite}",
        EngineError,
        remedy="is the suite's name right, and is a package mirror reachable? `apt-get update` tells",
    )
    return versions


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
