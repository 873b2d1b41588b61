"""Text as pixels: in the font that Pillow brings along, so that a picture comes out the same on every machine.

Nothing is looked for on the machine and nothing is fetched. The font has Latin letters; a sign that it lacks is drawn
as an empty box.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Literal, cast

from weft.nodes.images.headers import check_pixels

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont
    from torch import Tensor

Align = Literal["left", "centre", "right"]

MAX_CHARACTERS = 2000
"""Most characters of one text that are drawn."""
MAX_SIZE = 1000
"""Largest letters, in pixels."""

_ELLIPSIS = "..."
_LEADING = 1.25
"""From one line to the next, in sizes of the letters."""


def lettering(text: str, size: int, width: int, height: int | None = None, align: Align = "left") -> Tensor:
    """Text as coverage (H, W) float32: 1 where letters are, 0 beside them.

    It is broken into lines of at most `width` pixels, at spaces where that is possible. What does not fit into
    `height` is left out, and the last line then ends in three dots. One line is drawn in any case.

    Args:
        size: of the letters, in pixels.
        width: of the field in pixels; the result is as wide as its longest line, and at most this wide.
        height: of the field in pixels; None for as many lines as the text has.
        align: how lines of different length stand.

    Raises:
        ValueError: the text is longer than MAX_CHARACTERS, or the size is not 1 to MAX_SIZE.
        ImageFileError: the field has more pixels than an image may have.
    """
    import numpy as np
    import PIL.Image
    import PIL.ImageDraw
    import torch

    font = _font(size)
    step = line_height(size)
    lines = broken(text, size, width, None if height is None else max(1, height // step))
    across = min(width, max((math.ceil(font.getlength(line)) for line in lines), default=0) or 1)
    check_pixels(across, step * len(lines), "the text would have")
    field = PIL.Image.new("L", (across, step * max(1, len(lines))), 0)
    pen = PIL.ImageDraw.Draw(field)
    place, anchor = {"left": (0.0, "l"), "centre": (across / 2, "m"), "right": (float(across), "r")}[align]
    ascent, descent = font.getmetrics()
    for number, line in enumerate(lines):
        base = number * step + (step - ascent - descent) / 2 + ascent
        pen.text((place, base), line, 255, font, anchor=f"{anchor}s")
    return torch.from_numpy(np.asarray(field, np.float32) / 255)


def broken(text: str, size: int, width: int, most: int | None = None) -> list[str]:
    """The text in lines of at most `width` pixels; of more than `most` lines the first, with three dots at the end.

    Raises:
        ValueError: as in `lettering`.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(
            f"the text {text[:30]!r}... has {len(text):,} characters; at most {MAX_CHARACTERS:,} are drawn"
        )
    font = _font(size)
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        # What is no sign would be a box, and half of a surrogate pair an error.
        words = "".join(sign if sign.isprintable() else " " for sign in paragraph).split()
        for word in words:
            longer = f"{line} {word}" if line else word
            if font.getlength(longer) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            line = word
            while font.getlength(line) > width and len(line) > 1:
                count = _fitting(line, font, width)
                lines.append(line[:count])
                line = line[count:]
        lines.append(line)
    if most is not None and len(lines) > most:
        lines = lines[:most]
        last = lines[-1]
        while last and font.getlength(last + _ELLIPSIS) > width:
            last = last[:-1]
        lines[-1] = last.rstrip() + _ELLIPSIS
    return lines


def line_height(size: int) -> int:
    """Pixels from one line to the next."""
    return round(size * _LEADING)


def text_width(text: str, size: int) -> int:
    """Pixels that a text takes on one line. Raises ValueError as in `lettering`."""
    lines = broken(text, size, 1 << 30)
    return max((math.ceil(_font(size).getlength(line)) for line in lines), default=0)


def _fitting(line: str, font: FreeTypeFont, width: int) -> int:
    """How many signs of a line fit, at least one."""
    low, high = 1, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if font.getlength(line[:middle]) <= width else (low, middle - 1)
    return low


@functools.lru_cache(maxsize=32)
def _font(size: int) -> FreeTypeFont:
    import PIL.ImageFont

    if not 1 <= size <= MAX_SIZE:
        raise ValueError(f"the size of letters is 1 to {MAX_SIZE:,} pixels, not {size}")
    return cast("FreeTypeFont", PIL.ImageFont.load_default(size))
