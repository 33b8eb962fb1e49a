"""The picture of a lab: segments as wires, machines on them, and inside the machines what a check had built.

Shape:
      ┌────────┐  ┌──────────┐
      │ client │  │ resolver │      machines without an engine hang above their wire
      └─┬──────┘  └─┬────────┘
    ────●───────────●──────────     a segment
      ┌─┴───────────────┐
      │ host   (inside) │           machines with an engine stand below it; a router stands between its wires
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from netfacts.model.record import LabLine, MachineLine, PortLine
from netfacts.model.verdict import Scene, SceneContainer
from reports import inside
from reports.drawing import LINE_PX, Dot, Drawing, Rect, Shape, Stroke, Text, line, widest

_MARGIN = 2
_PAD = 12
_HEADER = 28
_GAP = 28
_DROP_X = 18
"""How far into a machine's box its first interface sits."""


@dataclass(frozen=True)
class Picture:
    """A drawing, and the same in words for whoever can't see it."""

    drawing: Drawing
    words: str


@dataclass(frozen=True)
class _Port:
    """An interface of a machine: its wire, and where it leaves the box."""

    wire: int
    x: int
    texts: tuple[Text, ...]


@dataclass(frozen=True)
class _Box:
    """A machine's box, with the interfaces that leave it upwards and downwards."""

    drawing: Drawing
    above: tuple[_Port, ...]
    below: tuple[_Port, ...]

    @property
    def width(self) -> int:
        return max([self.drawing.width, *(widest(port.texts) for port in (*self.above, *self.below))])


def picture(lab: LabLine | None, scene: Scene) -> Picture | None:
    """Give the picture of a scene in its lab; None where neither has a machine."""
    machines = [*(lab.machines if lab else ()), *_machines_of(scene, lab)]
    if not machines:
        return None
    segments = _from_top(lab) if lab else []
    rows: list[list[_Box]] = [[] for _ in range(len(segments) + 1)]
    for machine in machines:
        row = _row(machine, segments)
        rows[row].append(_box(machine, scene, segments, row))
    return Picture(_stack(rows, segments, lab), _words(machines, scene, lab))


def _machines_of(scene: Scene, lab: LabLine | None) -> Iterable[MachineLine]:
    """Give machines that only the scene speaks of, so that nothing a check built goes missing."""
    known = {machine.name for machine in lab.machines} if lab else set()
    named = [network.machine for network in scene.networks] + [container.machine for container in scene.containers]
    return [MachineLine(name=name, role="engine", ports=[]) for name in dict.fromkeys(named) if name not in known]


def _from_top(lab: LabLine) -> list[str]:
    """Give the segments from the outermost down to those that engines are on."""
    home = {port.segment for machine in lab.machines if machine.role == "engine" for port in machine.ports}
    used = {port.segment: "" for machine in lab.machines for port in machine.ports}
    names = list(lab.segments | used)
    return sorted(names, key=lambda name: (name in home, -names.index(name)))


def _row(machine: MachineLine, segments: Sequence[str]) -> int:
    """Give the row a machine stands in: row n is above wire n, the last row below all."""
    wires = [segments.index(port.segment) for port in machine.ports]
    if not wires:
        return len(segments)
    return max(wires) + 1 if machine.role == "engine" else max(wires)


def _box(machine: MachineLine, scene: Scene, segments: Sequence[str], row: int) -> _Box:
    networks = [network for network in scene.networks if network.machine == machine.name]
    containers = [container for container in scene.containers if container.machine == machine.name]
    name = line(machine.name, "name", x=_PAD, row=0, limit=24)
    role = line(machine.role, "soft", x=name.x + name.width + 10, row=0, limit=16)
    titles = (name,) if machine.role == machine.name else (name, role)
    header = tuple(replace(text, y=text.y + 7) for text in titles)
    above = _ports(machine.ports, segments, row=row, above=True)
    below = _ports(machine.ports, segments, row=row, above=False)
    width = max(widest(header) + _PAD, *(port.x + _DROP_X for port in (*above, *below)), 120)
    if not (networks or containers):
        shapes: tuple[Shape, ...] = (Rect(0, 0, width, _HEADER, f"machine {machine.role}"), *header)
        return _Box(Drawing(width, _HEADER, shapes), above, below)
    content = inside.draw(networks, containers)
    width = max(width, content.width + 2 * _PAD)
    height = _HEADER + content.height + _PAD
    shapes = (
        Rect(0, 0, width, height, f"machine {machine.role}"),
        Stroke(0, _HEADER, width, _HEADER, "stack"),
        *header,
        *content.at(_PAD, _HEADER),
    )
    return _Box(Drawing(width, height, shapes), above, below)


def _ports(ports: Iterable[PortLine], segments: Sequence[str], *, row: int, above: bool) -> tuple[_Port, ...]:
    """Give the interfaces that leave a box on one side, side by side."""
    placed: list[_Port] = []
    x = _DROP_X
    for port in ports:
        wire = segments.index(port.segment)
        if (wire < row) is not above:
            continue
        name = line(port.name, "soft", x=x + 7, row=0, limit=16)
        indent = name.x + name.width + 8
        texts = (name, *(line(text, "data", x=indent, row=at) for at, text in enumerate(port.addresses)))
        placed.append(_Port(wire, x, texts))
        x = widest(texts) + _GAP
    return tuple(placed)


def _height(ports: Iterable[_Port]) -> int:
    """Give the height that the texts of these interfaces need, 0 where there are none."""
    rows = max((max(1, len(port.texts) - 1) for port in ports), default=0)
    return rows * LINE_PX + 12 if rows else 0


def _stack(rows: Sequence[Sequence[_Box]], segments: Sequence[str], lab: LabLine | None) -> Drawing:
    """Put rows of machines and the wires between them on top of each other."""
    under: list[Shape] = []
    over: list[Shape] = []
    hanging: list[tuple[int, int, int]] = []
    wire_y: list[int] = []
    reach = [0] * len(segments)
    right = max(sum(box.width + _GAP for box in row) - _GAP for row in rows)
    y = _MARGIN
    for number, row in enumerate(rows):
        y += _height(port for box in row for port in box.above)
        tallest = max((box.drawing.height for box in row), default=0)
        x = _MARGIN
        for box in row:
            bottom = y + box.drawing.height
            over += box.drawing.at(x, y)
            for port in box.above:
                hanging.append((port.wire, x + port.x, y))
                over += Drawing(0, 0, port.texts).at(x, y - _height(box.above) + 6)
            for port in box.below:
                hanging.append((port.wire, x + port.x, bottom))
                over += Drawing(0, 0, port.texts).at(x, bottom + 5)
                reach[port.wire] = max(reach[port.wire], x + port.x)
            x += box.width + _GAP
        y += tallest + _height(port for box in row for port in box.below)
        if number < len(segments):
            y += LINE_PX + 8
            wire_y.append(y)
            y += 4
    labels = [_segment_label(name, lab) for name in segments]
    right = max([right, *(reach[wire] + 12 + widest(label) for wire, label in enumerate(labels))])
    for wire, label in enumerate(labels):
        under.append(Stroke(_MARGIN, wire_y[wire], _MARGIN + right, wire_y[wire], "segment"))
        over += Drawing(0, 0, label).at(_MARGIN + right - widest(label), wire_y[wire] - LINE_PX - 3)
    for wire, x, end in hanging:
        under.append(Stroke(x, wire_y[wire], x, end, "drop"))
        under.append(Dot(x, wire_y[wire], "joint"))
    return Drawing(right + 2 * _MARGIN, y + _MARGIN, (*under, *over))


def _segment_label(name: str, lab: LabLine | None) -> tuple[Text, ...]:
    title = line(name, "name", x=0, row=0, limit=24)
    prefix = lab.segments.get(name, "") if lab else ""
    return (title, line(prefix, "soft", x=title.width + 8, row=0)) if prefix else (title,)


def _words(machines: Sequence[MachineLine], scene: Scene, lab: LabLine | None) -> str:
    sentences = [f"Lab {lab.shape}." if lab else "Lab not recorded."]
    for machine in machines:
        ports = [f"{port.name} on {port.segment}, {' and '.join(port.addresses)}" for port in machine.ports]
        sentences.append("; ".join([f"{machine.name} ({machine.role})", *ports]) + ".")
    for network in scene.networks:
        parts = [f"Network {network.name} on {network.machine}", network.driver, network.subnet, network.bridge]
        sentences.append(", ".join(filter(None, parts)) + ".")
    sentences += [_container_words(container) for container in scene.containers]
    return " ".join(sentences)


def _container_words(container: SceneContainer) -> str:
    parts = [f"Container {container.name} on {container.machine}", f"mode {container.mode}"]
    parts += [f"{name} {address}".strip() for name, address in container.networks.items()]
    parts += [f"published {port}" for port in container.ports]
    return ", ".join(parts) + "."
