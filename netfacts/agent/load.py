"""Loads: questions and bytes over TCP by which a path is measured, all of them bounded in number and in time.

Both ends are children of their workers, with blocking sockets: in an event loop a round trip takes three times as long
as in the kernel, and what there is to compare would be lost in that. The first byte of a connection says what is
wanted: `e` has every message sent back, `s` has bytes sent as fast as they go.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import json
import os
import socket
import struct
import time
from statistics import median
from typing import Any

from netfacts.agent import child
from netfacts.agent import syscalls as sys_
from netfacts.agent.probes import outcome_of

LONGEST_S = 1.0
"""For how long a connection is served at most; nobody may look for longer than half of it."""
MOST_BYTES = 512 << 20
MOST_EXCHANGES = 1000
SLICE_BYTES = 1 << 20
"""A stream is timed in slices: whoever is interrupted for a moment loses one of them, and not the figure."""

_MESSAGE = b"." * 64
_CHUNK_BYTES = 256 << 10
# As much as a slice holds several times over: no slice is there before its clock runs.
_BUFFER_BYTES = 256 << 10
# Not looked at: the first exchanges wake both ends up, and a stream begins slowly.
_WARM_EXCHANGES = 10
_WARM_SLICES = 2
_TIMEVAL = struct.Struct("@ll")


class Source:
    """An open listener that answers to loads, one after the other. Undo: `close`."""

    def __init__(self, sock: socket.socket, *, urgent: bool) -> None:
        """Serve on a bound socket, which becomes its own; `urgent`: before all other processes."""
        with sock:
            sock.listen()
            self._pid = child.fork(lambda: _serve(sock, urgent=urgent), keep=(sock.fileno(),))

    def close(self) -> None:
        """End it."""
        child.end(self._pid)


async def load(args: dict[str, Any]) -> dict[str, Any]:
    """Put loads to the source at `address` and `port`: exchanges for `window_s`, then a stream for as long.

    After `timeout_s` nothing is waited for any more. `urgent`: see `Source`.

    Gives an answer as a probe's, and where that is `connected`: the numbers of `exchanges` and `slices`, the medians of
    what one took (`exchange_s`, `slice_s`), and the `slice_bytes` of one slice.
    """
    window_s, timeout_s = args["window_s"], args["timeout_s"]
    if not 0 < window_s <= LONGEST_S / 2:
        raise ValueError(f"can't look for {window_s!r} s")
    read, write = os.pipe()
    pid = child.fork(lambda: _tell(write, args), keep=(write,))
    os.close(write)
    try:
        async with asyncio.timeout(timeout_s):
            said = await child.read_all(read)
    except TimeoutError:
        return {"outcome": "timed_out", "detail": f"no result within {timeout_s} s"}
    finally:
        child.end(pid)
    if not said:
        raise RuntimeError("what was to put the loads ended without a word")
    answer: dict[str, Any] = json.loads(said)
    return answer


def _hold_still(*, urgent: bool) -> None:
    """Have what is measured depend on the path, and as little as can be on the machine.

    On one machine both ends so share a processor: else half of the round trips would hold the time that another one
    takes to wake up, which is five times as long as all the rest. `urgent` ends are let before all other processes.
    """
    gc.disable()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if urgent:
        child.go_first()


# -- the source


def _serve(sock: socket.socket, *, urgent: bool) -> None:
    sys_.set_name("nf-load")
    _hold_still(urgent=urgent)
    while True:
        # Whoever has seen enough just goes, perhaps before it was its turn; whoever says nothing is not waited for.
        with contextlib.suppress(OSError):
            connection, _ = sock.accept()
            with connection:
                _respond(connection)


def _respond(connection: socket.socket) -> None:
    until = time.monotonic() + LONGEST_S
    patience = _TIMEVAL.pack(int(LONGEST_S), 0)
    # By the kernel, and not by `settimeout`: that would ask it before each call.
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        connection.setsockopt(socket.SOL_SOCKET, option, patience)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wanted = connection.recv(1)
    if wanted == b"e":
        for _ in range(MOST_EXCHANGES + _WARM_EXCHANGES):
            message = connection.recv(len(_MESSAGE))
            if not message or time.monotonic() > until:
                return
            connection.sendall(message)
    elif wanted == b"s":
        chunk, sent = bytes(_CHUNK_BYTES), 0
        while sent < MOST_BYTES and time.monotonic() < until:
            sent += connection.send(chunk)


# -- who asks it


def _tell(write: int, args: dict[str, Any]) -> None:
    sys_.set_name("nf-load")
    _hold_still(urgent=args["urgent"])
    to = args["address"], args["port"]
    try:
        answer: dict[str, Any] = {"outcome": "connected"} | _exchange(to, args["window_s"])
        answer |= _stream(to, args["window_s"])
    except OSError as error:
        answer = outcome_of(error)
    os.write(write, json.dumps(answer).encode())


def _exchange(to: tuple[str, int], window_s: float) -> dict[str, Any]:
    took: list[float] = []
    with _connect(to, b"e") as sock:
        for _ in range(_WARM_EXCHANGES):
            _ask(sock)
        began = time.perf_counter()
        until = began + window_s
        while began < until and len(took) < MOST_EXCHANGES:
            _ask(sock)
            now = time.perf_counter()
            took.append(now - began)
            began = now
    return {"exchanges": len(took), "exchange_s": median(took)}


def _stream(to: tuple[str, int], window_s: float) -> dict[str, Any]:
    room = memoryview(bytearray(SLICE_BYTES))
    took: list[float] = []
    with _connect(to, b"s") as sock:
        flows = all(_fill(sock, room) for _ in range(_WARM_SLICES))
        began = time.perf_counter()
        until = began + window_s
        # A fast one may come to its end before.
        while flows and began < until and (flows := _fill(sock, room)):
            now = time.perf_counter()
            took.append(now - began)
            began = now
    if not took:
        raise ConnectionResetError(errno.ECONNRESET, "closed before an answer")
    return {"slices": len(took), "slice_bytes": SLICE_BYTES, "slice_s": median(took)}


def _fill(sock: socket.socket, room: memoryview) -> bool:
    """Read a slice; says whether it came to its end."""
    missing = len(room)
    while missing and (came := sock.recv_into(room[:missing])):
        missing -= came
    return not missing


def _connect(to: tuple[str, int], wanted: bytes) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    sock.connect(to)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(wanted)
    return sock


def _ask(sock: socket.socket) -> None:
    sock.sendall(_MESSAGE)
    missing = len(_MESSAGE)
    while missing:
        came = len(sock.recv(missing))
        if not came:
            raise ConnectionResetError(errno.ECONNRESET, "closed before an answer")
        missing -= came
