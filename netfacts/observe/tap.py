"""Taps on a lab: the last packets of all its machines, to look at when a check did not end as expected."""

from __future__ import annotations

import base64
import time
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures import wait
from dataclasses import dataclass

from netfacts.lab import Lab, Machine
from netfacts.lab.agent import Reply
from netfacts.lab.visited import VisitedMachine
from netfacts.model.errors import NetfactsError
from netfacts.observe.packet import Packet, decode

_LIMIT = 2000
_SLACK_S = 1.0
_OPEN_S = 2.0
SNAP_BYTES = 256
"""How much of a packet is kept: its headers, and a name or a nonce after them."""


@dataclass(frozen=True)
class Frame:
    """A packet as it passed an interface of a machine. `data` is what was kept of its `length` bytes."""

    at: float
    machine: str
    interface: str
    way: str
    length: int
    data: bytes

    @property
    def packet(self) -> Packet:
        """What it is."""
        return decode(self.data, at=self.at, way=self.way)


@dataclass(frozen=True)
class Recording:
    """What taps have kept: the oldest frame first. `remarks` say what is missing and why."""

    frames: tuple[Frame, ...]
    remarks: tuple[str, ...]
    began: float
    """When what was asked for began, by the clock that the frames bear."""

    def text(self, most: int) -> str:
        """The last frames as lines, for evidence: seconds, machine, interface, direction, packet."""
        shown = self.frames[-most:]
        places = [f"{frame.machine} {frame.interface or '(gone)'}" for frame in shown]
        width = max(map(len, places), default=0)
        lines = [
            f"{frame.at - self.began:8.4f}  {place:{width}} {frame.way:3}  {frame.packet}"
            for frame, place in zip(shown, places, strict=True)
        ]
        if len(shown) < len(self.frames):
            lines.insert(0, f"… {len(self.frames) - len(shown)} packets before these")
        return "\n".join([*self.remarks, *(lines or ["no packet"])])


class Taps:
    """Taps on all machines of a lab, which go with these."""

    def __init__(self, lab: Lab) -> None:
        """Have them opened. Whether that could be done is seen when they are read."""
        self._taps = [(machine, _open(machine, name)) for machine in lab.machines.values() for name in _ports(machine)]
        # A millisecond or two, and once for each lab: what one machine sends the next would hear before it listens.
        wait([tap for _, tap in self._taps], timeout=_OPEN_S)

    def read(self, since: float, *, deadline: float) -> Recording:
        """Give what has passed since a moment; both it and the deadline by the clock `time.monotonic`."""
        began = time.time() - (time.monotonic() - since)
        asked = [(machine, _Asked(machine, tap, began, deadline)) for machine, tap in self._taps]
        frames: list[Frame] = []
        remarks: list[str] = []
        for machine, question in asked:
            try:
                said = question.reply.result(max(0.0, deadline - time.monotonic()))
            except (NetfactsError, FutureTimeout) as error:
                words = " ".join(str(error).split()) or "no answer in time"
                remarks.append(f"{machine.name}: its packets can't be had: {words}")
                continue
            skew_s = question.skew_s(said["now"])
            found = [
                Frame(at - skew_s, machine.name, interface, way, length, base64.b64decode(data))
                for at, interface, way, length, data in said["packets"]
                if at - skew_s >= began
            ]
            if said["lost"]:
                remarks.append(f"{machine.name}: {said['lost']} packets came too fast to be kept")
            if said["full"] and len(found) == len(said["packets"]):
                remarks.append(f"{machine.name}: packets before its last {_LIMIT} were not kept")
            frames += found
        return Recording(tuple(sorted(frames, key=lambda frame: frame.at)), tuple(remarks), began)


class _Asked:
    """A tap that has been asked for what it has, and the time around that."""

    def __init__(self, machine: Machine, tap: Reply, began: float, deadline: float) -> None:
        self._sent = time.time()
        self._came = 0.0
        self.reply = self._ask(machine, tap, began, deadline)
        self.reply.add_done_callback(self._note)

    def _ask(self, machine: Machine, tap: Reply, began: float, deadline: float) -> Reply:
        try:
            number = tap.result(max(0.0, deadline - time.monotonic()))
        except (NetfactsError, FutureTimeout) as error:
            refused: Reply = Reply()
            refused.set_exception(error)
            return refused
        self._sent = time.time()
        # It reckons from when it is asked, which is a little later.
        return machine.agent.submit("tapped", tap=number, age_s=self._sent - began + _SLACK_S)

    def _note(self, _: Reply) -> None:
        self._came = time.time()

    def skew_s(self, now: float) -> float:
        """Say how far the machine's clock is ahead: nothing where it may well be the same clock."""
        # Whoever waits for an answer may hear of it before it is noted.
        came = self._came or time.time()
        return 0.0 if self._sent <= now <= came else now - (self._sent + came) / 2


def _ports(machine: Machine) -> list[str]:
    """The interfaces to tap: of a machine of somebody's own only those that are netfacts'."""
    if isinstance(machine, VisitedMachine):
        return [machine.interface(number) for number, port in enumerate(machine.spec.ports) if not port.nic]
    return [""]


def _open(machine: Machine, interface: str) -> Reply:
    return machine.agent.submit("tap", interface=interface, limit=_LIMIT, snap_bytes=SNAP_BYTES)
