"""Makes a process tree into a machine: its own namespaces, and mounts that let nothing reach the disk below."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from netfacts.agent import syscalls as sys_
from netfacts.agent import sysctl

STATE = "/run/netfacts"
"""Where a machine keeps what is its own; on its tmpfs."""

_ROOTS = f"{STATE}/roots"
"""Where engines' root file systems are mounted."""

_CGROUPS = Path("/sys/fs/cgroup")
_NAMESPACES = sys_.CLONE_NEWNS | sys_.CLONE_NEWUTS | sys_.CLONE_NEWIPC | sys_.CLONE_NEWPID | sys_.CLONE_NEWNET


def leave_namespaces(cgroup: str) -> None:
    """Unshare everything a machine has of its own. The next child is PID 1 of the machine.

    `cgroup` names the folder of the cgroup tree that is to be the machine's own root of it. Version 1 has one tree per
    controller and no way to hand one over whole: nothing is made there.

    Raises: OSError.
    """
    if _has_one_cgroup_tree():
        # Where a container starts, runc switches on every controller on the way from the root of the tree that it sees
        # down to the container. Seeing the whole tree, it would do so to the machine below, for good.
        root = _CGROUPS / cgroup
        leaf = root / "machine"
        leaf.mkdir(parents=True)
        (root / "cgroup.procs").write_text("0")
        sys_.unshare(sys_.CLONE_NEWCGROUP)
        # A cgroup that has processes of its own can't hand controllers on.
        (leaf / "cgroup.procs").write_text("0")
    sys_.unshare(_NAMESPACES)


def _has_one_cgroup_tree() -> bool:
    """Say whether this is cgroup version 2 alone."""
    return (_CGROUPS / "cgroup.controllers").exists()


def furnish(config: dict[str, Any]) -> None:
    """Mount and set up the machine. Runs as PID 1.

    `config`: `hostname`, `resolv_conf` (text), `hosts` (text), `sysctls` (name → value; names that this kernel lacks
    are left out).

    Raises: OSError that names the mount.
    """
    _mounts()
    _set_hostname(config["hostname"])
    _write_etc("/etc", config)
    sysctl.write(config["sysctls"])


def _set_hostname(name: str) -> None:
    """Set the host name of this UTS namespace."""
    Path("/proc/sys/kernel/hostname").write_text(name)


def _mounts() -> None:
    sys_.mount("none", "/", flags=sys_.MS_REC | sys_.MS_PRIVATE)
    # From here on nothing that runs in the machine can write to the disk of the machine that carries it.
    sys_.set_read_only("/", True)
    sys_.mount("tmpfs", "/run", "tmpfs", flags=sys_.MS_NOSUID | sys_.MS_NODEV, options="mode=755")
    one_tree, aside = _has_one_cgroup_tree(), f"{STATE}/cgroups"
    if not one_tree:
        os.makedirs(aside)
        sys_.mount(str(_CGROUPS), aside, flags=sys_.MS_BIND | sys_.MS_REC)
        sys_.set_read_only(aside, False)
    # A new sysfs shows the links of the new network namespace, and hides the host's securityfs: an engine that finds
    # AppArmor there would load its profile into the kernel of the machine below. It also hides the cgroups: put back.
    sys_.mount("sysfs", "/sys", "sysfs", flags=sys_.MS_NOSUID | sys_.MS_NODEV | sys_.MS_NOEXEC)
    if one_tree:
        sys_.mount("cgroup2", str(_CGROUPS), "cgroup2", flags=sys_.MS_NOSUID | sys_.MS_NODEV | sys_.MS_NOEXEC)
    else:
        sys_.mount(aside, str(_CGROUPS), flags=sys_.MS_MOVE)
    sys_.mount("proc", "/proc", "proc", flags=sys_.MS_NOSUID | sys_.MS_NODEV | sys_.MS_NOEXEC)
    sys_.mount("tmpfs", "/tmp", "tmpfs", flags=sys_.MS_NOSUID | sys_.MS_NODEV)
    if os.path.isdir("/dev/shm"):
        sys_.mount("tmpfs", "/dev/shm", "tmpfs", flags=sys_.MS_NOSUID | sys_.MS_NODEV)
    _overlay("/etc", "/etc", "etc")
    # dockerd up to 20.10 makes /var/lib/docker when it joins a swarm, wherever its data root is.
    _overlay("/var/lib", "/var/lib", "lib")
    # Engines that follow each other on a machine find each other's mounts, as they would without roots of their own:
    # the namespaces of running containers are mounts below /run. All else stays private to each.
    sys_.mount("none", "/run", flags=sys_.MS_SHARED)
    os.makedirs(_ROOTS)
    # Not shared, or none of them could become a root.
    sys_.mount("tmpfs", _ROOTS, "tmpfs", flags=sys_.MS_NOSUID | sys_.MS_NODEV, options="mode=700")
    sys_.mount("none", _ROOTS, flags=sys_.MS_PRIVATE)


def _overlay(lower: str, target: str, name: str) -> None:
    """Mount a writable view of `lower` on `target`; what is written stays on the machine's tmpfs."""
    upper, work = f"{STATE}/{name}/upper", f"{STATE}/{name}/work"
    # There already when an engine is started again: it finds its root as it left it.
    os.makedirs(upper, exist_ok=True)
    os.makedirs(work, exist_ok=True)
    sys_.mount("overlay", target, "overlay", options=f"lowerdir={lower},upperdir={upper},workdir={work}")


def _write_etc(folder: str, config: dict[str, Any]) -> None:
    for name, text in (
        ("resolv.conf", config["resolv_conf"]),
        ("hosts", config["hosts"]),
        ("hostname", config["hostname"] + "\n"),
    ):
        path = os.path.join(folder, name)
        # On many systems resolv.conf is a link into /run, which is empty here.
        if os.path.lexists(path):
            os.unlink(path)
        Path(path).write_text(text)


def enter_root(lower: str, name: str, config: dict[str, Any]) -> None:
    """Give this process `lower` as its root, writable on tmpfs, in a mount namespace of its own.

    What is written stays for the next process that enters a root of this `name`. `/proc`, `/sys`, `/dev`, `/run` and
    `/tmp` stay the machine's. pivot_root and not chroot: a container runtime that joins the mount namespace anew would
    land in the old root.

    Raises: OSError that names the mount.
    """
    # Its mounts are copies of the machine's: private all but /run.
    sys_.unshare(sys_.CLONE_NEWNS)
    # Left out where /run is mounted into the new root; a copy of a mount does not stay so on every kernel.
    sys_.mount("none", _ROOTS, flags=sys_.MS_UNBINDABLE)
    merged = f"{_ROOTS}/{name}"
    os.makedirs(merged, exist_ok=True)
    _overlay(lower, merged, name)
    for folder, recursive in (("proc", True), ("sys", True), ("dev", True), ("run", True), ("tmp", False)):
        target = os.path.join(merged, folder)
        os.makedirs(target, exist_ok=True)
        sys_.mount(f"/{folder}", target, flags=sys_.MS_BIND | (sys_.MS_REC if recursive else 0))
    etc = os.path.join(merged, "etc")
    os.makedirs(etc, exist_ok=True)
    _write_etc(etc, config)
    sys_.pivot_root(merged)
