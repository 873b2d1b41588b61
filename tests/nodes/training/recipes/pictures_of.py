"""Data sets of small coloured pictures, made here: 64 x 64 pixels, as large as the tiny models train at."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as PilImage

from weft.nodes.training.pictures import digest_of
from weft.nodes.values.training import Dataset, Item, Picture

SIDE = 64


def picture(number: int, side: int = SIDE) -> Picture:
    """A picture of coloured squares."""
    rng = np.random.default_rng(number)
    small = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    PilImage.fromarray(small.repeat(side // 8, 0).repeat(side // 8, 1)).save(buffer, "PNG")
    data = buffer.getvalue()
    return Picture(f"{number}.png", digest_of(data), data=data)


def dataset(count: int = 3, classes: int = 0, pairs: bool = False, caption: str = "a photo of a red cat") -> Dataset:
    """Some pictures with one caption, and class images with another; in pairs, each has one before an edit."""
    instances = [
        Item(picture(number), caption, condition=picture(100 + number) if pairs else None) for number in range(count)
    ]
    others = [Item(picture(50 + number), "a photo of a cat", role="class") for number in range(classes)]
    return Dataset((*instances, *others))


def pixels(item: Picture) -> np.ndarray:
    """(H, W, 3) uint8."""
    return np.asarray(PilImage.open(io.BytesIO(item.data)))
