"""Captures as files that tcpdump and Wireshark read: the classic format, in microseconds, of Ethernet frames."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from netfacts.observe.tap import SNAP_BYTES, Frame

_HEADER = struct.Struct("<IHHiIII")
_RECORD = struct.Struct("<IIII")
_MAGIC, _ETHERNET = 0xA1B2C3D4, 1
_VERSION = (2, 4)


def pcap(frames: Iterable[Frame]) -> bytes:
    """Give the file of these frames."""
    parts = [_HEADER.pack(_MAGIC, *_VERSION, 0, 0, SNAP_BYTES + 14, _ETHERNET)]
    for frame in frames:
        seconds, microseconds = divmod(round(frame.at * 1_000_000), 1_000_000)
        parts += [_RECORD.pack(seconds, microseconds, len(frame.data), frame.length), frame.data]
    return b"".join(parts)
