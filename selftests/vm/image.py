"""The disk that the VMs boot from: Debian 12 with docker.io, made once and kept in the cache."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from netfacts.engine import cache
from netfacts.lab.stamp import owner_is_dead, stamp
from netfacts.model.errors import LabError, UsageError
from netfacts.run import run

ROOT = Path(__file__).resolve().parents[2]
SUITE = "bookworm"
USER = "lab"
"""May sudo without a password. Root can log in with the same key."""
STRANGER = "guest"
"""May log in, and nothing else."""

_PACKAGES = ("linux-image-amd64", "zstd", "systemd-sysv", "udev", "dbus", "openssh-server", "sudo", "procps")
_DISK = "6G"
_MMDEBSTRAP_S, _STEP_S = 900.0, 120.0
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Place:
    """Where a VM stands on the segment that it shares with the others."""

    name: str
    number: int

    @property
    def mac(self) -> str:
        return f"52:54:00:c6:33:{self.number:02x}"

    @property
    def ipv4(self) -> str:
        return f"198.51.100.{self.number}"

    @property
    def ipv6(self) -> str:
        return f"2001:db8:1::{self.number}"


# The names and addresses of the Vagrantfile.
PLACES = {place.name: place for place in (Place("vm1", 11), Place("vm2", 12), Place("client", 13))}

_FILES = {
    "etc/fstab": "/dev/vda / ext4 defaults 0 0\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n"
    + "".join(f"{place.ipv4} {place.name}\n{place.ipv6} {place.name}\n" for place in PLACES.values()),
    # There is no name server: who asks for a name is to be refused at once and not to wait.
    "etc/resolv.conf": "",
    f"etc/sudoers.d/{USER}": f"{USER} ALL=(ALL) NOPASSWD: ALL\n",
    "etc/ssh/sshd_config": "HostKey /etc/ssh/ssh_host_ed25519_key\nUsePAM yes\nUseDNS no\nPrintMotd no\n"
    "PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
    "MaxStartups 100\nMaxSessions 100\nSubsystem sftp /usr/lib/openssh/sftp-server\n",
    "etc/systemd/journald.conf.d/vm.conf": "[Journal]\nStorage=volatile\n",
    # A connection is to outlive the time for which its cable is out.
    "etc/systemd/network/10-ssh.network": "[Match]\nMACAddress=52:54:00:12:34:56\n"
    "[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\nIPv6AcceptRA=no\nIgnoreCarrierLoss=yes\n[DHCPv4]\nUseDNS=no\n",
} | {
    f"etc/systemd/network/20-{place.name}.network": f"[Match]\nMACAddress={place.mac}\n"
    f"[Network]\nAddress={place.ipv4}/24\nAddress={place.ipv6}/64\nIPv6AcceptRA=no\nConfigureWithoutCarrier=yes\n"
    "IgnoreCarrierLoss=yes\n"
    for place in PLACES.values()
}
# There before the kernel is installed, whose initrd is thereby a tenth of what it would be.
_INITRD_FILES = {
    "etc/initramfs-tools/conf.d/vm": "MODULES=list\n",
    "usr/share/initramfs-tools/modules.d/vm": "virtio_pci\nvirtio_blk\next4\n",
}
_ENABLED = ("systemd-networkd.service",)
_MASKED = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "systemd-networkd-wait-online.service",
)


@dataclass(frozen=True)
class Image:
    """What VMs are booted from. `identity` is the private key of all users, `host_key` the public one of sshd."""

    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "disk.raw"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd.img"

    @property
    def identity(self) -> Path:
        return self.folder / "identity"

    @property
    def host_key(self) -> str:
        return (self.folder / "host_key.pub").read_text().strip()


@contextlib.contextmanager
def held() -> Iterator[Image]:
    """Yield the image, making it first where the cache has none of this recipe. Undo: others may remove it.

    Raises: LabError with the end of what the tools said; UsageError where one of them is missing.
    """
    images = cache.folder() / "vm"
    images.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        # Two that start at once: the second waits for the first, and nobody removes what is about to be held.
        with _locked(images / ".lock", fcntl.LOCK_EX):
            folder = images / f"debian-{SUITE}-{_digest()[:12]}"
            if not folder.is_dir():
                _sweep(images, folder)
                _make(images, folder)
            stack.enter_context(_locked(folder / "lock", fcntl.LOCK_SH))
        yield Image(folder)


def _digest() -> str:
    """Tell recipes apart: all that decides what an image holds stands in this file and in what `toxw` says."""
    return hashlib.sha256(Path(__file__).read_bytes() + " ".join(_engine_packages()).encode()).hexdigest()


def _engine_packages() -> list[str]:
    done = run([str(ROOT / "toxw"), "--packages", "engine"], timeout_s=_STEP_S)
    packages = done.checked("could not learn what an engine's machine needs", LabError).out.split()
    # What toxw names is what this machine's suite has; in that of the VMs docker.io holds the client.
    return [name for name in packages if name != "docker-cli"]


@contextlib.contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    with path.open("a") as lock:
        fcntl.flock(lock, kind)
        yield


def _sweep(images: Path, wanted: Path) -> None:
    """Remove what dead processes left half made, and images of older recipes that no VM runs from."""
    for path in images.iterdir():
        if owner_is_dead(path.name):
            shutil.rmtree(path)
        elif path.name.startswith("debian-") and path != wanted:
            with contextlib.suppress(BlockingIOError), _locked(path / "lock", fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(path)


def _make(images: Path, folder: Path) -> None:
    _refuse_without("mmdebstrap", "mke2fs", "ssh-keygen")
    partial = images / stamp(f"partial-{secrets.token_hex(4)}")
    try:
        partial.mkdir(mode=0o700)
        print(f"vm: making a disk with Debian {SUITE} (a minute or two, once)", file=sys.stderr)
        root = partial / "root"
        _install(root, partial)
        _configure(root, partial)
        _checked(["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(partial / "disk.raw"), _DISK])
        shutil.copy(next((root / "boot").glob("vmlinuz-*")), partial / "vmlinuz")
        shutil.copy(next((root / "boot").glob("initrd.img-*")), partial / "initrd.img")
        shutil.copy(root / "etc/ssh/ssh_host_ed25519_key.pub", partial / "host_key.pub")
        shutil.rmtree(root)
        shutil.rmtree(partial / "before")
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _refuse_without(*programs: str) -> None:
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        raise UsageError(f"VMs need {', '.join(missing)}", remedy="sudo ./toxw -e vm installs what is missing")


def _install(root: Path, partial: Path) -> None:
    before = partial / "before"
    _write(before, _INITRD_FILES)
    argv = [
        "mmdebstrap",
        "--variant=minbase",
        "--mode=root",
        f"--include={','.join((*_PACKAGES, *_engine_packages()))}",
        # Nobody reads them in there.
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale", "info")),
        f"--essential-hook=sync-in {before} /",
        # A suite that gets no more releases has a Release file that has expired.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        *([f"--keyring={_KEYRING}"] if _KEYRING.exists() else []),
        SUITE,
        str(root),
    ]
    run(argv, timeout_s=_MMDEBSTRAP_S).checked(
        f"could not install Debian {SUITE} for the VMs",
        LabError,
        remedy="is a package mirror reachable? `apt-get update` tells",
    )


def _configure(root: Path, partial: Path) -> None:
    _write(root, _FILES)
    (root / f"etc/sudoers.d/{USER}").chmod(0o440)
    # A new machine has no name of its own: the kernel's command line gives it one.
    (root / "etc/hostname").unlink(missing_ok=True)
    # What mmdebstrap took from the machine below, and an identity that each VM has to make for itself.
    (root / "etc/machine-id").write_text("")
    for name in _ENABLED:
        _link(root / f"etc/systemd/system/multi-user.target.wants/{name}", f"/lib/systemd/system/{name}")
    for name in _MASKED:
        _link(root / f"etc/systemd/system/{name}", "/dev/null")
    _checked(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "netfacts selftests", "-f", str(partial / "identity")]
    )
    public = (partial / "identity.pub").read_text()
    for user in (USER, STRANGER):
        _checked(["chroot", str(root), "useradd", "--create-home", "--shell", "/bin/bash", user])
    for user, home in {"root": "root", USER: f"home/{USER}", STRANGER: f"home/{STRANGER}"}.items():
        _write(root, {f"{home}/.ssh/authorized_keys": public})
        _checked(["chroot", str(root), "chown", "-R", f"{user}:", f"/{home}/.ssh"])


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not through a link: it would lead out of the tree.
        path.unlink(missing_ok=True)
        path.write_text(text)


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def _checked(argv: list[str]) -> None:
    env = os.environ | {"PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"}
    run(argv, timeout_s=_STEP_S, env=env).checked(f"could not make the VMs' disk: {argv[0]} failed", LabError)
