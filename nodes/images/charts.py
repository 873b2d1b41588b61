"""Lines over a horizontal axis, drawn with Pillow: axes, ticks, a legend, and perhaps a scale of powers of ten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weft.nodes.images.lettering import lettering, line_height, text_width

if TYPE_CHECKING:
    from torch import Tensor

COLOURS = ((31, 119, 180), (214, 39, 40), (44, 160, 44), (148, 103, 189), (255, 127, 14), (23, 190, 207), (90, 90, 90))
"""One line each, in turn; told apart on white, in print too."""
_SCALE = 3
"""Lines are drawn so many times larger and then made smaller, which smooths them."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart: points from left to right, and its name. Points that are no finite numbers are left out."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from low to high, at most so many; of an empty range the one number."""
    span = high - low
    if span <= 0 or not math.isfinite(span):
        return [low]
    step = 10.0 ** math.floor(math.log10(span / most))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= most)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def powers(low: float, high: float) -> list[float]:
    """The powers of ten from low to high, and between them 2 and 5 times these where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, (last - first) // 6)
    factors = (1, 2, 5) if last - first <= 2 else (1,)
    numbers = [factor * 10.0**power for power in range(first, last + 1, every) for factor in factors]
    return [number for number in numbers if low * (1 - 1e-9) <= number <= high * (1 + 1e-9)] or [low]


def chart(
    lines: Sequence[Line], width: int, height: int, title: str = "", across: str = "", log: bool = False
) -> Tensor:
    """A picture (H, W, 3) of lines on white.

    Args:
        across: what the horizontal axis counts.
        log: the vertical axis has powers of ten; points that are not above 0 are left out.

    Raises:
        ValueError: no point is left to draw.
    """
    import numpy
    import PIL.Image
    import PIL.ImageDraw
    import torch

    sound = [[(x, y) for x, y in zip(one.x, one.y, strict=True) if _drawn(x, y, log)] for one in lines]
    points = [point for line in sound for point in line]
    if not points:
        why = "no value is above 0, as a scale of powers of ten needs" if log else "there are no finite values"
        raise ValueError(f"there is nothing to draw: {why}")
    size = max(11, min(20, height // 28))
    left_x, right_x = min(x for x, _ in points), max(x for x, _ in points)
    low, high = _range([y for _, y in points], log)
    marks = powers(low, high) if log else ticks(low, high)
    names = [_number(mark) for mark in marks]
    left = max(text_width(name, size) for name in names) + 2 * size
    right, bottom = width - size, height - size - line_height(size) * (2 if across else 1)
    legend = _legend([one.name for one in lines], size, right - left)
    first = size + (line_height(round(size * 1.3)) if title else 0) + line_height(size)
    top = first + legend[-1][0] * line_height(size)
    if right - left < 40 or bottom - top < 40:
        raise ValueError(f"{width} x {height} is too small for this chart: make it larger")

    def place(x: float, y: float) -> tuple[float, float]:
        part_x = (x - left_x) / (right_x - left_x) if right_x > left_x else 0.5
        bounds = (math.log10(y), math.log10(low), math.log10(high)) if log else (y, low, high)
        part_y = (bounds[0] - bounds[1]) / (bounds[2] - bounds[1])
        return left + part_x * (right - left), bottom - part_y * (bottom - top)

    picture = PIL.Image.new("RGB", (width * _SCALE, height * _SCALE), "white")
    draw = PIL.ImageDraw.Draw(picture)

    def stroke(path: Sequence[tuple[float, float]], colour: tuple[int, int, int], thick: float) -> None:
        if len(path) == 1:
            x, y = (part * _SCALE for part in path[0])
            spot = 3 * _SCALE
            draw.ellipse((x - spot, y - spot, x + spot, y + spot), fill=colour)
        else:
            scaled = [(x * _SCALE, y * _SCALE) for x, y in path]
            draw.line(scaled, fill=colour, width=round(thick * _SCALE), joint="curve")

    across_marks = [mark for mark in ticks(left_x, right_x) if right_x - left_x < 2 or float(mark).is_integer()]
    for mark in marks:
        stroke([(left, place(left_x, mark)[1]), (right, place(left_x, mark)[1])], (225, 225, 225), 1)
    for mark in across_marks:
        stroke([(place(mark, low)[0], bottom), (place(mark, low)[0], bottom + size / 3)], (90, 90, 90), 1)
    stroke([(left, top), (left, bottom), (right, bottom)], (90, 90, 90), 1)
    for number, line in enumerate(sound):
        if line:
            stroke([place(x, y) for x, y in line], COLOURS[number % len(COLOURS)], 1.6)
    small = picture.resize((width, height), PIL.Image.Resampling.LANCZOS)
    made = torch.from_numpy(numpy.asarray(small).copy()).float() / 255

    def write(
        text: str, x: float, y: float, letters: int, align: float, colour: tuple[int, int, int] = (40, 40, 40)
    ) -> None:
        """Centred at y; at x with its left end, its middle or its right end, for align 0, 0.5 and 1."""
        if not text.strip():
            return
        cover = lettering(text, letters, width, line_height(letters))
        x0 = int(min(max(0, x - align * cover.shape[1]), width - cover.shape[1]))
        y0 = int(min(max(0, y - cover.shape[0] / 2), height - cover.shape[0]))
        part = made[y0 : y0 + cover.shape[0], x0 : x0 + cover.shape[1]]
        part.copy_(part * (1 - cover[..., None]) + torch.tensor(colour).float() / 255 * cover[..., None])

    for mark, name in zip(marks, names, strict=True):
        write(name, left - size / 2, place(left_x, mark)[1], size, 1)
    for mark in across_marks:
        write(_number(mark), place(mark, low)[0], bottom + size, size, 0.5)
    write(across, (left + right) / 2, height - line_height(size) * 0.7, size, 0.5)
    write(title, width / 2, size * 1.1, round(size * 1.3), 0.5)
    for number, (one, (row, at)) in enumerate(zip(lines, legend, strict=True)):
        y = first + (row - 0.7) * line_height(size)
        write(one.name, left + at, y, size, 0, COLOURS[number % len(COLOURS)])
    return made


def _legend(names: Sequence[str], size: int, room: float) -> list[tuple[int, float]]:
    """The row of each name, and where in it it begins: as many in a row as there is room for."""
    places, row, at = [], 0, 0.0
    for name in names:
        wide = text_width(name, size) if name.strip() else 0
        if at and at + wide > room:
            row, at = row + 1, 0.0
        places.append((row, at))
        at += wide + 1.5 * size if wide else 0
    return places


def _drawn(x: float, y: float, log: bool) -> bool:
    return math.isfinite(x) and math.isfinite(y) and (y > 0 or not log)


def _range(values: Sequence[float], log: bool) -> tuple[float, float]:
    """From below the least to above the greatest; around a constant there is room too."""
    low, high = min(values), max(values)
    if log:
        return (low / 1.1, high * 1.1) if high > low else (low / 2, low * 2)
    room = 0.05 * (high - low) if high > low else 0.1 * abs(low) or 1.0
    return low - room, high + room


def _number(value: float) -> str:
    return f"{value:.4g}" if value else "0"
