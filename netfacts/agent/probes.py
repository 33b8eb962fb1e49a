"""Probes: small questions put to an address, all of a batch at once. Each says how it ended and who answered.

Answer of each probe: {"outcome": …, "latency_ms": …} and what it learnt: "peer" (the source address that the listener
saw), "name" (of the listener), "source" (who sent the reply, or the ICMP error that a ping ended in), "ttl", "reply"
(bytes), "status" and "body" (HTTP), "detail" (the kernel's words).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import errno
import http.client
import io
import json
import os
import secrets
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any

_OUTCOMES = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "timed_out",
    errno.EHOSTUNREACH: "unreachable",
    errno.ENETUNREACH: "unreachable",
    errno.EHOSTDOWN: "unreachable",
    errno.ENONET: "unreachable",
    # What the firewall of the machine itself rejects, and what has no source address to leave from.
    errno.EPERM: "unreachable",
    errno.EACCES: "unreachable",
    errno.EADDRNOTAVAIL: "unreachable",
    errno.EMSGSIZE: "too_big",
}
_ICMP_ECHO, _ICMP_ECHO_REPLY = 8, 0
_ICMP6_ECHO, _ICMP6_ECHO_REPLY = 128, 129
_IP_MTU_DISCOVER, _IP_PMTUDISC_DO = 10, 2
_IPV6_MTU_DISCOVER = 23
_IP_RECVERR, _IPV6_RECVERR = 11, 25
# struct sock_extended_err: errno, origin, type, code, padding, info, data. What comes after is who sent the ICMP error.
_EXTENDED_ERROR = struct.Struct("=IBBBxII")
_ORIGIN_ICMP, _ORIGIN_ICMP6 = 2, 3
# A batch larger than this is worked off in turns, so that it can't run out of file descriptors.
_AT_ONCE = 400
# Who says more than this is no listener of ours. What comes at once never lets the loop look at the time, either.
_MOST_BYTES = 1 << 20

_Probe = dict[str, Any]
_Answer = dict[str, Any]


async def probe_all(args: dict[str, Any]) -> list[_Answer]:
    """Carry out `probes` concurrently, or `at_once` at a time; answers in their order."""
    gate = asyncio.Semaphore(args.get("at_once") or _AT_ONCE)
    return await asyncio.gather(*(_probe(probe, gate) for probe in args["probes"]))


async def _probe(probe: _Probe, gate: asyncio.Semaphore) -> _Answer:
    async with gate:
        started = time.perf_counter()
        try:
            async with asyncio.timeout(probe["timeout_s"]):
                answer = await _KINDS[probe["kind"]](probe)
        except OSError as error:
            answer = outcome_of(error)
        except Exception as error:
            answer = {"outcome": "probe_error", "detail": f"{type(error).__name__}: {error}"}
        answer["latency_ms"] = round((time.perf_counter() - started) * 1000, 3)
        return answer


def outcome_of(error: OSError) -> _Answer:
    """Give the answer of a probe that ended in this error."""
    # The kernel's own ETIMEDOUT is a TimeoutError too.
    if isinstance(error, TimeoutError):
        return {"outcome": "timed_out", "detail": str(error)}
    outcome = _OUTCOMES.get(error.errno or 0, "probe_error")
    return {"outcome": outcome, "detail": os.strerror(error.errno) if error.errno else str(error)}


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _bound(probe: _Probe, kind: int, protocol: int = 0) -> socket.socket:
    """A socket for the probe, bound to its own source address or port where it names one."""
    sock = socket.socket(_family(probe["address"]), kind | socket.SOCK_NONBLOCK, protocol)
    if kind == socket.SOCK_DGRAM:
        _hear_icmp(sock)
    if probe.get("source") or probe.get("source_port"):
        any_address = "::" if ":" in probe["address"] else "0.0.0.0"
        sock.bind((probe.get("source") or any_address, probe.get("source_port") or 0))
    return sock


def _hear_icmp(sock: socket.socket) -> None:
    """Have the kernel tell a socket of ICMP errors: a raw one of any, a UDP one of more than "port unreachable"."""
    six = sock.family == socket.AF_INET6
    sock.setsockopt(*((socket.IPPROTO_IPV6, _IPV6_RECVERR) if six else (socket.IPPROTO_IP, _IP_RECVERR)), 1)


def _heard(data: bytes, nonce: str) -> _Answer:
    """Read an echo listener's reply; anything but our own nonce is no connection."""
    if not data:
        return {"outcome": "reset", "detail": "closed before an answer"}
    said = _said(data, "echo", "peer", "name")
    if said is None:
        # A service of someone else's: that it answers is a fact about the port.
        return {"outcome": "connected", "reply": base64.b64encode(data).decode(), "detail": "not an echo listener"}
    if said["echo"] != nonce:
        return {
            "outcome": "probe_error",
            "detail": f"the listener answered {said['echo'][:80]!r}, not our nonce {nonce}",
        }
    return {"outcome": "connected", "peer": said["peer"], "name": said["name"]}


def _said(data: str | bytes, *fields: str) -> dict[str, str] | None:
    """Read what an echo listener says; None for what does not have these fields and so comes from another."""
    with contextlib.suppress(ValueError, RecursionError):
        said = json.loads(data)
        if isinstance(said, dict) and all(isinstance(said.get(field), str) for field in fields):
            return said
    return None


async def _tcp(probe: _Probe) -> _Answer:
    """Connect and exchange a nonce: a proxy in between accepts although nothing stands behind it."""
    loop = asyncio.get_running_loop()
    nonce = probe.get("nonce") or secrets.token_hex(8)
    with _bound(probe, socket.SOCK_STREAM) as sock:
        await loop.sock_connect(sock, (probe["address"], probe["port"]))
        local = sock.getsockname()[0]
        if not probe.get("exchange", True):
            return {"outcome": "connected", "local": local}
        await loop.sock_sendall(sock, nonce.encode() + b"\n")
        data = b""
        while not data.endswith(b"\n") and len(data) < _MOST_BYTES and (chunk := await loop.sock_recv(sock, 4096)):
            data += chunk
        return _heard(data, nonce) | {"local": local}


async def _udp(probe: _Probe) -> _Answer:
    loop = asyncio.get_running_loop()
    nonce = probe.get("nonce") or secrets.token_hex(8)
    with _bound(probe, socket.SOCK_DGRAM) as sock:
        # Connected, so that an ICMP error comes back as an errno.
        sock.connect((probe["address"], probe["port"]))
        await loop.sock_sendall(sock, nonce.encode() + b"\n")
        return _heard(await loop.sock_recv(sock, 65535), nonce)


async def _exchange(probe: _Probe) -> _Answer:
    """Send the bytes of `payload` over UDP or TCP (`over`) and give the bytes of the reply. For DNS on the wire."""
    loop = asyncio.get_running_loop()
    payload = base64.b64decode(probe["payload"])
    if probe.get("over", "udp") == "udp":
        with _bound(probe, socket.SOCK_DGRAM) as sock:
            sock.connect((probe["address"], probe["port"]))
            await loop.sock_sendall(sock, payload)
            reply = await loop.sock_recv(sock, 65535)
    else:
        with _bound(probe, socket.SOCK_STREAM) as sock:
            await loop.sock_connect(sock, (probe["address"], probe["port"]))
            await loop.sock_sendall(sock, struct.pack("!H", len(payload)) + payload)
            (length,) = struct.unpack("!H", await _exactly(sock, 2))
            reply = await _exactly(sock, length)
    return {"outcome": "connected", "reply": base64.b64encode(reply).decode()}


async def _exactly(sock: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < count:
        chunk = await loop.sock_recv(sock, count - len(data))
        if not chunk:
            raise ConnectionResetError(errno.ECONNRESET, "closed before an answer")
        data += chunk
    return data


async def _http(probe: _Probe) -> _Answer:
    loop = asyncio.get_running_loop()
    with _bound(probe, socket.SOCK_STREAM) as sock:
        await loop.sock_connect(sock, (probe["address"], probe["port"]))
        host = f"[{probe['address']}]" if ":" in probe["address"] else probe["address"]
        request = f"GET {probe.get('path', '/')} HTTP/1.0\r\nHost: {host}:{probe['port']}\r\n\r\n"
        await loop.sock_sendall(sock, request.encode("ascii"))
        data = b""
        while len(data) < _MOST_BYTES and (chunk := await loop.sock_recv(sock, 65536)):
            data += chunk
    if not data:
        return {"outcome": "reset", "detail": "closed before an answer"}
    return {"outcome": "connected"} | _http_answer(data)


class _Replay:
    """Enough of a socket for http.client to parse what was already read."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._data)


def _http_answer(data: bytes) -> _Answer:
    response = http.client.HTTPResponse(_Replay(data))  # type: ignore[arg-type]
    response.begin()
    answer: _Answer = {"status": response.status, "body": response.read().decode(errors="replace")}
    if said := _said(answer["body"], "peer", "name"):
        answer |= {"peer": said["peer"], "name": said["name"]}
    return answer


async def _icmp(probe: _Probe) -> _Answer:
    """Ping once.

    `size` is the number of payload bytes, `dont_fragment` sets DF and ignores no path MTU, `ttl` is how many hops the
    ping may go. Where an ICMP error ends it, "source" is who sent that.
    """
    loop = asyncio.get_running_loop()
    six = ":" in probe["address"]
    echo, echo_reply = (_ICMP6_ECHO, _ICMP6_ECHO_REPLY) if six else (_ICMP_ECHO, _ICMP_ECHO_REPLY)
    nonce = (probe.get("nonce") or secrets.token_hex(8)).encode()
    payload = nonce.ljust(probe.get("size", 56), b".")
    number = secrets.randbelow(0xFFFF)
    with _bound(probe, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP) as sock:
        if probe.get("dont_fragment"):
            level, option = (socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER) if six else (socket.IPPROTO_IP, _IP_MTU_DISCOVER)
            sock.setsockopt(level, option, _IP_PMTUDISC_DO)
        if probe.get("ttl"):
            hops = (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if six else (socket.IPPROTO_IP, socket.IP_TTL)
            sock.setsockopt(*hops, probe["ttl"])
        _hear_icmp(sock)
        sock.connect((probe["address"], 0))
        packet = struct.pack("!BBHHH", echo, 0, 0, number, 1) + payload
        if not six:
            packet = packet[:2] + struct.pack("!H", _checksum(packet)) + packet[4:]
        await loop.sock_sendall(sock, packet)
        while True:
            try:
                data = await loop.sock_recv(sock, 65535)
            except OSError as error:
                return outcome_of(error) | _sender_of_error(sock)
            ttl, body = (None, data) if six else (data[8], data[(data[0] & 15) * 4 :])
            if body[0] == echo_reply and body[8:] == payload and struct.unpack("!H", body[4:6])[0] == number:
                source = probe["address"] if six else socket.inet_ntoa(data[12:16])
                return {"outcome": "connected", "source": source, "ttl": ttl}


def _sender_of_error(sock: socket.socket) -> _Answer:
    """Read who sent the ICMP error that a socket has just told of; nothing where it is the kernel's own."""
    try:
        _, ancillary, _, _ = sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return {}
    for level, kind, data in ancillary:
        if (level, kind) not in ((socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)):
            continue
        _, origin, *_ = _EXTENDED_ERROR.unpack_from(data)
        place = data[_EXTENDED_ERROR.size :]
        if origin == _ORIGIN_ICMP:
            return {"source": socket.inet_ntop(socket.AF_INET, place[4:8])}
        if origin == _ORIGIN_ICMP6:
            return {"source": socket.inet_ntop(socket.AF_INET6, place[8:24])}
    return {}


def _checksum(data: bytes) -> int:
    """The internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


_KINDS: dict[str, Callable[[_Probe], Awaitable[_Answer]]] = {
    "tcp": _tcp,
    "udp": _udp,
    "http": _http,
    "icmp": _icmp,
    "exchange": _exchange,
}
