"""Decodes packets as far as the facts need: Ethernet, IPv4, IPv6, ICMP, TCP, UDP, and VXLAN with what is inside."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

_IPV4, _IPV6, _ARP = 0x0800, 0x86DD, 0x0806
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6", 50: "esp", 4: "ipip"}
_VXLAN_HEADER_BYTES = 8
_VXLAN_FLAG = 0x08
_NO_PORT = -1


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

    def __str__(self) -> str:
        source = self.source + (f":{self.source_port}" if self.source_port is not None else "")
        destination = self.destination + (f":{self.destination_port}" if self.destination_port is not None else "")
        inner = f"  vxlan {self.vni} [{self.inner}]" if self.inner else f"  {len(self.payload)} bytes"
        return f"{self.protocol:5} {source} > {destination}{inner}"


def decode(frame: bytes, *, at: float = 0.0, way: str = "in", vxlan_port: int = 4789) -> Packet:
    """Decode an Ethernet frame. What is cut short or unknown ends up as `payload`; nothing raises."""
    if len(frame) < 14:
        return Packet(at, way, "short", payload=frame)
    (kind,) = struct.unpack("!H", frame[12:14])
    body = frame[14:]
    if kind == _IPV4 and len(body) >= 20:
        header = (body[0] & 15) * 4
        length = struct.unpack("!H", body[2:4])[0] or len(body)
        source, destination = str(IPv4Address(body[12:16])), str(IPv4Address(body[16:20]))
        return _transport(at, way, body[9], source, destination, body[header:length], vxlan_port)
    if kind == _IPV6 and len(body) >= 40:
        length = struct.unpack("!H", body[4:6])[0] or len(body)
        source, destination = str(IPv6Address(body[8:24])), str(IPv6Address(body[24:40]))
        return _transport(at, way, body[6], source, destination, body[40 : 40 + length], vxlan_port)
    return Packet(at, way, "arp" if kind == _ARP else f"0x{kind:04x}", payload=body)


def _transport(at: float, way: str, number: int, source: str, destination: str, body: bytes, vxlan_port: int) -> Packet:
    protocol = _PROTOCOLS.get(number, str(number))
    if protocol == "udp" and len(body) >= 8:
        source_port, destination_port = struct.unpack("!HH", body[:4])
        payload = body[8:]
        inner, vni = None, None
        if destination_port == vxlan_port and len(payload) > _VXLAN_HEADER_BYTES and payload[0] & _VXLAN_FLAG:
            # One level is what an overlay makes; frames that go on and on would use up the stack.
            inner = decode(payload[_VXLAN_HEADER_BYTES:], at=at, way=way, vxlan_port=_NO_PORT)
            vni = int.from_bytes(payload[4:7])
        return Packet(at, way, protocol, source, destination, source_port, destination_port, payload, inner, vni)
    if protocol == "tcp" and len(body) >= 20:
        source_port, destination_port = struct.unpack("!HH", body[:4])
        payload = body[(body[12] >> 4) * 4 :]
        return Packet(at, way, protocol, source, destination, source_port, destination_port, payload)
    if protocol in ("icmp", "icmp6") and len(body) >= 8:
        return Packet(at, way, protocol, source, destination, payload=body[8:])
    return Packet(at, way, protocol, source, destination, payload=body)
