"""A workflow laid out: everything a painter needs, in pixels, with nothing left to decide but how to draw a line."""

from __future__ import annotations

from dataclasses import dataclass

from weft.graphs.document import Workflow
from weft.graphs.drawing import palette, text
from weft.graphs.drawing.boxes import BODY, SMALL, Box, Wire, make_boxes
from weft.graphs.drawing.layers import Item, make_layers
from weft.graphs.drawing.marks import Marks
from weft.graphs.drawing.place import place
from weft.graphs.drawing.shapes import Describe

Point = tuple[float, float]

MARGIN, COLUMN_GAP = 36.0, 76.0
HEADING, CAPTION = 20.0, 12.0
"""Font sizes of the picture's title and of the line below it."""


@dataclass(frozen=True, slots=True)
class Curve:
    """A piece of link: leaves `start` and reaches `end` horizontally, or hangs down between them when it goes back."""

    start: Point
    end: Point
    colour: str
    drop: float = 0.0
    """How far below its ends a way back hangs; 0 for all others."""

    @property
    def controls(self) -> tuple[Point, Point]:
        """The two inner control points of the cubic Bezier curve."""
        (x0, y0), (x1, y1) = self.start, self.end
        if self.drop:
            low = max(y0, y1) + self.drop / 0.75  # the curve comes three quarters of the way to its control points
            return (x0 + 90.0, low), (x1 - 90.0, low)
        middle = (x0 + x1) / 2
        return (middle, y0), (middle, y1)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the legend, its left end at `x`."""

    name: str
    colour: str
    x: float


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture: `boxes` hold their own places."""

    width: float
    height: float
    title: str
    description: str
    boxes: list[Box]
    curves: list[Curve]
    legend: list[Entry]


def make_scene(
    workflow: Workflow,
    describe: Describe | None = None,
    legend: bool = True,
    marks: Marks | None = None,
    caption: str = "",
) -> Scene:
    """Lay a workflow out from left to right. Linear in nodes and links, give or take a logarithm."""
    boxes, wires = make_boxes(workflow, describe, marks)
    layers = make_layers(boxes, wires)
    place(layers.columns)
    title, description = workflow.title, caption or _text(workflow.meta.get("description"))
    top = MARGIN + (HEADING + 8 if title else 0) + (CAPTION + 8 if description else 0) + (12 if title else 0)
    edges, right = _set_columns(layers.columns, top)
    curves = _curves(wires, layers.passes, edges)
    bottom = max((box.y + box.height for box in boxes.values()), default=top)
    bottom = max([bottom, *(item.y for column in layers.columns for item in column)])
    entries = _legend(wires, boxes) if legend else []
    width = max(right + MARGIN, 320.0, entries[-1].x + 140 if entries else 0)
    room = width - 2 * MARGIN
    return Scene(
        width=width,
        height=bottom + MARGIN + (30 if entries else 0),
        title=text.cut(title, room, HEADING, bold=True),
        description=text.cut(description, room, CAPTION),
        boxes=list(boxes.values()),
        curves=curves,
        legend=entries,
    )


def _text(value: object) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _set_columns(columns: list[list[Item]], top: float) -> tuple[list[tuple[float, float]], float]:
    """Give every box its corner. Returns the left and right edge of each column, and the right edge of the last."""
    highest = min((item.y for column in columns for item in column), default=0.0)
    edges = []
    x = MARGIN
    for column in columns:
        width = max((item.box.width for item in column if item.box), default=0.0)
        for item in column:
            item.y += top - highest
            if item.box:
                item.box.x, item.box.y, item.box.width = x, round(item.y), width
        edges.append((x, x + width))
        x += width + COLUMN_GAP
    return edges, x - COLUMN_GAP if columns else x


def _curves(wires: list[Wire], passes: list[list[Item]], edges: list[tuple[float, float]]) -> list[Curve]:
    """Each piece of link once, also where links from one output share it."""
    curves: dict[Curve, None] = {}
    for wire, way in zip(wires, passes, strict=True):
        colour = palette.type_colour(wire.output.type)
        start = (wire.source.x + wire.source.width, wire.source.y + wire.output.y)
        end = (wire.target.x, wire.target.y + wire.input.y)
        if end[0] <= start[0]:
            lowest = max(box.y + box.height for box in (wire.source, wire.target))
            curves[Curve(start, end, palette.WRONG, drop=lowest + 20.0 - max(start[1], end[1]))] = None
            continue
        at = start
        for item in way:
            left, right = edges[item.column]
            y = round(item.y, 1)
            curves[Curve(at, (left, y), colour)] = None
            curves[Curve((left, y), (right, y), colour)] = None
            at = (right, y)
        curves[Curve(at, end, colour)] = None
    return list(curves)


def _legend(wires: list[Wire], boxes: dict[str, Box]) -> list[Entry]:
    names: dict[str, str] = {}
    for wire in wires:
        if wire.output.type:
            names.setdefault(palette.type_colour(wire.output.type), wire.output.type)
    if any(value.settable for box in boxes.values() for value in box.values):
        names[palette.ACCENT] = "parameter"
    entries = []
    x = MARGIN
    for colour, name in list(names.items())[:12]:
        entries.append(Entry(text.cut(name, 120, SMALL), colour, x))
        x += text.width(entries[-1].name, BODY) + 34
    return entries
