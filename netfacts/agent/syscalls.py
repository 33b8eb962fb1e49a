"""The system calls that Python 3.11 lacks: namespaces, mounts and pivot_root."""

from __future__ import annotations

import ctypes
import os
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2

_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 1
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
# Numbers that are the same on every architecture since the tables were unified (kernel 5.1 and later) …
_SYS_MOUNT_SETATTR = 442
# … and one that is not.
_SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "armv7l": 218, "ppc64le": 203, "s390x": 217}

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Give this process namespaces of its own.

    Raises: OSError.
    """
    _check(_libc.unshare(flags), f"unshare({flags:#x})")


def setns(path: str, kind: int) -> None:
    """Join the namespace at `path`; `kind` is the CLONE_NEW* flag it must be of.

    Raises: OSError, also where the namespace is gone.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.setns(fd, kind), f"setns({path})")
    finally:
        os.close(fd)


def mount(source: str, target: str, kind: str = "", *, flags: int = 0, options: str = "") -> None:
    """Mount `source` on `target`.

    Raises: OSError that names both.
    """
    result = _libc.mount(
        source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), options.encode() or None
    )
    _check(result, f"mount {source} on {target} ({kind or 'bind'})")


def detach(target: str) -> None:
    """Unmount `target` now and let go of it once nobody uses it.

    Raises: OSError.
    """
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"umount {target}")


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def set_read_only(target: str, read_only: bool) -> None:
    """Make a mount and all below it read-only, or writable again.

    Raises: OSError; the call needs kernel 5.12.
    """
    attributes = _MountAttr(attr_set=_MOUNT_ATTR_RDONLY) if read_only else _MountAttr(attr_clr=_MOUNT_ATTR_RDONLY)
    result = _libc.syscall(
        _SYS_MOUNT_SETATTR,
        _AT_FDCWD,
        target.encode(),
        _AT_RECURSIVE,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
    )
    _check(result, f"mount_setattr {target} ({'ro' if read_only else 'rw'})")


def pivot_root(new_root: str) -> None:
    """Make `new_root`, a mount point, the root of this mount namespace, and let go of the old one.

    Raises: OSError.
    """
    machine = os.uname().machine
    if machine not in _SYS_PIVOT_ROOT:
        raise OSError(f"pivot_root: its number on {machine} is not known here ({sys.platform})")
    old_root = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        os.chdir(new_root)
        # "." twice stacks the old root on the new one, so no folder for it is needed: pivot_root(2), NOTES.
        _check(_libc.syscall(_SYS_PIVOT_ROOT[machine], b".", b"."), f"pivot_root {new_root}")
        os.fchdir(old_root)
        # What is shared in the old root must not go elsewhere, too, when it goes here.
        mount("none", ".", flags=MS_REC | MS_SLAVE)
        detach(".")
        os.chdir("/")
    finally:
        os.close(old_root)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent ends."""
    _check(_libc.prctl(_PR_SET_PDEATHSIG, 9, 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")


def set_name(name: str) -> None:
    """Name this process for `ps` (15 bytes)."""
    _libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)
