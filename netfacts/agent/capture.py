"""Captures: the packets that pass an interface, kept in memory, bounded."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import socket
import struct
import time
from collections import deque
from typing import Any

_ETH_P_ALL = 0x0003
# The C library's numbers, which Python does not name.
_SO_RCVBUFFORCE = 33
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_RECEIVE_BYTES = 4 * 1024 * 1024


class _Capture:
    def __init__(self, interface: str, limit: int, snap_bytes: int) -> None:
        self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(_ETH_P_ALL))
        with contextlib.suppress(PermissionError):
            self._sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BYTES)
        self._sock.bind((interface, _ETH_P_ALL))
        self._snap_bytes = snap_bytes
        self._packets: deque[tuple[float, str, bytes]] = deque(maxlen=limit)
        self._seen = 0
        asyncio.get_running_loop().add_reader(self._sock, self._drain)

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, address = self._sock.recvfrom(self._snap_bytes)
                self._seen += 1
                way = "out" if address[2] == socket.PACKET_OUTGOING else "in"
                self._packets.append((time.time(), way, data))

    def stop(self) -> dict[str, Any]:
        asyncio.get_running_loop().remove_reader(self._sock)
        self._drain()
        _, lost = struct.unpack("=II", self._sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self._sock.close()
        return {
            "seen": self._seen + lost,
            "packets": [[at, way, base64.b64encode(data).decode()] for at, way, data in self._packets],
        }


class Captures:
    """The captures under way in one worker, by number."""

    def __init__(self) -> None:
        self._running: dict[int, _Capture] = {}
        self._numbers = itertools.count(1)

    async def start(self, args: dict[str, Any]) -> int:
        """Begin to capture on `interface`, keeping the last `limit` packets, `snap_bytes` of each. Gives a number.

        Raises: OSError where there is no such interface.
        """
        number = next(self._numbers)
        self._running[number] = _Capture(args["interface"], args["limit"], args["snap_bytes"])
        return number

    async def stop(self, args: dict[str, Any]) -> dict[str, Any]:
        """End the `capture` of this number; gives `seen` and `packets`: [time, "in" or "out", bytes].

        `seen` counts all that passed, those that the kernel had no room for, too.
        """
        return self._running.pop(args["capture"]).stop()
