"""Pictures hold everything that stood in the lab, each text legible and in its place."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfacts.model.lab import SHAPES
from netfacts.model.verdict import Scene, SceneContainer, SceneNetwork
from reports.drawing import Dot, Drawing, Rect, Stroke, Text, text_width
from reports.inside import MOST_CONTAINERS
from reports.picture import picture

NETWORKS = ["bridge", "front", "a-network-with-quite-a-long-name"]
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
ADDRESSES = st.sampled_from(["", "172.18.0.2", "172.18.0.2 fd00:d0c::242:ac11:3", "198.51.100.200/24, 2001:db8::1/64"])
PORTS = st.lists(st.sampled_from(["80/tcp", "0.0.0.0:8080->80/tcp", "[2001:db8:1::aaaa]:65535->65535/udp"]), max_size=6)


@st.composite
def scenes(draw: st.DrawFn, *, at_most: int = 6) -> Scene:
    """Scenes of one to six containers in every mode, on up to three networks."""
    names = draw(st.lists(NAMES, min_size=1, max_size=at_most, unique=True))
    containers = []
    for name in names:
        on = draw(st.dictionaries(st.sampled_from(NETWORKS), ADDRESSES, max_size=3))
        joined = st.sampled_from(names).map("container:{}".format)
        mode = draw(st.sampled_from(["host", "none", "networked"]) | joined)
        containers.append(SceneContainer(name=name, machine="host", mode=mode, networks=on, ports=draw(PORTS)))
    known = draw(st.lists(st.sampled_from(NETWORKS), unique=True))
    networks = [
        SceneNetwork(
            name=name,
            driver=draw(st.sampled_from(["bridge", "macvlan", ""])),
            machine="host",
            subnet=draw(st.sampled_from(["", "172.18.0.0/16"])),
            bridge=draw(st.sampled_from(["", "br-3f2a9c81d0aa"])),
        )
        for name in known
    ]
    return Scene(networks=networks, containers=containers)


def drawn(make: Any, scene: Scene, shape: str = "one-host") -> Drawing:
    """The drawing of a scene in a declared lab."""
    made = picture(make.lab(shape), scene)
    assert made is not None
    return made.drawing


def texts(drawing: Drawing) -> list[Text]:
    """All texts of a drawing."""
    return [shape for shape in drawing.shapes if isinstance(shape, Text)]


def frame(text: Text) -> tuple[int, int, int, int]:
    """The left, top, right and bottom of a text, with room for what hangs below its base line."""
    return text.x, text.y - 10, text.x + text_width(text.text, text.kind), text.y + 3


def assert_legible(drawing: Drawing) -> None:
    """Assert that no text overlaps another, leaves the frame, or has a line drawn through it."""
    found = [(text, frame(text)) for text in texts(drawing) if text.text]
    for (one, a), (other, b) in combinations(found, 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, f"{one} overlaps {other}"
    for text, (left, top, right, bottom) in found:
        assert 0 <= left < right <= drawing.width, text
        assert 0 <= top < bottom <= drawing.height, text
        for shape in drawing.shapes:
            if isinstance(shape, Stroke):
                x1, x2 = sorted((shape.x1, shape.x2))
                y1, y2 = sorted((shape.y1, shape.y2))
                assert x2 <= left or x1 >= right or y2 <= top or y1 >= bottom, f"{shape} strikes through {text}"


def assert_no_false_joint(drawing: Drawing) -> None:
    """Assert that what hangs on the machine's own stack keeps clear of every network's wire on its way."""
    strokes = [shape for shape in drawing.shapes if isinstance(shape, Stroke)]
    for leg in (stroke for stroke in strokes if stroke.kind == "leg"):
        for wire in (stroke for stroke in strokes if stroke.kind.startswith("net")):
            assert not (wire.x1 - 6 < leg.x1 < wire.x2 + 6 and leg.y1 < wire.y1 < leg.y2), f"{leg} meets {wire}"


def assert_boxes_apart(drawing: Drawing) -> None:
    """Assert that no container's box touches another's and that each text of one stays inside it."""
    boxes = [shape for shape in drawing.shapes if isinstance(shape, Rect) and shape.kind.startswith("container")]
    for one, other in combinations(boxes, 2):
        assert one.x + one.width < other.x or other.x + other.width < one.x, f"{one} touches {other}"
    for text in texts(drawing):
        left, top, right, bottom = frame(text)
        for box in boxes:
            if box.x <= left < box.x + box.width and box.y <= text.y < box.y + box.height:
                assert right <= box.x + box.width, f"{text} in {box}"
                assert box.y <= top < bottom <= box.y + box.height, f"{text} in {box}"


@settings(deadline=None)  # a first example compiles what later ones reuse
@given(scene=scenes())
def test_picture_is_legible_with_up_to_six_containers(make: Any, scene: Scene) -> None:
    """Whatever six containers are called and however they are connected, each text can be read."""
    drawing = drawn(make, scene)

    assert_legible(drawing)
    assert_no_false_joint(drawing)
    assert_boxes_apart(drawing)


@pytest.mark.parametrize("shape", SHAPES)
def test_picture_of_every_declared_lab_is_legible_and_whole(make: Any, shape: str) -> None:
    """Every shape is drawn with all its machines, segments and addresses."""
    lab = make.lab(shape)

    drawing = drawn(make, make.scene, shape)

    assert_legible(drawing)
    shown = {text.text for text in texts(drawing)}
    assert {machine.name for machine in lab.machines} <= shown
    assert set(lab.segments) | set(lab.segments.values()) <= shown
    assert {address for machine in lab.machines for port in machine.ports for address in port.addresses} <= shown
    assert {"web", "spy", "metrics", "sealed", "172.17.0.2", "⇥ 0.0.0.0:80 → 80/tcp", "in web's namespace"} <= shown


@settings(deadline=None)  # a first example compiles what later ones reuse
@given(scene=scenes())
def test_picture_shows_every_container_once(make: Any, scene: Scene) -> None:
    """No container goes missing, not even those that have joined each other."""
    names = [text.full or text.text for text in texts(drawn(make, scene))]

    for container in scene.containers:
        assert container.name in names
    boxes = [shape for shape in drawn(make, scene).shapes if isinstance(shape, Rect) and "container" in shape.kind]
    assert len(boxes) == len(scene.containers)


def test_container_hangs_on_each_of_its_networks(make: Any) -> None:
    """A container has one upright with a joint for each of its networks, and none to others."""
    scene = Scene(
        networks=[SceneNetwork(name=name, driver="bridge", machine="host") for name in ("front", "back")],
        containers=[
            SceneContainer(name="a", machine="host", mode="front", networks={"front": "172.18.0.2"}),
            SceneContainer(name="both", machine="host", mode="front", networks={"front": "x", "back": "y"}),
        ],
    )

    shapes = drawn(make, scene).shapes

    wires = sorted(shape.y1 for shape in shapes if isinstance(shape, Stroke) and shape.kind == "net")
    uprights = [shape for shape in shapes if isinstance(shape, Stroke) and shape.kind == "upright"]
    assert sorted(shape.y1 for shape in uprights) == sorted([wires[0], wires[0], wires[1]])
    joints = {(shape.x, shape.y) for shape in shapes if isinstance(shape, Dot)}
    assert {(shape.x1, shape.y1) for shape in uprights} <= joints


def test_joined_container_stands_beside_its_target(make: Any) -> None:
    """A container that joined another is the next box to the right, with a link between the two."""
    shapes = drawn(make, make.scene).shapes

    boxes = [shape for shape in shapes if isinstance(shape, Rect) and shape.kind.startswith("container")]
    boxes.sort(key=lambda box: box.x)
    assert [box.kind for box in boxes] == [f"container {kind}" for kind in ("networked", "joined", "host", "none")]
    links = [shape for shape in shapes if isinstance(shape, Stroke) and shape.kind == "joined"]
    assert {(link.x1, link.x2) for link in links} == {(boxes[0].x + boxes[0].width, boxes[1].x)}


def test_picture_of_many_containers_names_the_rest(make: Any) -> None:
    """Beyond a dozen containers, the rest are counted and their names kept for whoever points there."""
    names: Sequence[str] = [f"c{number:02}" for number in range(MOST_CONTAINERS + 3)]
    containers = [
        SceneContainer(name=name, machine="host", mode="bridge", networks={"bridge": "172.17.0.2"}) for name in names
    ]

    rest = next(text for text in texts(drawn(make, Scene(containers=containers))) if text.text == "and 3 more")

    assert rest.full == ", ".join(names[MOST_CONTAINERS:])


def test_picture_without_a_lab_shows_the_scene(make: Any) -> None:
    """A scene whose lab was not recorded is drawn all the same; nothing at all gives no picture."""
    made = picture(None, make.scene)

    assert made is not None
    assert_legible(made.drawing)
    assert "Container web on host, mode bridge, bridge 172.17.0.2, published 0.0.0.0:80->80/tcp." in made.words
    assert picture(None, Scene()) is None
