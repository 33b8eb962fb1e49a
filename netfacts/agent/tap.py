"""Taps: the last packets of a network namespace, kept while checks run in case that one of them is to be explained."""

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
_ETHERNET, _LOOPBACK = 1, 772
# The C library's numbers, which Python does not name.
_SO_TIMESTAMPNS, _SO_RCVBUFFORCE = 35, 33
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_TIMESPEC = struct.Struct("@ll")
# What the kernel keeps between two looks …
_QUEUE_BYTES = 2 * 1024 * 1024
# … which are seldom, so that nobody is woken by each packet: the checks are not to become slower by being watched.
_PAUSE_S = 0.5


class _Tap:
    def __init__(self, interface: str, limit: int, snap_bytes: int) -> None:
        # Of no protocol it hears nothing until it is bound; not bound, it hears every interface, later ones too.
        protocol = 0 if interface else socket.htons(_ETH_P_ALL)
        self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        with contextlib.suppress(PermissionError):
            self._sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _QUEUE_BYTES)
        self._sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        if interface:
            self._sock.bind((interface, _ETH_P_ALL))
        self._buffer = bytearray(snap_bytes)
        self._packets: deque[tuple[float, str, str, int, bytes]] = deque(maxlen=limit)
        self._losses: deque[tuple[float, int]] = deque(maxlen=limit)
        self._look()

    def _look(self) -> None:
        self._drain()
        asyncio.get_running_loop().call_later(_PAUSE_S, self._look)

    def _drain(self) -> None:
        # An interface that goes down says so here, once; the tap stays.
        with contextlib.suppress(OSError):
            while True:
                self._receive()
        said = self._sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        if lost := struct.unpack("=II", said)[1]:
            self._losses.append((time.time(), lost))

    def _receive(self) -> None:
        # With MSG_TRUNC the length is that of the packet, however little of it is kept.
        length, ancillary, _, address = self._sock.recvmsg_into(
            [self._buffer], socket.CMSG_SPACE(_TIMESPEC.size), socket.MSG_TRUNC
        )
        interface, protocol, kind, hardware = address[:4]
        if hardware == _LOOPBACK and kind == socket.PACKET_OUTGOING:
            # What leaves by the loopback interface comes in by it at once.
            return
        data = bytes(self._buffer[:length])
        if hardware not in (_ETHERNET, _LOOPBACK):
            # A tunnel's packets begin with IP: a file of captures has one kind of header alone.
            data, length = bytes(12) + struct.pack("!H", protocol) + data, length + 14
        way = "out" if kind == socket.PACKET_OUTGOING else "in"
        self._packets.append((_stamp(ancillary), interface, way, length, data))

    def since(self, age_s: float) -> dict[str, Any]:
        self._drain()
        began = time.time() - age_s
        return {
            "packets": [
                [at, interface, way, length, base64.b64encode(data).decode()]
                for at, interface, way, length, data in self._packets
                if at >= began
            ],
            "lost": sum(lost for at, lost in self._losses if at >= began),
            "full": len(self._packets) == self._packets.maxlen,
            "now": time.time(),
        }


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> float:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return float(seconds + nanoseconds / 1e9)
    return time.time()


class Taps:
    """The taps of one worker, by number. They stay open as long as it lives."""

    def __init__(self) -> None:
        self._open: dict[int, _Tap] = {}
        self._numbers = itertools.count(1)

    async def open(self, args: dict[str, Any]) -> int:
        """Begin to keep the last `limit` packets, `snap_bytes` of each, of `interface` ("" for all). Gives a number.

        Raises: OSError where there is no such interface.
        """
        number = next(self._numbers)
        self._open[number] = _Tap(args["interface"], args["limit"], args["snap_bytes"])
        return number

    async def read(self, args: dict[str, Any]) -> dict[str, Any]:
        """Give what the `tap` of this number has of the last `age_s` seconds.

        `packets`: [time, interface, "in" or "out", length, bytes], the oldest first; `lost`: how many the kernel had no
        room for; `full`: whether older ones make way for newer ones by now; `now`: the time, by the same clock.
        """
        return self._open[args["tap"]].since(args["age_s"])
