"""Listeners: what probes talk to. An echo listener says whom it saw, so that a probe learns its own source address."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from typing import Any, cast

from netfacts.agent.load import Source

_NUMBER_BYTES = 2
_MOST_KNOWN = 10_000
# Of questions that come at the same time; the kernel grants less where it has a limit.
_BACKLOG_BYTES = 4 << 20

_Transport = asyncio.BaseTransport | asyncio.Server | Source


def _reply(name: str, nonce: str, peer: Any, local: Any) -> bytes:
    said = {"name": name, "echo": nonce, "peer": peer[0].removeprefix("::ffff:"), "local": local[0]}
    return json.dumps(said).encode() + b"\n"


class _Stream(asyncio.Protocol):
    """Echo over TCP; a request that begins with GET is answered as HTTP, so that curl and a browser do too."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        if b"\n" not in self._heard:
            return
        if self._heard.startswith(b"GET "):
            if b"\r\n\r\n" not in self._heard:
                return
            body = self._answer("")
            head = f"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            self._transport.write(head.encode() + body)
        elif self._heard.startswith(b"hold"):
            # A connection that a check keeps open: each line comes back as it was sent.
            self._transport.write(self._heard)
            self._heard = b"hold"
            return
        else:
            self._transport.write(self._answer(self._heard.split(b"\n")[0].decode(errors="replace")))
        self._transport.close()

    def _answer(self, nonce: str) -> bytes:
        get = self._transport.get_extra_info
        return _reply(self._name, nonce, get("peername"), get("sockname"))


class _Datagram(asyncio.DatagramProtocol):
    def __init__(self, name: str) -> None:
        self._name = name

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast and not an assertion: in Python 3.11 the class of these transports is not derived from it.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        local = self._transport.get_extra_info("sockname")
        self._transport.sendto(_reply(self._name, data.strip().decode(errors="replace"), addr, local), addr)


class _Zone:
    """A DNS server: knows the names it was given, and answers all others with `unknown`, a response code.

    `authoritative`: whether it says that the answer is its own (AA), or leaves open that it has asked others.
    """

    def __init__(self, names: dict[str, str], *, authoritative: bool = True, unknown: str = "NXDOMAIN") -> None:
        # Imported here and not above: only the lab's resolver needs it, and it takes a while.
        import dns.flags
        import dns.message
        import dns.rcode
        import dns.rrset

        self._dns = dns
        self._authoritative = authoritative
        self._unknown = dns.rcode.from_text(unknown)
        self._names = {name.rstrip(".").lower() + ".": address for name, address in names.items()}
        self._known: dict[bytes, bytes] = {}

    def answer(self, wire: bytes) -> bytes:
        """Answer a question. One that was asked before, but for its number, is not read again: crowds ask alike."""
        number, question = wire[:_NUMBER_BYTES], wire[_NUMBER_BYTES:]
        if question not in self._known:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[question] = self._answer(wire)[_NUMBER_BYTES:]
        return number + self._known[question]

    def _answer(self, wire: bytes) -> bytes:
        query = self._dns.message.from_wire(wire)
        response = self._dns.message.make_response(query, recursion_available=True)
        if self._authoritative:
            response.flags |= self._dns.flags.AA
        for question in query.question:
            address = self._names.get(question.name.to_text().lower())
            kind = self._dns.rdatatype.to_text(question.rdtype)
            if address is None:
                response.set_rcode(self._unknown)
            elif kind == ("AAAA" if ":" in address else "A"):
                response.answer.append(self._dns.rrset.from_text(question.name, 60, "IN", kind, address))
        return response.to_wire()


class _DnsDatagram(asyncio.DatagramProtocol):
    def __init__(self, zone: _Zone) -> None:
        self._zone = zone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast and not an assertion: in Python 3.11 the class of these transports is not derived from it.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(self._zone.answer(data), addr)


class _DnsStream(asyncio.Protocol):
    def __init__(self, zone: _Zone) -> None:
        self._zone = zone
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while len(self._heard) >= 2 and len(self._heard) >= 2 + (length := int.from_bytes(self._heard[:2])):
            reply = self._zone.answer(self._heard[2 : 2 + length])
            self._transport.write(len(reply).to_bytes(2) + reply)
            self._heard = self._heard[2 + length :]


class Listeners:
    """The open listeners of one worker, by number."""

    def __init__(self) -> None:
        self._open: dict[int, _Transport] = {}
        self._numbers = itertools.count(1)

    async def open(self, args: dict[str, Any]) -> dict[str, int]:
        """Open a listener: `kind` (tcp, udp, dns-udp, dns-tcp, load), `address`, `port` (0: any free), `name`.

        DNS takes `names` (name → address), and perhaps `options`: `authoritative`, `unknown` (see `_Zone`).
        What answers to loads takes `urgent` (see `Source`).

        Gives its `listener` number and `port`.

        Raises: OSError, EADDRINUSE among others.
        """
        loop = asyncio.get_running_loop()
        kind, where, port = args["kind"], args["address"], args["port"]
        family = socket.AF_INET6 if ":" in where else socket.AF_INET
        zone = _Zone(args["names"], **args.get("options", {})) if kind.startswith("dns") else None
        name = args.get("name", "")
        transport: _Transport
        if kind in ("tcp", "dns-tcp", "load"):
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((where, port))
            port = sock.getsockname()[1]
            if kind == "load":
                transport = Source(sock, urgent=args["urgent"])
            else:
                transport = await loop.create_server(
                    (lambda: _DnsStream(zone)) if zone else (lambda: _Stream(name)), sock=sock, backlog=1024
                )
        else:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BACKLOG_BYTES)
            sock.bind((where, port))
            port = sock.getsockname()[1]
            transport, _ = await loop.create_datagram_endpoint(
                (lambda: _DnsDatagram(zone)) if zone else (lambda: _Datagram(name)), sock=sock
            )
        number = next(self._numbers)
        self._open[number] = transport
        return {"listener": number, "port": port}

    async def close(self, args: dict[str, Any]) -> bool:
        """Close the `listener` of this number; says whether it was open."""
        transport = self._open.pop(args["listener"], None)
        if transport is None:
            return False
        transport.close()
        return True
