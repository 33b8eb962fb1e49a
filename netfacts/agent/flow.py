"""Flows: numbered lines to an echo listener, one every 20 ms, so that a check sees whether they survive what happens.

A flow of kind `tcp` is one connection and one of kind `udp` one socket; `connections` makes a connection for each line.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import re
import socket
import time
from typing import Any

from netfacts.agent.probes import outcome_of

_PAUSE_S = 0.02
# Nothing runs on for ever where its check has died.
_LONGEST_S = 60.0
# For one line over a connection of its own.
_ONE_S = 0.5
_LINE = re.compile(rb"#(\d+)")
_PEER = re.compile(rb'"peer": "([^"]+)"')
_PEERS = 8


class Account:
    """What became of a flow's lines: pure, on whatever clock its callers use."""

    def __init__(self, started: float) -> None:
        self.sent = 0
        self.answered: set[int] = set()
        self.gap_s = 0.0
        """The longest time without an answer."""
        self.gap_at = started
        """When that began."""
        self._heard_at = started

    def answer(self, number: int, at: float) -> None:
        """Note the answer to the line of this number; one that comes twice counts once."""
        self.answered.add(number)
        self.rest(at)
        self._heard_at = at

    def rest(self, at: float) -> None:
        """Note that until now there was no further answer."""
        if at - self._heard_at > self.gap_s:
            self.gap_s, self.gap_at = at - self._heard_at, self._heard_at


class Flow:
    """One flow. Undo: `close`."""

    def __init__(self, args: dict[str, Any]) -> None:
        """Have a flow of `kind` to `address` and `port`; `start` begins it."""
        self.account = Account(time.monotonic())
        self.peers: set[str] = set()
        """The source addresses that the listener saw, where it says so."""
        self.trouble: OSError | None = None
        """What ended it; in a flow of kind udp or connections the last error, from which it went on."""
        self._kind = args["kind"]
        self._to = args["address"], args["port"]
        kind = socket.SOCK_DGRAM if self._kind == "udp" else socket.SOCK_STREAM
        self._family = socket.AF_INET6 if ":" in args["address"] else socket.AF_INET
        self._sock = socket.socket(self._family, kind | socket.SOCK_NONBLOCK)
        self._tasks: list[asyncio.Task[None]] = []
        self._heard = asyncio.Event()
        self._newest = -1

    async def start(self, timeout_s: float) -> None:
        """Connect, see the first line answered, and go on in the background.

        Raises: OSError, also where there is no answer within `timeout_s`.
        """
        loop = asyncio.get_running_loop()
        if self._kind != "connections":
            async with asyncio.timeout(timeout_s):
                await loop.sock_connect(self._sock, self._to)
        jobs = [self._connections()] if self._kind == "connections" else [self._send(), self._receive()]
        self._tasks = [asyncio.create_task(self._bounded(job)) for job in jobs]
        if not await self._answered(0, timeout_s):
            await self.close()
            raise self.trouble or TimeoutError(errno.ETIMEDOUT, "the first line was not answered")

    async def stop(self, timeout_s: float) -> dict[str, Any]:
        """Go on until a line is answered that is sent from now on, at the longest `timeout_s`, and give the account."""
        survived = await self._answered(self.account.sent, timeout_s)
        self.account.rest(time.monotonic())
        answer: dict[str, Any] = {"outcome": "connected"}
        if not survived:
            answer = outcome_of(self.trouble or TimeoutError("no answer any more"))
        await self.close()
        return answer | {
            "sent": self.account.sent,
            "answered": len(self.account.answered),
            "gap_ms": round(self.account.gap_s * 1000, 1),
            "gap_at": self.account.gap_at,
            "peers": sorted(self.peers),
        }

    async def close(self) -> None:
        """End it, whatever it does."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._sock.close()

    async def _answered(self, number: int, timeout_s: float) -> bool:
        """Wait for an answer to this line or a later one; False where none comes any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._newest < number and not any(task.done() for task in self._tasks):
                    self._heard.clear()
                    await self._heard.wait()
        return self._newest >= number

    async def _bounded(self, job: Any) -> None:
        try:
            async with asyncio.timeout(_LONGEST_S):
                await job
        except OSError as error:
            self.trouble = error
        finally:
            self._heard.set()

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        for number in itertools.count():
            # An echo listener sends each line back as it is, where the first says "hold".
            prefix = b"hold " if number == 0 and self._kind == "tcp" else b""
            self.account.sent = number + 1
            try:
                await loop.sock_sendall(self._sock, b"%b#%d\n" % (prefix, number))
            except OSError as error:
                self._endure(error)
            await asyncio.sleep(_PAUSE_S)

    async def _receive(self) -> None:
        loop = asyncio.get_running_loop()
        rest = b""
        while True:
            try:
                data = await loop.sock_recv(self._sock, 65536)
            except OSError as error:
                self._endure(error)
                continue
            if self._kind == "tcp" and not data:
                raise ConnectionResetError(errno.ECONNRESET, "closed by the other end")
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._hear(line)

    def _endure(self, error: OSError) -> None:
        """An error is a connection's end; a datagram socket hears of one that came to nobody, and goes on."""
        if self._kind == "tcp":
            raise error
        self.trouble = error

    async def _connections(self) -> None:
        for number in itertools.count():
            self.account.sent = number + 1
            try:
                async with asyncio.timeout(_ONE_S):
                    self._hear(await self._one(number))
            except OSError as error:
                self.trouble = error
            await asyncio.sleep(_PAUSE_S)

    async def _one(self, number: int) -> bytes:
        loop = asyncio.get_running_loop()
        with socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as sock:
            await loop.sock_connect(sock, self._to)
            await loop.sock_sendall(sock, b"#%d\n" % number)
            data = b""
            while not data.endswith(b"\n"):
                chunk = await loop.sock_recv(sock, 4096)
                if not chunk:
                    raise ConnectionResetError(errno.ECONNRESET, "closed before an answer")
                data += chunk
        return data

    def _hear(self, line: bytes) -> None:
        if not (found := _LINE.search(line)):
            return
        number = int(found[1])
        self.account.answer(number, time.monotonic())
        self._newest = max(self._newest, number)
        if (peer := _PEER.search(line)) and len(self.peers) < _PEERS:
            self.peers.add(peer[1].decode())
        self._heard.set()


class Flows:
    """The flows of one worker, by number."""

    def __init__(self) -> None:
        self._open: dict[int, Flow] = {}
        self._numbers = itertools.count(1)

    async def start(self, args: dict[str, Any]) -> int:
        """Begin a flow: `kind` (tcp, udp, connections), `address`, `port`, `timeout_s`. Gives its number.

        Raises: OSError, also where its first line is not answered.
        """
        flow = Flow(args)
        try:
            await flow.start(args["timeout_s"])
        except BaseException:
            await flow.close()
            raise
        number = next(self._numbers)
        self._open[number] = flow
        return number

    async def stop(self, args: dict[str, Any]) -> dict[str, Any]:
        """End the `flow` of this number and give what became of it: an answer as a probe's, and its account.

        Where no line comes back any more, that is known after `timeout_s`.
        """
        return await self._open.pop(args["flow"]).stop(args["timeout_s"])
