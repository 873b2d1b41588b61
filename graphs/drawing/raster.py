"""A scene as PNG bytes, painted with Pillow and the font that comes with it: the same picture on every machine."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from weft.graphs.drawing import palette, text
from weft.graphs.drawing.boxes import BODY, HEADER, LINE, PAD, SMALL, TITLE, Box, Port, Value
from weft.graphs.drawing.scene import CAPTION, HEADING, MARGIN, Curve, Point, Scene

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

_SMOOTH = 2  # painted this much larger and shrunk, since Pillow's own lines have hard edges
_MOST_PIXELS = 120_000_000


def to_png(scene: Scene, scale: float = 2.0) -> bytes:
    """The scene as a PNG of `scale` pixels per unit; less where the picture would be too large.

    Raises:
        ValueError: the picture is too large even at a quarter of its size. SVG has no such limit.
    """
    from PIL import Image, ImageDraw

    while scene.width * scene.height * (scale * _SMOOTH) ** 2 > _MOST_PIXELS:
        scale /= 2
        if scale < 0.25:
            size = f"{scene.width:,.0f} x {scene.height:,.0f}"
            raise ValueError(f"the picture of {size} pixels is too large for a PNG; draw it as SVG")
    full = scale * _SMOOTH
    image = Image.new("RGB", (round(scene.width * full), round(scene.height * full)), palette.PAPER)
    _Painter(ImageDraw.Draw(image), full).paint(scene)
    image = image.resize((round(scene.width * scale), round(scene.height * scale)), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


class _Painter:
    """Draws in units of the scene, `scale` pixels each."""

    def __init__(self, draw: ImageDraw, scale: float) -> None:
        self.draw = draw
        self.scale = scale
        self.fonts: dict[float, ImageFont | FreeTypeFont] = {}

    def paint(self, scene: Scene) -> None:
        y = MARGIN
        if scene.title:
            y += HEADING * 0.8
            self.text(MARGIN, y, scene.title, HEADING, palette.INK, bold=True)
            y += 12
        if scene.description:
            self.text(MARGIN, y + CAPTION, scene.description, CAPTION, palette.FAINT)
        for curve in scene.curves:
            self.curve(curve)
        for box in scene.boxes:
            self.box(box)
        y = scene.height - MARGIN + 6
        for entry in scene.legend:
            self.dot(entry.x + 5, y, 4.5, 4.5, entry.colour, entry.colour)
            self.text(entry.x + 15, y + 3.7, entry.name, SMALL, palette.FAINT)

    def curve(self, curve: Curve) -> None:
        points = [self._at(*point) for point in _points(curve)]
        stroke = max(1, round(2 * self.scale))
        if curve.drop:
            for start in range(0, len(points) - 1, 2):
                self.draw.line(points[start : start + 2], fill=curve.colour, width=stroke)
        else:
            self.draw.line(points, fill=curve.colour, width=stroke, joint="curve")

    def box(self, box: Box) -> None:
        x, y, w, h = box.x, box.y, box.width, box.height
        for spread, shade in ((3.0, "#f0f2f5"), (2.0, "#eaecf0"), (1.0, "#e3e6eb")):
            self.rounded(x - spread / 2, y + 1, w + spread, h + spread, 9, shade)
        self.rounded(x, y, w, h, 8, palette.tint(box.colour))
        self.draw.rectangle((*self._at(x, y + HEADER), *self._at(x + w, y + h - 8)), fill=palette.CARD)
        self.rounded(x, y + h - 20, w, 20, 8, palette.CARD)
        self.draw.rectangle((*self._at(x, y + HEADER), *self._at(x + w, y + h - 10)), fill=palette.CARD)
        self.line(x, y + HEADER, x + w, palette.EDGE)
        failed = box.mark is not None and box.mark.state == "failed"
        self.rounded(x, y, w, h, 8, None, palette.WRONG if failed else palette.EDGE, 2.0 if failed else 1.0)
        self.text(x + PAD, y + 19, text.cut(box.id, w - 2 * PAD, TITLE, True), TITLE, palette.INK, bold=True)
        room = w - 2 * PAD
        if box.mark is not None:
            self.text(x + w - PAD, y + 34, box.mark.text, SMALL, box.mark.colour, bold=True, end=True)
            room -= text.width(box.mark.text, SMALL, bold=True) + 12
            if box.share > 0:
                top, right = y + HEADER - 1.5, max(x + w * box.share, x + 1)
                self.draw.rectangle((*self._at(x, top), *self._at(right, top + 3)), fill=box.mark.colour)
        self.text(x + PAD, y + 34, text.cut(box.type, room, SMALL), SMALL, palette.FAINT)
        for port in box.inputs.values():
            self.port(port, x, y)
            colour = palette.WRONG if port.missing else palette.INK
            self.text(x + PAD, y + port.y + 4, text.cut(port.name, w - 2 * PAD, BODY), BODY, colour)
        for port in box.outputs.values():
            self.port(port, x + w, y)
            self.text(x + w - PAD, y + port.y + 4, text.cut(port.name, w / 2, BODY), BODY, palette.INK, end=True)
        if box.values and (box.inputs or box.outputs):
            self.line(x + PAD, y + box.values[0].y - 13, x + w - PAD, palette.RULE)
        for value in box.values:
            self.value(value, x, y, w)

    def value(self, value: Value, x: float, y: float, width: float) -> None:
        ink = palette.WRONG if value.wrong else palette.ACCENT if value.settable else palette.INK
        base = y + value.y + 4
        self.text(x + PAD, base, value.name, BODY, palette.FAINT)
        if value.inline:
            self.text(x + width - PAD, base, value.lines[0], BODY, ink, end=True)
            return
        for index, line in enumerate(value.lines):
            self.text(x + PAD, base + LINE * (index + 1), line, BODY, ink)

    def port(self, port: Port, x: float, top: float) -> None:
        colour = palette.WRONG if port.missing else palette.type_colour(port.type)
        fill, edge = (palette.CARD, colour) if port.missing else (colour, palette.CARD)
        self.dot(x, top + port.y, 5, 7 if port.many else 5, fill, edge)

    def dot(self, x: float, y: float, across: float, down: float, fill: str, edge: str) -> None:
        self.rounded(x - across, y - down, 2 * across, 2 * down, across, fill, edge, 1.5)

    def rounded(
        self, x: float, y: float, w: float, h: float, radius: float, fill: str | None, edge: str | None = None,
        stroke: float = 1.0,
    ) -> None:  # fmt: skip
        corners = (*self._at(x, y), *self._at(x + w, y + h))
        width = max(1, round(stroke * self.scale)) if edge else 0
        self.draw.rounded_rectangle(corners, radius * self.scale, fill, edge, width)

    def line(self, x0: float, y: float, x1: float, colour: str) -> None:
        self.draw.line((*self._at(x0, y), *self._at(x1, y)), fill=colour, width=max(1, round(self.scale)))

    def text(
        self, x: float, y: float, content: str, size: float, colour: str, *, bold: bool = False, end: bool = False
    ) -> None:
        font = self.fonts.get(size) or self.fonts.setdefault(size, self._font(size))
        weight = round(size * self.scale * 0.022) if bold else 0  # the built-in font has one weight
        anchor = "rs" if end else "ls"
        self.draw.text(
            self._at(x, y), content, fill=colour, font=font, anchor=anchor, stroke_width=weight, stroke_fill=colour
        )

    def _font(self, size: float) -> ImageFont | FreeTypeFont:
        from PIL import ImageFont

        return ImageFont.load_default(size * self.scale)

    def _at(self, x: float, y: float) -> Point:
        return x * self.scale, y * self.scale


def _points(curve: Curve) -> list[Point]:
    """The curve as a polyline fine enough to look smooth."""
    (x0, y0), (x3, y3) = curve.start, curve.end
    if y0 == y3 and not curve.drop:
        return [curve.start, curve.end]
    (x1, y1), (x2, y2) = curve.controls
    steps = 40
    points = []
    for step in range(steps + 1):
        t = step / steps
        a, b, c, d = (1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3
        points.append((a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3))
    return points
