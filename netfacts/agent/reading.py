"""Readings from /proc: sockets with their owners, processes; and files."""

from __future__ import annotations

import contextlib
import glob
import os
import socket
import struct
from pathlib import Path
from typing import Any

_STATES = {1: "ESTABLISHED", 2: "SYN_SENT", 6: "TIME_WAIT", 7: "UNCONN", 8: "CLOSE_WAIT", 10: "LISTEN"}
_NAMESPACES = ("net", "mnt", "pid", "ipc", "uts")


async def sockets(args: dict[str, Any]) -> list[dict[str, Any]]:
    """List the TCP and UDP sockets of this network namespace, with the PIDs that hold them."""
    owners = _socket_owners()
    found = []
    for name in ("tcp", "tcp6", "udp", "udp6"):
        path = Path(f"/proc/thread-self/net/{name}")
        if not path.exists():
            continue
        for line in path.read_text().splitlines()[1:]:
            column = line.split()
            address, port = _address(column[1])
            peer, peer_port = _address(column[2])
            found.append(
                {
                    "protocol": name[:3],
                    "family": 6 if name.endswith("6") else 4,
                    "address": address,
                    "port": port,
                    "peer": peer,
                    "peer_port": peer_port,
                    "state": _STATES.get(int(column[3], 16), column[3]),
                    "pids": owners.get(column[9], []),
                }
            )
    return found


def _address(text: str) -> tuple[str, int]:
    """Read an address of /proc/net/tcp: 32-bit words in the byte order of the machine."""
    raw, port = text.split(":")
    words = [int(raw[start : start + 8], 16) for start in range(0, len(raw), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, packed), int(port, 16)


def _socket_owners() -> dict[str, list[int]]:
    owners: dict[str, list[int]] = {}
    for link in glob.iglob("/proc/[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            target = os.readlink(link)
            if target.startswith("socket:["):
                owners.setdefault(target[8:-1], []).append(int(link.split("/")[2]))
    return owners


async def processes(args: dict[str, Any]) -> list[dict[str, Any]]:
    """List the machine's processes: `pid`, `parent`, `name`, `argv`, and `namespaces` (kind → inode)."""
    found = []
    for folder in glob.iglob("/proc/[0-9]*"):
        with contextlib.suppress(OSError):
            # A process may call itself whatever it likes.
            stat = Path(folder, "stat").read_bytes().decode(errors="replace")
            name, _, rest = stat.partition(" (")[2].rpartition(")")
            argv = Path(folder, "cmdline").read_bytes().decode(errors="replace").split("\0")
            found.append(
                {
                    "pid": int(folder.split("/")[2]),
                    "parent": int(rest.split()[1]),
                    "name": name,
                    "argv": argv[:-1],
                    "namespaces": {kind: os.stat(f"{folder}/ns/{kind}").st_ino for kind in _NAMESPACES},
                }
            )
    return found


async def files(args: dict[str, Any]) -> list[dict[str, Any]]:
    """Read `paths`: each gives `text`, `names` for a folder, or `error`. `root` ("/proc/PID/root") goes before each."""
    root = args.get("root", "")
    return [_file(root + path) for path in args["paths"]]


async def folders(args: dict[str, Any]) -> list[str]:
    """List the folders below `path`, by their paths from there."""
    top = args["path"]
    return sorted(os.path.relpath(folder, top) for folder, _, _ in os.walk(top))


async def inodes(args: dict[str, Any]) -> list[int]:
    """Give the inode numbers of `paths`, such as those of namespaces; 0 for what is not there."""
    return [_inode(path) for path in args["paths"]]


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


async def write(args: dict[str, Any]) -> int:
    """Write `text` to the file `path`, making its folders; gives the number of characters.

    Raises: OSError.
    """
    path = Path(args["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.write_text(args["text"])


def _file(path: str) -> dict[str, Any]:
    try:
        if os.path.isdir(path):
            return {"names": sorted(os.listdir(path))}
        return {"text": Path(path).read_bytes().decode(errors="replace")}
    except OSError as error:
        return {"error": error.strerror, "errno": error.errno}
