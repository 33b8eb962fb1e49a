"""Decodes packets as far as the facts need: Ethernet, IPv4, IPv6, ICMP, TCP, UDP, and VXLAN with what is inside."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address

from netfacts.observe import dns, icmp

_IPV4, _IPV6, _ARP = 0x0800, 0x86DD, 0x0806
_ARP_OF_IPV4 = b"\0\1\x08\0\6\4"
_ANSWER = 2
_OFFSET = 0x1FFF
# Hop-by-hop, routing and destination options.
_OPTIONS = (0, 43, 60)
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6", 50: "esp", 4: "ipip"}
_VXLAN_HEADER_BYTES = 8
_VXLAN_FLAG = 0x08
_NO_PORT = -1
_FLAGS = "FSRP.UEW"


@dataclass(frozen=True)
class Packet:
    """A packet. `inner` is what a VXLAN packet carries. Fields that it lacks are empty or None."""

    at: float
    way: str
    protocol: str
    source: str = ""
    destination: str = ""
    source_port: int | None = None
    destination_port: int | None = None
    payload: bytes = b""
    inner: Packet | None = None
    vni: int | None = None
    detail: str = field(default="", compare=False)
    """What it says: TCP's flags, ICMP's type, who is asked for by ARP, a DNS question. For readers alone."""
    size_bytes: int = field(default=0, compare=False)
    """Of the payload on the wire, however little of it was kept."""
    source_mac: str = field(default="", compare=False)
    """Who put the frame on this wire: the sender itself, or whoever routed it."""

    def __str__(self) -> str:
        parts = [f"{self.protocol:5}"]
        if self.source:
            parts.append(
                f"{_place(self.source, self.source_port)} > {_place(self.destination, self.destination_port)} "
            )
        if self.inner:
            return " ".join((*parts, f"vxlan {self.vni} [{self.inner}]"))
        size = "" if self.protocol == "arp" and self.detail else f"{max(self.size_bytes, len(self.payload))} bytes"
        return " ".join(filter(None, (*parts, self.detail, size)))


def _place(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def decode(frame: bytes, *, at: float = 0.0, way: str = "in", vxlan_port: int = 4789) -> Packet:
    """Decode an Ethernet frame. What is cut short or unknown ends up as `payload`; nothing raises."""
    if len(frame) < 14:
        return Packet(at, way, "short", payload=frame)
    return replace(_content(frame, at, way, vxlan_port), source_mac=frame[6:12].hex(":"))


def _content(frame: bytes, at: float, way: str, vxlan_port: int) -> Packet:
    (kind,) = struct.unpack("!H", frame[12:14])
    body = frame[14:]
    if kind == _IPV4 and len(body) >= 20:
        header = (body[0] & 15) * 4
        length = struct.unpack("!H", body[2:4])[0] or len(body)
        source, destination = str(IPv4Address(body[12:16])), str(IPv4Address(body[16:20]))
        content = body[header:length]
        if offset := struct.unpack("!H", body[6:8])[0] & _OFFSET:
            # Only the first fragment has ports.
            protocol = _PROTOCOLS.get(body[9], str(body[9]))
            return Packet(at, way, protocol, source, destination, payload=content, detail=f"fragment at {offset * 8}")
        return _transport(at, way, body[9], source, destination, content, length - header, vxlan_port)
    if kind == _IPV6 and len(body) >= 40:
        length = struct.unpack("!H", body[4:6])[0] or len(body)
        source, destination = str(IPv6Address(body[8:24])), str(IPv6Address(body[24:40]))
        carried = body[40 : 40 + length]
        number, content = _after_options(body[6], carried)
        rest = length - (len(carried) - len(content))
        return _transport(at, way, number, source, destination, content, rest, vxlan_port)
    if kind == _ARP:
        return Packet(at, way, "arp", payload=body, detail=_arp(body))
    return Packet(at, way, f"0x{kind:04x}", payload=body)


def _after_options(number: int, body: bytes) -> tuple[int, bytes]:
    """Skip what IPv6 puts between its header and what it carries, such as before every MLD report."""
    while number in _OPTIONS and len(body) >= 8:
        number, body = body[0], body[body[1] * 8 + 8 :]
    return number, body


def _transport(
    at: float, way: str, number: int, source: str, destination: str, body: bytes, length: int, vxlan_port: int
) -> Packet:
    protocol = _PROTOCOLS.get(number, str(number))
    if protocol == "udp" and len(body) >= 8:
        source_port, destination_port = struct.unpack("!HH", body[:4])
        payload = body[8:]
        inner, vni = None, None
        if destination_port == vxlan_port and len(payload) > _VXLAN_HEADER_BYTES and payload[0] & _VXLAN_FLAG:
            # One level is what an overlay makes; frames that go on and on would use up the stack.
            inner = decode(payload[_VXLAN_HEADER_BYTES:], at=at, way=way, vxlan_port=_NO_PORT)
            vni = int.from_bytes(payload[4:7])
        detail = dns.summary(payload) if dns.PORT in (source_port, destination_port) else ""
        return Packet(
            *(at, way, protocol, source, destination, source_port, destination_port, payload, inner, vni),
            detail=detail,
            size_bytes=length - 8,
        )
    if protocol == "tcp" and len(body) >= 20:
        source_port, destination_port = struct.unpack("!HH", body[:4])
        header = (body[12] >> 4) * 4
        return Packet(
            *(at, way, protocol, source, destination, source_port, destination_port, body[header:]),
            detail=_flags(body[13]),
            size_bytes=length - header,
        )
    if protocol in icmp.FAMILIES and len(body) >= 8:
        return Packet(
            *(at, way, protocol, source, destination),
            payload=body[8:],
            detail=icmp.summary(protocol, body),
            size_bytes=length - 8,
        )
    return Packet(at, way, protocol, source, destination, payload=body, size_bytes=length)


def _flags(bits: int) -> str:
    """TCP's flags in tcpdump's letters, where a dot is an ACK."""
    return f"[{''.join(letter for place, letter in enumerate(_FLAGS) if bits >> place & 1)}]"


def arp_answer(packet: Packet) -> tuple[str, str]:
    """Give the IPv4 address that an ARP answer is about and the MAC that it names; two times "" for all else."""
    body = packet.payload
    if packet.protocol != "arp" or not _is_arp(body) or int.from_bytes(body[6:8]) != _ANSWER:
        return "", ""
    return str(IPv4Address(body[14:18])), body[8:14].hex(":")


def _is_arp(body: bytes) -> bool:
    return len(body) >= 28 and body[:6] == _ARP_OF_IPV4


def _arp(body: bytes) -> str:
    if not _is_arp(body):
        return ""
    (operation,) = struct.unpack("!H", body[6:8])
    sender, target = IPv4Address(body[14:18]), IPv4Address(body[24:28])
    if operation == 1:
        return f"who has {target}? tell {sender}"
    return f"{sender} is at {body[8:14].hex(':')}" if operation == _ANSWER else f"operation {operation}"
