"""What an ICMP message says, in a few words, of either family."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import IPv6Address


@dataclass(frozen=True)
class _Family:
    types: dict[int, str]
    unreachable: int
    echo: tuple[int, int]
    reasons: dict[int, str]
    neighbour: tuple[int, ...] = ()


FAMILIES = {
    "icmp": _Family(
        types={
            0: "echo reply",
            3: "unreachable",
            5: "redirect",
            8: "echo request",
            9: "router advertisement",
            10: "router solicitation",
            11: "time exceeded",
        },
        unreachable=3,
        echo=(0, 8),
        reasons={
            0: "network",
            1: "host",
            2: "protocol",
            3: "port",
            4: "fragmentation needed",
            9: "network prohibited",
            10: "host prohibited",
            13: "administratively prohibited",
        },
    ),
    "icmp6": _Family(
        types={
            1: "unreachable",
            2: "packet too big",
            3: "time exceeded",
            128: "echo request",
            129: "echo reply",
            130: "MLD query",
            131: "MLD report",
            132: "MLD done",
            133: "router solicitation",
            134: "router advertisement",
            135: "who has",
            136: "here is",
            137: "redirect",
            143: "MLDv2 report",
        },
        unreachable=1,
        echo=(128, 129),
        reasons={
            0: "no route",
            1: "administratively prohibited",
            3: "address",
            4: "port",
            5: "source address policy",
            6: "reject route",
        },
        neighbour=(135, 136),
    ),
}
"""By the name that a packet's protocol has."""


def summary(protocol: str, message: bytes) -> str:
    """Say what a message of at least eight bytes says."""
    family = FAMILIES[protocol]
    kind, code = message[0], message[1]
    said = family.types.get(kind, f"type {kind}")
    if kind == family.unreachable:
        return f"{said}: {family.reasons.get(code, f'code {code}')}"
    if kind in family.neighbour and len(message) >= 24:
        return f"{said} {IPv6Address(message[8:24])}"
    if kind in family.echo:
        identifier, number = struct.unpack("!HH", message[4:8])
        return f"{said} id {identifier} seq {number}"
    return said
