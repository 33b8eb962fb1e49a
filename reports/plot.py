"""The picture of what was measured in turns: a row for each label, in it a dot for each round.

Shape:
      host    ▕  ·:┃:·                │  8.42 µs          the box holds half of the rounds, the bar is the median
      bridge  ▕      ·:┃:·          · │  10.8 µs  1 beyond
              0                  25 µs
"""

from __future__ import annotations

import math

from netfacts.model.rounds import Quartiles, Rounds, quartiles
from reports.drawing import LINE_PX, Dot, Drawing, Rect, Shape, Stroke, Text, line, widest
from reports.picture import Picture
from reports.wording import count, figure

_ROW = 38
_PLOT = 320
_GAP = 14
_MARGIN = 2
_SPAN = 24
"""The height over which the rounds of a row are spread, the first on top."""
_FARTHEST = 2.0
"""How many times the upper quartiles the picture reaches: what lies beyond would push all else together."""


def plot(rounds: Rounds) -> Picture | None:
    """Give the picture of all values; None where there is nothing that could be drawn."""
    rows = {label: [_drawable(value) for value in values] for label, values in rounds.series.items() if values}
    boxes = {label: quartiles(values) for label, values in rows.items()}
    most = max((value for values in rows.values() for value in values), default=0.0)
    reach = min(most, _FARTHEST * max((box.high for box in boxes.values()), default=0.0)) or most
    if reach <= 0:
        return None
    names = [line(label, "name", x=_MARGIN, row=0, limit=24) for label in rows]
    left = widest(names) + _GAP
    shapes: list[Shape] = []
    for row, (name, values, box) in enumerate(zip(names, rows.values(), boxes.values(), strict=True)):
        parts = [name, *_row(values, box, rounds.unit, reach, left)]
        shapes += Drawing(0, 0, tuple(parts)).at(0, _MARGIN + row * _ROW)
    bottom = _MARGIN + len(rows) * _ROW
    end = line(figure(reach, rounds.unit), "soft", x=0, row=0)
    axis = (
        Stroke(left, 0, left + _PLOT, 0, "axis"),
        Text(left, LINE_PX, "0", "soft"),
        Text(left + _PLOT - end.width, LINE_PX, end.text, "soft", full=end.full),
    )
    shapes += Drawing(0, 0, axis).at(0, bottom)
    width = widest([shape for shape in shapes if isinstance(shape, Text)])
    return Picture(
        Drawing(max(width, left + _PLOT) + _MARGIN, bottom + LINE_PX + 6, tuple(shapes)), _words(rounds.unit, boxes)
    )


def _drawable(value: float) -> float:
    # A record may hold anything; what is measured is neither less than nothing nor beyond all bounds.
    return min(max(value, 0.0), 1e12) if math.isfinite(value) else 0.0


def _row(values: list[float], box: Quartiles, unit: str, reach: float, left: int) -> list[Shape]:
    """Give the box, the dots and the median of one label, and its figures to the right of them."""

    def at(value: float) -> int:
        return left + round(min(value / reach, 1.0) * _PLOT)

    shapes: list[Shape] = [Rect(at(box.low), 0, max(at(box.high) - at(box.low), 2), _SPAN + 8, "half")]
    for number, value in enumerate(values):
        y = 4 + round(number * _SPAN / max(len(values) - 1, 1))
        shapes.append(Dot(at(value), y, "beyond" if value > reach else "round"))
    shapes.append(Stroke(at(box.middle), 0, at(box.middle), _SPAN + 8, "middle"))
    shapes.append(line(figure(box.middle, unit), "data", x=left + _PLOT + _GAP, row=0))
    if beyond := sum(value > reach for value in values):
        shapes.append(line(f"{beyond} beyond", "soft", x=left + _PLOT + _GAP, row=1))
    return shapes


def _words(unit: str, boxes: dict[str, Quartiles]) -> str:
    said = [
        f"{label}: median {figure(box.middle, unit)}, half within {figure(box.low, '')} and {figure(box.high, unit)}."
        for label, box in boxes.items()
    ]
    return " ".join([f"{count(len(boxes), 'row')} of dots, one for each round.", *said])
