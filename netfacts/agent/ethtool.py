"""A driver's own statistics of a link, read as `ethtool -S` does it (linux/ethtool.h)."""

from __future__ import annotations

import ctypes
import fcntl
import socket
import struct
from typing import Any

_SIOCETHTOOL = 0x8946
_GSTRINGS, _GSTATS, _GSSET_INFO = 0x1B, 0x1D, 0x37
_SS_STATS = 1
_NAME_BYTES = 32


async def statistics(args: dict[str, Any]) -> dict[str, int]:
    """Give the statistics of `interface` by name; none where its driver keeps none.

    Raises: OSError where there is no such interface.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        told = _ask(sock, args["interface"], struct.pack("=IIQI", _GSSET_INFO, 0, 1 << _SS_STATS, 0))
        _, _, kept, count = struct.unpack("=IIQI", told)
        if not kept:
            return {}
        told = _ask(
            sock, args["interface"], struct.pack("=III", _GSTRINGS, _SS_STATS, count) + bytes(count * _NAME_BYTES)
        )
        texts = [told[start : start + _NAME_BYTES] for start in range(12, len(told), _NAME_BYTES)]
        told = _ask(sock, args["interface"], struct.pack("=II", _GSTATS, count) + bytes(count * 8))
        values = struct.unpack(f"={count}Q", told[8:])
    return {text.split(b"\0")[0].decode(): value for text, value in zip(texts, values, strict=True)}


def _ask(sock: socket.socket, interface: str, command: bytes) -> bytes:
    """Hand the driver a command; the reply comes in its place."""
    buffer = ctypes.create_string_buffer(command, len(command))
    fcntl.ioctl(sock, _SIOCETHTOOL, struct.pack("16sP16x", interface.encode(), ctypes.addressof(buffer)))
    return buffer.raw
