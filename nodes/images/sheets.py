"""Pictures on one sheet, in rows and columns, with a title, labels of rows and columns, and a caption for each picture.

Labels have strips of their own beside the pictures, so none covers one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weft.nodes.images.colour import LUMINANCE
from weft.nodes.images.headers import check_pixels
from weft.nodes.images.lettering import Align, broken, lettering, line_height, text_width

if TYPE_CHECKING:
    from torch import Tensor

MOST_LINES = 4
"""Lines that a label may have; a title too."""
_WIDEST = 14
"""A row's label takes at most so many sizes of its letters, and a column is widened at most so far for its words."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What is written on a sheet.

    Attributes:
        title: above all; empty for none.
        rows: one for each row, left of it. columns: one for each column, above it. cells: one for each picture in
            reading order, above it. Empty for none.
        size: of the letters in pixels; 0 takes a tenth of the pictures' shorter side, from 11 to 40.
    """

    title: str = ""
    rows: Sequence[str] = ()
    columns: Sequence[str] = ()
    cells: Sequence[str] = ()
    size: int = 0


@dataclass(slots=True)
class _Layout:
    """Sizes in pixels.

    Attributes:
        cell: height and width of a cell, which are those of the largest picture.
        pitch: width of a column, which is wider where words of labels need it.
        left: width of the rows' labels. top: height of title and columns' labels.
        title: height of the title. size: of letters. pad: between a label and what it belongs to.
        captions: per row, the height of its captions. heights: per row, that of its pictures or its label.
    """

    cell: tuple[int, int]
    pitch: int
    size: int
    pad: int
    left: int = 0
    top: int = 0
    title: int = 0
    captions: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)


def sheet(
    rows: Sequence[Sequence[Tensor]],
    gap: int,
    paper: tuple[float, float, float],
    labels: Labels | None = None,
) -> Tensor:
    """The pictures (H, W, 3) as one of (H, W, 3).

    Every picture gets a cell as large as the largest; a smaller one stands in the middle of it.

    Args:
        rows: pictures per row; rows may be of different length, and one has a picture at least.
        gap: pixels between cells.
        paper: colour of everything else. Letters are black or white, whichever can be read on it.

    Raises:
        ImageFileError: the sheet has more pixels than an image may have.
        ValueError: a label is longer than what is drawn.
    """
    import torch

    labels = labels or Labels()
    count = max(map(len, rows))
    layout = _layout(rows, count, labels)
    width = layout.left + count * (layout.pitch + gap) - gap
    layout.title = _title_height(labels.title, layout, width)
    layout.top += layout.title
    height = layout.top + sum(layout.captions) + sum(layout.heights) + gap * (len(rows) - 1)
    check_pixels(width, height, f"a grid of {count} x {len(rows)} images would have")
    made = torch.tensor(paper).repeat(height, width, 1)
    shade = sum(share * part for share, part in zip(LUMINANCE, paper, strict=True))
    ink = torch.full((3,), 0.0 if shade > 0.5 else 1.0)

    def write(text: str, top: int, left: int, room: tuple[int, int], align: Align, foot: bool, size: int) -> None:
        """Into a field of some height and width; at its foot, or in the middle of its height."""
        if not text.strip():
            return
        cover = lettering(text, size, room[1], min(room[0], MOST_LINES * line_height(size)), align)
        y = top + (room[0] - cover.shape[0] if foot else (room[0] - cover.shape[0]) // 2)
        spare = room[1] - cover.shape[1]
        x = left + {"left": 0, "centre": spare // 2, "right": spare}[align]
        part = made[max(0, y) : y + cover.shape[0], x : x + cover.shape[1]]
        cover = cover[-part.shape[0] :, :, None]
        part.copy_(part * (1 - cover) + ink * cover)

    pad, size = layout.pad, layout.size
    if layout.title:
        write(labels.title, 0, 0, (layout.title - pad, width), "centre", False, _title_size(size))
    for column, text in enumerate(labels.columns):
        x = layout.left + column * (layout.pitch + gap)
        write(text, layout.title, x, (layout.top - layout.title - pad, layout.pitch), "centre", True, size)
    y, number = layout.top, 0
    for place, row in enumerate(rows):
        y += layout.captions[place]
        if labels.rows:
            write(labels.rows[place], y, 0, (layout.heights[place], layout.left - pad), "right", False, size)
        for column, picture in enumerate(row):
            x = layout.left + column * (layout.pitch + gap)
            if labels.cells:
                above = layout.captions[place]
                write(labels.cells[number], y - above, x, (above - pad, layout.pitch), "centre", True, size)
            number += 1
            top = y + (layout.heights[place] - picture.shape[0]) // 2
            left = x + (layout.pitch - picture.shape[1]) // 2
            made[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        y += layout.heights[place] + gap
    return made


def _layout(rows: Sequence[Sequence[Tensor]], count: int, labels: Labels) -> _Layout:
    pictures = [picture for row in rows for picture in row]
    cell = max(picture.shape[0] for picture in pictures), max(picture.shape[1] for picture in pictures)
    size = labels.size or min(40, max(11, min(pictures[0].shape[:2]) // 10))
    layout = _Layout(cell, cell[1], size, max(2, size // 3))
    upright = [*labels.columns, *labels.cells]
    layout.pitch = max(cell[1], min(_longest_word(upright, size), _WIDEST * size))
    if labels.columns:
        layout.top = _height(labels.columns, size, layout.pitch) + layout.pad
    layout.heights = [cell[0]] * len(rows)
    if any(text.strip() for text in labels.rows):
        across = max(text_width(text, size) for text in labels.rows)
        across = min(across, _WIDEST * size)
        layout.left = across + 2 * layout.pad
        layout.heights = [max(cell[0], _height([text], size, across + layout.pad)) for text in labels.rows]
    layout.captions = [0] * len(rows)
    if labels.cells:
        at = 0
        for place, row in enumerate(rows):
            texts = labels.cells[at : at + len(row)]
            at += len(row)
            layout.captions[place] = _height(texts, size, layout.pitch) + layout.pad
    return layout


def _height(texts: Sequence[str], size: int, width: int) -> int:
    """What the tallest of these takes."""
    return line_height(size) * max((len(broken(text, size, width, MOST_LINES)) for text in texts), default=0)


def _longest_word(texts: Sequence[str], size: int) -> int:
    words = {word for text in texts for word in text.split()}
    return max((text_width(word, size) for word in words), default=0)


def _title_size(size: int) -> int:
    return math.ceil(size * 1.4)


def _title_height(title: str, layout: _Layout, width: int) -> int:
    if not title.strip():
        return 0
    return _height([title], _title_size(layout.size), width) + 2 * layout.pad
