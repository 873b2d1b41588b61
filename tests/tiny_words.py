"""A tiny data set of pictures as bytes, for trainings of words."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from weft.nodes.training.pictures import digest_of
from weft.nodes.values.training import Dataset, Item, Picture, Role


def tiny_picture(seed: int, side: int = 32) -> Picture:
    """Noise as a PNG."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "png")
    return Picture(f"picture-{seed}.png", digest_of(data.getvalue()), data=data.getvalue())


def tiny_items(
    captions: Sequence[str], role: Role = "instance", concept: int = 0, first: int = 0, side: int = 32
) -> list[Item]:
    """An item for each caption."""
    return [
        Item(tiny_picture(first + number), caption, role=role, concept=concept, size=(side, side))
        for number, caption in enumerate(captions)
    ]


def tiny_words_data(captions: Sequence[str] = ("a photo of <new>", "<new> on white", "the red <new>")) -> Dataset:
    """Instances with these captions."""
    return Dataset(tuple(tiny_items(captions)))
