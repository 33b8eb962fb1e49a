"""What a picture consists of: boxes, lines, dots and texts at whole pixels, with a guess at how wide texts are."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

LINE_PX = 15
"""From one line of text to the next."""

# Pictures use monospaced text throughout, so that a page made where no font can be measured still has room for each.
# 0.61 em is the advance of the widest of the usual faces (DejaVu Sans Mono, Menlo), rounded up.
_ADVANCE_PX = {"name": 7.4, "data": 6.8, "soft": 6.8, "wire-name": 7.4}


@dataclass(frozen=True)
class Rect:
    """A box; `kind` is its CSS class."""

    x: int
    y: int
    width: int
    height: int
    kind: str


@dataclass(frozen=True)
class Stroke:
    """A straight line; `kind` is its CSS class."""

    x1: int
    y1: int
    x2: int
    y2: int
    kind: str


@dataclass(frozen=True)
class Dot:
    """A joint on a wire; `kind` is its CSS class."""

    x: int
    y: int
    kind: str


@dataclass(frozen=True)
class Text:
    """One line of text, with its left end on the base line at x, y. `full` is what was shortened to `text`."""

    x: int
    y: int
    text: str
    kind: str
    full: str = ""

    @property
    def width(self) -> int:
        """The width to keep free for it."""
        return text_width(self.text, self.kind)


Shape = Rect | Stroke | Dot | Text


@dataclass(frozen=True)
class Drawing:
    """Shapes in the order they are painted, in a frame from 0, 0 to width, height."""

    width: int
    height: int
    shapes: tuple[Shape, ...] = ()

    def at(self, x: int, y: int) -> tuple[Shape, ...]:
        """Give the shapes moved by x and y."""
        return tuple(_moved(shape, x, y) for shape in self.shapes)


def _moved(shape: Shape, x: int, y: int) -> Shape:
    if isinstance(shape, Stroke):
        return replace(shape, x1=shape.x1 + x, y1=shape.y1 + y, x2=shape.x2 + x, y2=shape.y2 + y)
    return replace(shape, x=shape.x + x, y=shape.y + y)


def text_width(text: str, kind: str) -> int:
    """Give the width to keep free for a text."""
    return math.ceil(_columns(text) * _ADVANCE_PX[kind])


def widest(texts: Iterable[Text]) -> int:
    """Give the right end of the text that reaches furthest, 0 where there is none."""
    return max((text.x + text.width for text in texts), default=0)


def line(text: str, kind: str, *, x: int, row: int, limit: int = 28) -> Text:
    """Give a text on the nth row of lines, shortened in its middle to `limit` columns."""
    short = _shorten(text, limit)
    return Text(x, row * LINE_PX + 11, short, kind, full=text if short != text else "")


def _columns(text: str) -> int:
    return sum(map(_column, text))


def _column(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _shorten(text: str, limit: int) -> str:
    if _columns(text) <= limit:
        return text
    # The middle goes: names that differ do so at an end, most often the last.
    head, tail = "", ""
    for char in text:
        if _columns(head + char) > limit // 2:
            break
        head += char
    for char in reversed(text):
        if _columns(head + tail + char) > limit - 1:
            break
        tail = char + tail
    return f"{head}…{tail}"
