"""Captures: the packets that pass an interface while something is done."""

from __future__ import annotations

import base64
from types import TracebackType
from typing import Self

from netfacts.lab import Vantage
from netfacts.model.errors import ProbeError
from netfacts.observe.packet import Packet, arp_answer, decode

__all__ = ["Capture", "Packet", "capture"]

_LIMIT = 4000
_SNAP_BYTES = 2048


class Capture:
    """A capture under way; `packets` is filled when its `with` block ends."""

    def __init__(self, vantage: Vantage, interface: str, vxlan_port: int) -> None:
        self.vantage = vantage
        self.interface = interface
        self.packets: list[Packet] = []
        self.seen = 0
        self._vxlan_port = vxlan_port
        self._number = 0

    def __enter__(self) -> Self:
        self._number = self.vantage.machine.agent.call(
            "capture", net=self.vantage.net, interface=self.interface, limit=_LIMIT, snap_bytes=_SNAP_BYTES
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        said = self.vantage.machine.agent.call("captured", net=self.vantage.net, capture=self._number)
        self.seen = said["seen"]
        self.packets = [
            decode(base64.b64decode(data), at=at, way=way, vxlan_port=self._vxlan_port)
            for at, way, data in said["packets"]
        ]
        if self.seen > len(self.packets) and error is None:
            raise ProbeError(
                "the capture lost packets, and what was looked for may be among them",
                where=f"{self.vantage}, {self.interface}",
                returned=f"{self.seen} passed, of which {len(self.packets)} were kept",
                remedy="try again when less passes there",
            )

    def carrying(self, nonce: str) -> list[Packet]:
        """The packets that carry this text, bare or inside VXLAN."""
        wanted = nonce.encode()
        return [packet for packet in self.packets if wanted in packet.payload]

    def answers(self, address: str, *, way: str = "") -> list[str]:
        """The MACs that ARP answers named for this IPv4 address, those that came or went (`way`: "in", "out") alone."""
        said = (arp_answer(packet) for packet in self.packets if way in ("", packet.way))
        return [mac for about, mac in said if about == address]

    def text(self, packets: list[Packet] | None = None) -> str:
        """Packets as lines, for evidence."""
        lines = [f"{packet.way:3} {packet}" for packet in (self.packets if packets is None else packets)]
        return "\n".join(lines) or "no packet"


def capture(vantage: Vantage, interface: str, *, vxlan_port: int = 4789) -> Capture:
    """Capture on an interface of a vantage while a `with` block runs.

    Raises: ProbeError, on entering, where there is no such interface; on leaving, where more packets passed
    than are kept.
    """
    return Capture(vantage, interface, vxlan_port)
