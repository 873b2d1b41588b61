"""Pixels as people see them: 8 bits per sample, Pillow images, and a sheet of a whole batch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image
    from torch import Tensor

SHEET_SIDE = 2048
"""Longest side, in pixels, of what a notebook is shown; what is larger is shown smaller."""

_GAP = 4


def eight_bit(pixels: Tensor, first: int = 0) -> np.ndarray:
    """Pixels (B, ...) float in [0, 1] as uint8 of the same shape, limited to the range and rounded.

    first: the number of the first one, for the message.

    Raises:
        ValueError: some are NaN or infinite, and would be black; the message says in which images of the batch.
    """
    import torch

    if not torch.isfinite(pixels).all():
        bad = (~torch.isfinite(pixels)).flatten(1).any(dim=1).nonzero().flatten().add(first).tolist()
        raise ValueError(f"the pixels of image {', '.join(map(str, bad))} of the batch hold NaN or infinity: not saved")
    return pixels.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()


def pil_image(pixels: Tensor, index: int | None = None) -> PIL.Image.Image:
    """One image of (B, H, W, 3), or one mask of (B, H, W), as an 8-bit Pillow image; without an index the only one.

    A negative index counts from the end.

    Raises:
        ValueError: the batch has several and none was chosen, it is empty, or as in `eight_bit`.
        IndexError: the batch has no such image.
    """
    import PIL.Image

    count = len(pixels)
    if index is None:
        if count != 1:
            several = f"give an index from 0 to {count - 1}"
            raise ValueError(f"this batch holds {count} images: {several if count else 'there is none to take'}")
        index = 0
    if not -count <= index < count:
        raise IndexError(f"the batch holds {count} images, numbered from 0: there is no image {index}")
    index %= count
    return PIL.Image.fromarray(eight_bit(pixels[index : index + 1], index)[0])


def sheet_png(pixels: Tensor) -> bytes | None:
    """A batch as one PNG for a notebook: a single image as it is, several in a grid, at most SHEET_SIDE on a side.

    None for what cannot be shown: an empty batch, or pixels that are no numbers.
    """
    from io import BytesIO

    import PIL.Image

    count = len(pixels)
    if not count or not pixels.numel():
        return None
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    gap = _GAP if count <= 256 else 1
    room = max(1, (SHEET_SIDE - gap * (columns - 1)) // columns)
    height, width = int(pixels.shape[1]), int(pixels.shape[2])
    scale = min(1.0, room / max(height, width))
    cell = max(1, int(width * scale)), max(1, int(height * scale))
    try:
        sheet = PIL.Image.new("RGB", (columns * (cell[0] + gap) - gap, rows * (cell[1] + gap) - gap), "white")
        for at in range(count):
            picture = pil_image(pixels, at).convert("RGB")
            if scale < 1:
                picture = picture.resize(cell, PIL.Image.Resampling.BOX)
            sheet.paste(picture, (at % columns * (cell[0] + gap), at // columns * (cell[1] + gap)))
    except ValueError:
        return None
    buffer = BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
