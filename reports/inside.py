"""The inside of a machine: its Docker networks as wires, its containers hanging on them.

Shape:
    ─┬──┬─────────────────────────────┬──     the machine's own network stack
     │  └──●──────────●─               │      network "front"
     └─────┼──●───────┼─               │      network "back"
        ┌──┴──┴┐   ┌──┴──┐ ┌──────┐ ┌──┴─┐ × ┌──────┐
        │  web │   │  db │═│ spy  │ │ ho │   │ none │
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from netfacts.model.verdict import SceneContainer, SceneNetwork
from reports.drawing import LINE_PX, Dot, Drawing, Rect, Shape, Stroke, Text, line, widest

MOST_CONTAINERS = 12
"""How many containers are drawn in one machine; more would say less."""

_PAD = 8
_GAP = 14
_JOINED_GAP = 24
_STEP = 9
"""Between two uprights of one container, and two of the machine's own legs."""

_JOINED = "container:"


@dataclass(frozen=True)
class _Column:
    """A container as a box; `wires` are the indexes of the networks that it hangs on."""

    kind: str
    texts: tuple[Text, ...]
    wires: tuple[int, ...]
    width: int
    height: int
    beside: bool = False
    """It has joined the container to the left of it."""


@dataclass(frozen=True)
class _Wire:
    """A network as a wire at height y, from x to the right; its label stands in the gutter left of it."""

    x: int
    y: int
    kind: str


def draw(networks: Sequence[SceneNetwork], containers: Sequence[SceneContainer]) -> Drawing:
    """Give the inside of one machine, with the machine's network stack along its upper edge."""
    networks = [*networks, *_unnamed(networks, containers)]
    labels, wires, top = _wires(networks)
    left = (widest(labels) + _STEP * (len(wires) + 1) + 6) if wires else 0
    shapes: list[Shape] = []
    boxes: list[Shape] = []
    x, on_wire, bottom = left, left + 48, top
    for number, column in enumerate(_columns(containers, networks)):
        x += (_JOINED_GAP if column.beside else _GAP) if number else 0
        if wires and not column.wires and not column.beside:
            x = max(x, on_wire + _GAP)
        if column.beside:
            shapes += [Stroke(x - _JOINED_GAP, top + dy, x, top + dy, "joined") for dy in (13, 17)]
        shapes += _uprights(column, wires, x, top)
        boxes.append(Rect(x, top, column.width, column.height, f"container {column.kind}"))
        boxes += Drawing(0, 0, column.texts).at(x, top)
        x += column.width
        bottom = max(bottom, top + column.height)
        if column.wires:
            on_wire = x
    for wire in wires:
        shapes.insert(0, Stroke(wire.x, wire.y, on_wire, wire.y, wire.kind))
        if wire.kind == "net":
            shapes.insert(0, Stroke(wire.x, 0, wire.x, wire.y, "leg"))
    return Drawing(max(x, on_wire if wires else 0), bottom, (*shapes, *labels, *boxes))


def _unnamed(networks: Sequence[SceneNetwork], containers: Sequence[SceneContainer]) -> Iterator[SceneNetwork]:
    known = {network.name for network in networks}
    for container in containers:
        for name in container.networks if _kind(container) == "networked" else ():
            if name not in known:
                known.add(name)
                yield SceneNetwork(name=name, driver="", machine=container.machine)


def _wires(networks: Sequence[SceneNetwork]) -> tuple[list[Text], list[_Wire], int]:
    """Give the labels, the wires and the height where containers begin."""
    blocks = [_label(network) for network in networks]
    gutter = max((widest(block) for block in blocks), default=0)
    labels: list[Text] = []
    wires: list[_Wire] = []
    y = 12
    for number, (network, block) in enumerate(zip(networks, blocks, strict=True)):
        height = len(block) * LINE_PX
        labels += [text for text in Drawing(0, 0, block).at(0, y) if isinstance(text, Text)]
        # Lower wires begin further left, so that no leg of theirs crosses a wire above.
        x = gutter + _STEP * (len(networks) - number)
        wires.append(_Wire(x, y + height // 2, "net" if network.driver == "bridge" else "net other"))
        y += height + 8
    return labels, wires, y + 6 if networks else 24


def _label(network: SceneNetwork) -> tuple[Text, ...]:
    bridge = network.bridge if network.bridge != network.name else ""
    rows = [network.subnet, " ".join(filter(None, (network.driver, bridge)))]
    return (
        line(network.name, "name", x=0, row=0, limit=22),
        *(line(row, "soft", x=0, row=number, limit=24) for number, row in enumerate(filter(None, rows), start=1)),
    )


def _uprights(column: _Column, wires: Sequence[_Wire], x: int, top: int) -> Iterator[Shape]:
    """Give what connects a box upwards: to its wires, to the machine's own stack, or to nothing."""
    middle = x + column.width // 2
    match column.kind:
        case "networked":
            first = middle - _STEP * (len(column.wires) - 1) // 2
            for place, index in enumerate(column.wires):
                at = first + place * _STEP
                yield Stroke(at, wires[index].y, at, top, "upright")
                yield Dot(at, wires[index].y, "joint")
        case "host":
            yield Stroke(middle, 0, middle, top, "leg")
            yield Dot(middle, 0, "joint")
        case "none":
            yield Stroke(middle, top - 5, middle, top, "upright")
            yield Stroke(middle - 4, top - 13, middle + 4, top - 5, "cut")
            yield Stroke(middle - 4, top - 5, middle + 4, top - 13, "cut")


def _columns(containers: Sequence[SceneContainer], networks: Sequence[SceneNetwork]) -> Iterator[_Column]:
    index = {network.name: number for number, network in enumerate(networks)}
    ordered = list(_in_order(containers, index))
    for container, beside in ordered[:MOST_CONTAINERS]:
        yield _column(container, index, beside=beside)
    rest = [container.name for container, _ in ordered[MOST_CONTAINERS:]]
    if rest:
        text = Text(_PAD, 18, f"and {len(rest)} more", "soft", full=", ".join(rest))
        yield _Column("more", (text,), (), text.width + 2 * _PAD, LINE_PX + 12)


def _in_order(containers: Sequence[SceneContainer], index: dict[str, int]) -> Iterator[tuple[SceneContainer, bool]]:
    """Give containers by network, then on the host's stack, then on none; each is followed by those that joined it."""
    names = {container.name for container in containers}
    followers: dict[str, list[SceneContainer]] = {}
    leaders: list[SceneContainer] = []
    for container in containers:
        target = _target(container)
        if target in names and target != container.name:
            followers.setdefault(target, []).append(container)
        else:
            leaders.append(container)
    place = {"networked": 0, "host": 1, "none": 2, "joined": 3}
    leaders.sort(key=lambda one: (place[_kind(one)], [index[name] for name in one.networks if name in index]))
    drawn: set[str] = set()
    stack = [(leader, False) for leader in reversed(leaders)]
    while stack:
        container, beside = stack.pop()
        yield container, beside
        if container.name not in drawn:
            drawn.add(container.name)
            stack += [(follower, True) for follower in reversed(followers.get(container.name, []))]
    # Two that claim to have joined each other lead nowhere, yet a picture must not lose them.
    for container in containers:
        if container.name not in drawn:
            drawn.add(container.name)
            yield container, False


def _column(container: SceneContainer, index: dict[str, int], *, beside: bool) -> _Column:
    kind = _kind(container)
    wires = tuple(sorted(index[name] for name in container.networks)) if kind == "networked" else ()
    rows: list[tuple[str, str]] = [(container.name, "name")]
    if kind == "networked":
        for name, address in sorted(container.networks.items(), key=lambda pair: index[pair[0]]):
            several = len(container.networks) > 1
            for number, part in enumerate(address.replace(",", " ").split() or [""]):
                rows.append((" ".join(filter(None, (name if several and not number else "", part))), "data"))
    elif kind == "joined":
        rows.append((f"in {_target(container)}'s namespace", "soft"))
    else:
        rows.append(({"host": "host network", "none": "no network"}[kind], "soft"))
    ports = [(f"⇥ {port.replace('->', ' → ')}", "port") for port in container.ports]
    rows += ports if len(ports) <= 4 else [*ports[:3], (f"⇥ and {len(ports) - 3} more", "port")]
    texts = tuple(
        line(row, "data" if style == "port" else style, x=_PAD, row=number)
        for number, (row, style) in enumerate((row, style) for row, style in rows if row)
    )
    texts = tuple(replace(text, y=text.y + 5) for text in texts)
    width = max(widest(texts) + _PAD, 84, _STEP * len(wires) + 2 * _PAD)
    return _Column(kind, texts, wires, width, len(texts) * LINE_PX + 11, beside=beside)


def _target(container: SceneContainer) -> str:
    return container.mode.removeprefix(_JOINED) if container.mode.startswith(_JOINED) else ""


def _kind(container: SceneContainer) -> str:
    """Say how a container is connected: `networked`, `host`, `none` or `joined`."""
    if container.mode in ("host", "none"):
        return container.mode
    if container.mode.startswith(_JOINED):
        return "joined"
    return "networked" if container.networks else "none"
