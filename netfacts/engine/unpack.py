"""Unpacks packages of a suite of Debian or Ubuntu into a folder: no package script is run, and nothing is installed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from netfacts.engine.progress import Progress, Step
from netfacts.model.errors import EngineError, UsageError
from netfacts.run import follow

DISTRIBUTIONS = ("debian", "ubuntu")
SUITE = re.compile(r"[a-z][a-z0-9.-]{0,60}")
TOOL = "mmdebstrap"

_MERGED = ("bin", "sbin", "lib", "lib64")
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


def unpack(
    packages: Sequence[str],
    target: Path,
    *,
    what: str,
    distribution: str,
    suite: str,
    label: str,
    progress: Progress,
    without: Sequence[str] = (),
    recommended: bool = True,
    timeout_s: float = 600.0,
) -> dict[str, str]:
    """Unpack packages, and all that they depend on, and give the versions of all.

    `what` says in words what they are, `label` begins each line of the progress. `without` are dpkg's patterns of paths
    that are left out, and not `recommended` leaves out what packages only recommend.

    Raises: EngineError with the end of what the tools said; UsageError where mmdebstrap is missing.
    """
    if not shutil.which(TOOL):
        raise UsageError(
            f"unpacking {what} of {distribution} {suite} needs {TOOL}",
            remedy=f"apt-get install {TOOL} (`./toxw` does so), or do without: another --engine, -k 'not apps'",
        )
    keyring = _KEYRINGS[distribution]
    versions: dict[str, str] = {}

    def hear(line: str) -> None:
        for begin, step in _STEPS:
            if line.startswith(begin):
                progress(Step(f"{label}: {step}"))
        if line.startswith(_PACKAGE):
            _, name, version = line.split()
            versions[name] = version

    progress(Step(f"{label}: unpacking its {what} (about 10 s, once)"))
    argv = [
        TOOL,
        "--variant=extract",
        "--mode=root",
        f"--include={','.join(packages)}",
        f"--extract-hook={_TELL_PACKAGES}",
        # A suite that gets no more releases has a Release file that has expired.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        *([] if recommended else ['--aptopt=Apt::Install-Recommends "false"']),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in without),
        *([f"--keyring={keyring}"] if keyring.exists() else []),
        *(["--components=main,universe"] if distribution == "ubuntu" else []),
        suite,
        str(target),
    ]
    done = follow(argv, on_line=hear, timeout_s=timeout_s)
    done.checked(
        f"could not unpack {what} of {distribution} {suite}",
        EngineError,
        remedy="is the suite's name right, and is a package mirror reachable? `apt-get update` tells",
    )
    return versions


def digest_of(packages: Mapping[str, str]) -> str:
    """Give a digest of packages' versions."""
    lines = "".join(f"{name}={version}\n" for name, version in sorted(packages.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def merge_usr(root: Path) -> None:
    """Do to unpacked packages what base-files would have done: /bin and its like become links."""
    for name in _MERGED:
        merge(root, name)


def merge(root: Path, name: str) -> None:
    """Make a folder such as /bin a link into /usr, and what is in it part of that."""
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
