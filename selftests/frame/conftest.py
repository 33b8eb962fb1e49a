"""A checkout with nothing but toxw in it, on a machine that has only what a test gives it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What toxw may take for granted on any system.
_BASICS = ("cat", "chmod", "cp", "dirname", "grep", "ldd", "mkdir", "readlink", "rm", "sed", "tail")

# A python3 that records its calls, makes a .venv of itself, and stands for the tox in it.
_PYTHON = """#!/bin/sh
case "$*" in
    *sys.exit*tox.run* | *tox.run*)
        [ -z "${REAL_PYTHON:-}" ] || exec "$REAL_PYTHON" "$@"
        shift 2
        printf 'tox'
        [ $# -eq 0 ] || printf ' <%s>' "$@"
        echo
        ;;
    *sys.version_info\\ *) exit "${PYTHON_TOO_OLD:-0}" ;;
    *ensurepip*) exit "${PYTHON_WITHOUT_VENV:-0}" ;;
    *print*) echo "${PYTHON_IS:-Python 3.11}" ;;
    -V) echo 'Python 3.9.2' ;;
    *-m\\ venv*)
        echo "venv" >>"$CALLS"
        mkdir -p .venv/bin
        cp "$0" .venv/bin/python
        ;;
    *-m\\ pip*)
        echo "pip index=${PIP_INDEX_URL:-}" >>"$CALLS"
        # As pip does, it hangs in Python: between a shell's fork and exec, dash loses signals.
        [ -z "${PIP_HANGS:-}" ] || exec "$PIP_HANGS" -c '
import os, pathlib, time
pathlib.Path(os.environ["CALLS"]).write_text("pip hangs")
for _ in range(300):
    time.sleep(0.1)'
        [ -z "${PIP_FAILS:-}" ] || { echo 'ERROR: No matching distribution found for tox' >&2; exit 1; }
        ;;
esac
"""

_APT_GET = """#!/bin/sh
echo "apt-get $*" >>"$CALLS"
[ -z "${OFFLINE:-}" ] || { echo "E: Failed to fetch http://deb.debian.org/debian/: no route to host"; exit 100; }
case "$*" in
    *update*) [ -z "${LISTS:-}" ] || : >"$LISTS" ;;
    *install*)
        for package in "$@"; do
            case $package in
                mmdebstrap | gpg | conntrack | iptables | python3) programs=$package ;;
                busybox-static) programs=busybox ;;
                iproute2) programs=ip ;;
                apparmor) programs=apparmor_parser ;;
                docker.io) programs=dockerd ;;
                docker-cli) programs=docker ;;
                nftables) programs=nft ;;
                kmod) programs=modprobe ;;
                e2fsprogs) programs=mke2fs ;;
                openssh-client) programs='ssh ssh-keygen' ;;
                qemu-system-x86) programs=qemu-system-x86_64 ;;
                *) continue ;;
            esac
            for program in $programs; do
                printf '#!/bin/sh\\n' >"$BIN/$program"
                chmod 755 "$BIN/$program"
            done
        done
        ;;
esac
"""

# An apt-cache that knows a suite's packages (OFFERED) once its lists were read, and speaks German unless told so.
_APT_CACHE = """#!/bin/sh
[ "$1" = policy ] && [ $# -eq 2 ] || exit 1
[ -e "$LISTS" ] || exit 0
word=Installationskandidat
[ "${LC_ALL:-}" != C ] || word=Candidate
case " $OFFERED " in
    *" $2 "*) printf '%s:\\n  Installed: (none)\\n  %s: 26.1.5+dfsg1-9+b9\\n' "$2" "$word" ;;
    # What others depend on or provide is known, and has no candidate.
    *) printf '%s:\\n  Installed: (none)\\n  %s: (none)\\n  Version table:\\n' "$2" "$word" ;;
esac
"""

_ID = """#!/bin/sh
case $1 in
    -u) echo "$FAKE_UID" ;;
    -un) echo "user$FAKE_UID" ;;
esac
"""

OS_RELEASES = {
    "debian": 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "ubuntu": 'ID=ubuntu\nID_LIKE=debian\nPRETTY_NAME="Ubuntu 24.04 LTS"\n',
    "mint": 'ID=linuxmint\nID_LIKE="ubuntu debian"\nPRETTY_NAME="Linux Mint 22"\n',
    "fedora": 'ID=fedora\nPRETTY_NAME="Fedora Linux 43"\n',
    "rocky": 'ID="rocky"\nID_LIKE="rhel centos fedora"\nPRETTY_NAME="Rocky Linux 10"\n',
    "arch": 'ID=arch\nPRETTY_NAME="Arch Linux"\n',
    "opensuse": 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\nPRETTY_NAME="openSUSE Tumbleweed"\n',
    "alpine": 'ID=alpine\nPRETTY_NAME="Alpine Linux v3.23"\n',
    "plan9": 'ID=plan9\nPRETTY_NAME="Plan 9"\n',
}


@dataclass
class Machine:
    """A checkout and the programs it finds. `uid` is what toxw is told; `calls` what it made others do."""

    checkout: Path
    bin: Path
    system: str = "debian"
    uid: int = 0
    env: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        os_release = self.bin / "os-release"
        os_release.write_text(OS_RELEASES[self.system])
        return {
            "PATH": str(self.bin),
            "BIN": str(self.bin),
            "CALLS": str(self.bin / "calls"),
            "FAKE_UID": str(self.uid),
            "NETFACTS_OS_RELEASE": str(os_release),
            **self.env,
        }

    def start(
        self, *arguments: str, toxw: str = "./toxw", cwd: Path | None = None, prefix: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*prefix, toxw, *arguments],
            cwd=cwd or self.checkout,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=30,
        )

    def program(self, name: str, script: str = "#!/bin/sh\n") -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(script)
        path.chmod(0o755)

    def without(self, *names: str) -> None:
        for name in names:
            (self.bin / name).unlink()

    def suite(self, *packages: str, lists_read: bool) -> None:
        """Let the machine's package sources have some packages, known at once or after `apt-get update`."""
        lists = self.bin / "lists"
        self.env |= {"OFFERED": " ".join(packages), "LISTS": str(lists)}
        if lists_read:
            lists.touch()
        self.program("apt-cache", _APT_CACHE)

    def calls(self) -> list[str]:
        """Give what was called since the last time of asking."""
        path = self.bin / "calls"
        calls = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return calls


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user may enter, which pytest's tmp_path is not."""
    path = Path(tempfile.mkdtemp(prefix="netfacts-frame-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def machine(folder: Path) -> Machine:
    """A Debian machine that lacks nothing, seen by root."""
    made = Machine(checkout=folder / "check out", bin=folder / "bin")
    made.checkout.mkdir()
    made.bin.mkdir()
    shutil.copy(ROOT / "toxw", made.checkout / "toxw")
    for name in (*_BASICS, "flock"):
        if found := shutil.which(name, path=os.defpath + ":/usr/local/bin"):
            (made.bin / name).symlink_to(found)
    for name in ("mmdebstrap", "busybox", "ip"):
        made.program(name)
    made.program("python3", _PYTHON)
    made.program("apt-get", _APT_GET)
    made.program("id", _ID)
    return made
