"""Packets are decoded as far as the facts need it, whatever their bytes are."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable
from ipaddress import ip_address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from netfacts.observe.packet import Packet, arp_answer, decode

IPV4 = st.ip_addresses(v=4).map(str)
IPV6 = st.ip_addresses(v=6).map(str)
PORTS = st.integers(0, 65535)
PAYLOADS = st.binary(max_size=60)
NONCE = b"f00dcafe12345678"


# -- an oracle that builds frames from the RFCs, and knows nothing of the decoder


def ethernet(kind: int, body: bytes) -> bytes:
    return b"\x02\x42\x00\x00\x00\x01" + b"\x02\x42\x00\x00\x00\x02" + struct.pack("!H", kind) + body


def ipv4(source: str, destination: str, number: int, body: bytes, *, options: bytes = b"") -> bytes:
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(body), 7, 0, 64, number, 0)
    return ethernet(0x0800, head + ip_address(source).packed + ip_address(destination).packed + options + body)


def ipv6(source: str, destination: str, number: int, body: bytes) -> bytes:
    head = struct.pack("!IHBB", 0x60000000, len(body), number, 64)
    return ethernet(0x86DD, head + ip_address(source).packed + ip_address(destination).packed + body)


def ip(source: str, destination: str, number: int, body: bytes) -> bytes:
    return (ipv6 if ":" in source else ipv4)(source, destination, number, body)


def tcp(source: int, destination: int, payload: bytes, *, options: bytes = b"") -> bytes:
    return (
        struct.pack("!HHIIBBHHH", source, destination, 1, 2, (5 + len(options) // 4) << 4, 0x18, 512, 0, 0)
        + options
        + payload
    )


def udp(source: int, destination: int, payload: bytes) -> bytes:
    return struct.pack("!HHHH", source, destination, 8 + len(payload), 0) + payload


def vxlan(vni: int, frame: bytes) -> bytes:
    return b"\x08\0\0\0" + vni.to_bytes(3) + b"\0" + frame


# -- real frames


def test_frames_of_a_real_overlay_are_decoded(golden: Callable[[str], str]) -> None:
    packets = [decode(base64.b64decode(data), way=way) for way, data in json.loads(golden("frames.json"))]

    ping, pong, question, answer, six, six_answer = packets
    assert ping.inner
    assert pong.inner
    assert question.inner
    assert answer.inner
    for packet in (ping, pong, question, answer):
        assert (packet.protocol, packet.destination_port, packet.vni) == ("udp", 4789, 4097)
    assert (ping.source, ping.destination) == ("198.51.100.10", "198.51.100.11")
    assert (ping.inner.protocol, ping.inner.source, ping.inner.destination) == ("icmp", "203.0.113.2", "203.0.113.4")
    assert (pong.inner.source, pong.way) == ("203.0.113.4", "in")
    assert question.inner.payload == b"golden-nonce\n"
    assert question.inner.destination_port == answer.inner.source_port == 9000
    assert json.loads(answer.inner.payload)["peer"] == "203.0.113.2"
    assert (six.source, six.destination, six.destination_port) == ("2001:db8:1::a", "2001:db8:1::b", 9001)
    assert six.payload == b"golden-six\n"
    assert json.loads(six_answer.payload)["peer"] == six_answer.destination == "2001:db8:1::a"
    assert str(question) == (
        f"udp   198.51.100.10:{question.source_port} > 198.51.100.11:4789  "
        f"vxlan 4097 [tcp   203.0.113.2:{question.inner.source_port} > 203.0.113.4:9000  [P.] 13 bytes]"
    )


# -- built frames


@given(IPV4 | IPV6, IPV4 | IPV6, PORTS, PORTS, PAYLOADS, st.sampled_from([b"", b"\x01" * 4, b"\x01" * 40]))
def test_tcp_is_decoded_as_it_was_built(
    source: str, destination: str, source_port: int, destination_port: int, payload: bytes, options: bytes
) -> None:
    destination = destination if (":" in source) == (":" in destination) else source

    packet = decode(ip(source, destination, 6, tcp(source_port, destination_port, payload, options=options)))

    assert packet == Packet(0.0, "in", "tcp", source, destination, source_port, destination_port, payload)


@given(IPV4 | IPV6, PORTS, PORTS.filter(lambda port: port != 4789), PAYLOADS)
def test_udp_is_decoded_as_it_was_built(source: str, source_port: int, destination_port: int, payload: bytes) -> None:
    packet = decode(ip(source, source, 17, udp(source_port, destination_port, payload)), at=1.5, way="out")

    assert packet == Packet(1.5, "out", "udp", source, source, source_port, destination_port, payload)


@given(IPV4 | IPV6, st.integers(0, 2**24 - 1), PORTS, st.sampled_from([4789, 4790]), PAYLOADS, PAYLOADS)
def test_nonce_is_found_inside_vxlan(
    source: str, vni: int, port: int, vxlan_port: int, before: bytes, after: bytes
) -> None:
    inner = ip(source, source, 6, tcp(port, 80, before + NONCE + after))
    outer = ipv4("198.51.100.10", "198.51.100.11", 17, udp(40000, vxlan_port, vxlan(vni, inner)))

    packet = decode(outer, vxlan_port=vxlan_port)

    assert packet.vni == vni
    assert packet.inner == decode(inner)
    assert NONCE in packet.payload
    assert packet.inner is not None
    assert packet.inner.payload == before + NONCE + after


def test_vxlan_to_another_port_is_plain_udp() -> None:
    outer = ipv4("198.51.100.10", "198.51.100.11", 17, udp(1, 4789, vxlan(7, ethernet(0x0806, b"x" * 28))))

    assert decode(outer, vxlan_port=8472).inner is None
    assert decode(outer).inner == Packet(0.0, "in", "arp", payload=b"x" * 28)


def test_padding_after_a_short_packet_is_no_payload() -> None:
    """Ethernet pads a frame to 60 bytes; IP says where the packet ends."""
    frame = ipv4("192.0.2.1", "192.0.2.2", 17, udp(1, 2, b"x"))

    assert decode(frame + b"\0" * 20).payload == b"x"
    assert decode(ipv6("2001:db8::1", "2001:db8::2", 17, udp(1, 2, b"x")) + b"\0" * 20).payload == b"x"


def test_options_of_ipv4_are_skipped() -> None:
    assert decode(ipv4("192.0.2.1", "192.0.2.2", 17, udp(1, 2, b"x"), options=b"\x01" * 8)).payload == b"x"


@pytest.mark.parametrize(("number", "source", "name"), [(1, "192.0.2.1", "icmp"), (58, "2001:db8::1", "icmp6")])
def test_icmp_has_its_payload_after_eight_bytes(number: int, source: str, name: str) -> None:
    packet = decode(ip(source, source, number, b"\x08\0\0\0\0\x01\0\x01" + NONCE))

    assert (packet.protocol, packet.payload) == (name, NONCE)


@pytest.mark.parametrize(
    ("number", "name"), [(50, "esp"), (4, "ipip"), (132, "132"), (6, "tcp"), (17, "udp"), (1, "icmp")]
)
def test_what_is_unknown_or_cut_short_is_payload(number: int, name: str) -> None:
    packet = decode(ipv4("192.0.2.1", "192.0.2.2", number, b"abc"))

    assert (packet.protocol, packet.payload, packet.source_port) == (name, b"abc", None)


def test_frame_of_another_protocol_is_called_by_its_number() -> None:
    assert decode(ethernet(0x88CC, b"lldp")).protocol == "0x88cc"
    assert decode(b"\0" * 13) == Packet(0.0, "in", "short", payload=b"\0" * 13)


# -- any frames

SEEDS = [
    ipv4("192.0.2.1", "192.0.2.2", 6, tcp(1, 2, NONCE)),
    ipv6("2001:db8::1", "2001:db8::2", 17, udp(1, 2, NONCE)),
    ipv4("192.0.2.1", "192.0.2.2", 17, udp(1, 4789, vxlan(7, ipv4("10.0.0.1", "10.0.0.2", 17, udp(1, 2, NONCE))))),
]


def nested(levels: int) -> bytes:
    """VXLAN in VXLAN in VXLAN …"""
    frame = ethernet(0x0806, b"")
    for _ in range(levels):
        frame = ipv4("192.0.2.1", "192.0.2.2", 17, udp(1, 4789, vxlan(7, frame)))
    return frame


@given(st.binary(max_size=200))
@example(nested(1200))
def test_any_bytes_are_decoded(frame: bytes) -> None:
    packet = decode(frame)

    assert str(packet)
    assert len(packet.payload) <= len(frame)


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=4),
    st.integers(0, 120),
)
def test_any_damage_is_decoded(frame: bytes, changes: list[tuple[int, int]], keep: int) -> None:
    damaged = bytearray(frame)
    for place, value in changes:
        damaged[place % len(damaged)] = value

    for data in (bytes(damaged), bytes(damaged[:keep])):
        assert str(decode(data))


# -- as lines, for a reader


def dns(identifier: int, flags: int, answers: int, name: str, kind: int) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", identifier, flags, 1, answers, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def arp(operation: int, sender: str, target: str) -> bytes:
    who = bytes.fromhex("0242ac110002")
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return ethernet(0x0806, head + who + ip_address(sender).packed + bytes(6) + ip_address(target).packed)


def icmp(kind: int, code: int, rest: bytes = bytes(4)) -> bytes:
    return struct.pack("!BBH", kind, code, 0) + rest


A, B = "192.0.2.1", "192.0.2.2"
A6, B6 = "2001:db8::1", "2001:db8::2"
SYN = bytearray(tcp(40000, 80, b""))
SYN[13] = 0x02
MLD = b"\x3a\0\x05\x02\0\0\0\0" + icmp(143, 0) + bytes(20)


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        (ipv4(A, B, 6, bytes(SYN)), "tcp   192.0.2.1:40000 > 192.0.2.2:80  [S] 0 bytes"),
        (ipv6(A6, B6, 6, tcp(1, 2, b"hello")), "tcp   [2001:db8::1]:1 > [2001:db8::2]:2  [P.] 5 bytes"),
        (ipv4(A, B, 17, udp(1, 2, b"hello")), "udp   192.0.2.1:1 > 192.0.2.2:2  5 bytes"),
        (ipv4(A, B, 1, icmp(8, 0, b"\0\7\0\1") + b"x"), "icmp  192.0.2.1 > 192.0.2.2  echo request id 7 seq 1 1 bytes"),
        (ipv4(A, B, 1, icmp(3, 3)), "icmp  192.0.2.1 > 192.0.2.2  unreachable: port 0 bytes"),
        (ipv4(A, B, 1, icmp(3, 200)), "icmp  192.0.2.1 > 192.0.2.2  unreachable: code 200 0 bytes"),
        (ipv6(A6, B6, 58, icmp(1, 0)), "icmp6 2001:db8::1 > 2001:db8::2  unreachable: no route 0 bytes"),
        (
            ipv6(A6, B6, 58, icmp(135, 0) + ip_address(B6).packed),
            "icmp6 2001:db8::1 > 2001:db8::2  who has 2001:db8::2 16 bytes",
        ),
        (ipv6(A6, B6, 0, MLD), "icmp6 2001:db8::1 > 2001:db8::2  MLDv2 report 20 bytes"),
        (arp(1, A, B), "arp   who has 192.0.2.2? tell 192.0.2.1"),
        (arp(2, A, B), "arp   192.0.2.1 is at 02:42:ac:11:00:02"),
        (
            ipv4(A, B, 17, udp(40000, 53, dns(7, 0x0100, 0, "a.lab", 28))),
            "udp   192.0.2.1:40000 > 192.0.2.2:53  AAAA a.lab? 23 bytes",
        ),
        (
            ipv4(A, B, 17, udp(53, 40000, dns(7, 0x8183, 0, "a.lab", 1))),
            "udp   192.0.2.1:53 > 192.0.2.2:40000  A a.lab: NXDOMAIN 23 bytes",
        ),
        (
            ipv4(A, B, 17, udp(53, 40000, dns(7, 0x8180, 2, "a.lab", 1))),
            "udp   192.0.2.1:53 > 192.0.2.2:40000  A a.lab: 2 answers 23 bytes",
        ),
        (
            ipv4(A, B, 17, udp(5, 4789, vxlan(7, arp(1, A, B)))),
            "udp   192.0.2.1:5 > 192.0.2.2:4789  vxlan 7 [arp   who has 192.0.2.2? tell 192.0.2.1]",
        ),
    ],
)
def test_packet_is_a_line(frame: bytes, line: str) -> None:
    assert str(decode(frame)) == line


def test_packet_names_who_put_it_on_the_wire() -> None:
    frame = ipv4(A, B, 17, udp(5, 4789, vxlan(7, b"\2" * 6 + b"\3" * 6 + arp(1, A, B)[12:])))

    packet = decode(frame)

    assert packet.source_mac == "02:42:00:00:00:02"
    assert packet.inner is not None
    assert packet.inner.source_mac == "03:03:03:03:03:03"
    assert decode(frame[:13]).source_mac == ""


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        (arp(2, A, B), (A, "02:42:ac:11:00:02")),
        (arp(1, A, B), ("", "")),
        (arp(2, A, B)[:-1], ("", "")),
        (ethernet(0x0806, b"\0\1\x86\xdd" + arp(2, A, B)[18:]), ("", "")),
        (ipv4(A, B, 17, arp(2, A, B)[14:]), ("", "")),
        (b"", ("", "")),
    ],
    ids=["answer", "question", "cut short", "of another protocol", "in a datagram", "nothing"],
)
def test_arp_answer_is_an_address_and_its_mac(frame: bytes, answer: tuple[str, str]) -> None:
    assert arp_answer(decode(frame)) == answer


def test_size_is_that_on_the_wire_however_little_was_kept() -> None:
    frame = ipv4(A, B, 6, tcp(1, 2, b"x" * 1000))

    assert str(decode(frame[:100])) == "tcp   192.0.2.1:1 > 192.0.2.2:2  [P.] 1000 bytes"


def test_later_fragment_has_no_ports() -> None:
    frame = bytearray(ipv4(A, B, 17, b"12345678"))
    frame[20:22] = struct.pack("!H", 185)

    assert str(decode(bytes(frame))) == "udp   192.0.2.1 > 192.0.2.2  fragment at 1480 8 bytes"


@given(st.sampled_from([53, 5353]), st.sampled_from([6, 17]), st.binary(max_size=80), st.integers(0, 80))
@example(53, 17, dns(7, 0x0100, 0, "a\x1b[2J\n.lab", 28), 80)
def test_any_message_is_one_plain_line(port: int, number: int, message: bytes, keep: int) -> None:
    """Names come from the wire, and a report's reader may have a terminal that obeys control characters."""
    body = udp(port, 40000, message) if number == 17 else tcp(port, 40000, message)

    line = str(decode(ipv4(A, B, number, body)[: 34 + keep]))

    assert line.isprintable()
    assert line.isascii()
