"""A scene as SVG text, without scripts, links or outside files."""

from __future__ import annotations

from weft.graphs.drawing import palette, text
from weft.graphs.drawing.boxes import BODY, HEADER, LINE, PAD, SMALL, TITLE, Box, Port, Value
from weft.graphs.drawing.scene import CAPTION, HEADING, MARGIN, Curve, Scene
from weft.graphs.showing import safe

_FONT = "Inter, 'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif"


def to_svg(scene: Scene) -> str:
    """The scene as one SVG document."""
    size = f'width="{_n(scene.width)}" height="{_n(scene.height)}" viewBox="0 0 {_n(scene.width)} {_n(scene.height)}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{_FONT}" font-size="{_n(BODY)}">',
        f"<title>{safe(scene.title or 'Workflow')}</title>",
        '<defs><filter id="shadow" x="-5%" y="-5%" width="110%" height="115%">'
        '<feDropShadow dx="0" dy="1.5" stdDeviation="2" flood-color="#1b2330" flood-opacity="0.10"/></filter></defs>',
        f'<rect width="100%" height="100%" fill="{palette.PAPER}"/>',
        *_heading(scene),
        '<g fill="none" stroke-width="2" stroke-linecap="round">',
        *map(_curve, scene.curves),
        "</g>",
    ]
    for box in scene.boxes:
        parts += _box(box)
    y = scene.height - MARGIN + 6
    for entry in scene.legend:
        parts.append(f'<circle cx="{_n(entry.x + 5)}" cy="{_n(y)}" r="4.5" fill="{entry.colour}"/>')
        parts.append(_text(entry.x + 15, y + 3.7, entry.name, SMALL, palette.FAINT))
    return "\n".join([*parts, "</svg>", ""])


def _heading(scene: Scene) -> list[str]:
    lines = []
    y = MARGIN
    if scene.title:
        y += HEADING * 0.8
        lines.append(_text(MARGIN, y, scene.title, HEADING, palette.INK, bold=True))
        y += 12
    if scene.description:
        lines.append(_text(MARGIN, y + CAPTION, scene.description, CAPTION, palette.FAINT))
    return lines


def _curve(curve: Curve) -> str:
    (x0, y0), (x1, y1) = curve.start, curve.end
    (a, b), (c, d) = curve.controls
    dash = ' stroke-dasharray="5 5"' if curve.drop else ""
    way = f"M{_n(x0)} {_n(y0)}C{_n(a)} {_n(b)} {_n(c)} {_n(d)} {_n(x1)} {_n(y1)}"
    return f'<path d="{way}" stroke="{curve.colour}"{dash}/>'


def _box(box: Box) -> list[str]:
    w, h, r = box.width, box.height, 8
    tint = palette.tint(box.colour)
    lines = [
        f'<g transform="translate({_n(box.x)} {_n(box.y)})">',
        f"<title>{safe(f'{box.id} ({box.type})')}</title>",
        f'<rect width="{_n(w)}" height="{_n(h)}" rx="{r}" fill="{palette.CARD}" stroke="{_edge(box)}" '
        'filter="url(#shadow)"/>',
        f'<path d="M.5 {_n(HEADER)}V{r}A{r - 0.5} {r - 0.5} 0 0 1 {r} .5H{_n(w - r)}'
        f'A{r - 0.5} {r - 0.5} 0 0 1 {_n(w - 0.5)} {r}V{_n(HEADER)}Z" fill="{tint}"/>',
        f'<path d="M0 {_n(HEADER)}H{_n(w)}" stroke="{palette.EDGE}"/>',
        _text(PAD, 19, text.cut(box.id, w - 2 * PAD, TITLE, bold=True), TITLE, palette.INK, bold=True),
        _text(PAD, 34, text.cut(box.type, w - 2 * PAD - _mark_width(box), SMALL), SMALL, palette.FAINT),
        *_mark(box, w),
    ]
    for port in box.inputs.values():
        lines.append(_port(port, 0.0))
        colour = palette.WRONG if port.missing else palette.INK
        lines.append(_text(PAD, port.y + 4, text.cut(port.name, w - 2 * PAD, BODY), BODY, colour))
    for port in box.outputs.values():
        lines.append(_port(port, w))
        lines.append(_text(w - PAD, port.y + 4, text.cut(port.name, w / 2, BODY), BODY, palette.INK, end=True))
    if box.values and (box.inputs or box.outputs):
        y = box.values[0].y - 13
        lines.append(f'<path d="M{_n(PAD)} {_n(y)}H{_n(w - PAD)}" stroke="{palette.RULE}"/>')
    for value in box.values:
        lines += _value(value, w)
    return [*lines, "</g>"]


def _edge(box: Box) -> str:
    return palette.WRONG if box.mark is not None and box.mark.state == "failed" else palette.EDGE


def _mark_width(box: Box) -> float:
    return text.width(box.mark.text, SMALL, bold=True) + 12 if box.mark is not None else 0.0


def _mark(box: Box, width: float) -> list[str]:
    """How the node fared, and a line as long as its part of the longest node's time."""
    if box.mark is None:
        return []
    lines = [_text(width - PAD, 34, box.mark.text, SMALL, box.mark.colour, bold=True, end=True)]
    if box.share > 0:
        lines.append(f'<path d="M0 {_n(HEADER)}H{_n(width * box.share)}" stroke="{box.mark.colour}" stroke-width="3"/>')
    return lines


def _port(port: Port, x: float) -> str:
    colour = palette.WRONG if port.missing else palette.type_colour(port.type)
    fill = palette.CARD if port.missing else colour
    look = f'fill="{fill}" stroke="{colour if port.missing else palette.CARD}" stroke-width="1.5"'
    if port.many:
        return f'<rect x="{_n(x - 5)}" y="{_n(port.y - 7)}" width="10" height="14" rx="5" {look}/>'
    return f'<circle cx="{_n(x)}" cy="{_n(port.y)}" r="5" {look}/>'


def _value(value: Value, width: float) -> list[str]:
    ink = palette.WRONG if value.wrong else palette.ACCENT if value.settable else palette.INK
    lines = [_text(PAD, value.y + 4, value.name, BODY, palette.FAINT)]
    if value.inline:
        return [*lines, _text(width - PAD, value.y + 4, value.lines[0], BODY, ink, end=True)]
    for index, line in enumerate(value.lines):
        lines.append(_text(PAD, value.y + 4 + LINE * (index + 1), line, BODY, ink))
    return lines


def _text(x: float, y: float, content: str, size: float, colour: str, *, bold: bool = False, end: bool = False) -> str:
    more = (' font-weight="600"' if bold else "") + (' text-anchor="end"' if end else "")
    more += f' font-size="{_n(size)}"' if size != BODY else ""
    return f'<text x="{_n(x)}" y="{_n(y)}" fill="{colour}"{more}>{safe(content)}</text>'


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
