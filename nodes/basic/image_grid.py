"""Several images on one sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated

from weft.engine import NodeView, Problem, Range, Widget, node
from weft.nodes.images.colour import colour_problems, parse_colour
from weft.nodes.values import Image


def _check_colour(view: NodeView) -> Iterator[Problem]:
    return colour_problems(view, "background")


@node("image_grid", category="image", check=_check_colour)
def image_grid(
    images: list[Image],
    columns: Annotated[int, Range(0, 1000)] = 0,
    gap: Annotated[int, Range(0, 1000)] = 0,
    background: Annotated[str, Widget("colour")] = "white",
) -> Image:
    """Images side by side, in rows from the top left.

    Every image of every batch gets a cell as large as the largest image; a smaller one stands in the middle of it.

    Args:
        images: images and batches, in order.
        columns: images per row; 0 makes the sheet about square.
        gap: pixels between cells.
        background: colour of gaps and empty cells: #rrggbb, or black, white or gray.
    """
    import torch

    from weft.nodes.images.headers import check_pixels

    cells = [pixels for image in images for pixels in image.pixels]
    if not cells:
        raise ValueError("a grid needs at least one image")
    columns = min(columns or math.ceil(math.sqrt(len(cells))), len(cells))
    rows = math.ceil(len(cells) / columns)
    cell_height, cell_width = max(cell.shape[0] for cell in cells), max(cell.shape[1] for cell in cells)
    width, height = columns * (cell_width + gap) - gap, rows * (cell_height + gap) - gap
    check_pixels(width, height, f"a grid of {columns} x {rows} images would have")
    sheet = torch.tensor(parse_colour(background)).repeat(height, width, 1)
    for at, cell in enumerate(cells):
        top = at // columns * (cell_height + gap) + (cell_height - cell.shape[0]) // 2
        left = at % columns * (cell_width + gap) + (cell_width - cell.shape[1]) // 2
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    return Image(sheet[None])
