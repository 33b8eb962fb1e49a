"""Connections that stay open between two requests, so that a check can see whether they survive what happens."""

from __future__ import annotations

import asyncio
import errno
import itertools
import secrets
import socket
import time
from typing import Any

from netfacts.agent.probes import outcome_of


class Held:
    """The connections of one worker to echo listeners, by number."""

    def __init__(self) -> None:
        self._open: dict[int, socket.socket] = {}
        self._numbers = itertools.count(1)

    async def open(self, args: dict[str, Any]) -> int:
        """Connect to the TCP echo listener at `address` and `port`, and have it hold the connection. Gives a number.

        Raises: OSError, also where it does not answer within `timeout_s`.
        """
        family = socket.AF_INET6 if ":" in args["address"] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            async with asyncio.timeout(args["timeout_s"]):
                await asyncio.get_running_loop().sock_connect(sock, (args["address"], args["port"]))
                await _echo(sock, "hold ")
        except BaseException:
            sock.close()
            raise
        number = next(self._numbers)
        self._open[number] = sock
        return number

    async def say(self, args: dict[str, Any]) -> dict[str, Any]:
        """Send a line over the `connection` of this number and wait for it to come back; an answer as a probe's."""
        sock = self._open[args["connection"]]
        started = time.perf_counter()
        answer: dict[str, Any] = {"outcome": "connected"}
        try:
            async with asyncio.timeout(args["timeout_s"]):
                await _echo(sock, "")
        except OSError as error:
            answer = outcome_of(error)
        return answer | {"latency_ms": round((time.perf_counter() - started) * 1000, 3)}


async def _echo(sock: socket.socket, prefix: str) -> None:
    loop = asyncio.get_running_loop()
    line = f"{prefix}{secrets.token_hex(8)}\n".encode()
    await loop.sock_sendall(sock, line)
    data = b""
    while not data.endswith(line):
        chunk = await loop.sock_recv(sock, 4096)
        if not chunk:
            raise ConnectionResetError(errno.ECONNRESET, "closed before an answer")
        data += chunk
