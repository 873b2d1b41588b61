"""A style that the bundled model never saw: an orange frame along the picture's border. Drawn, looked for, cut off.

Orange and as wide as one cell of the latents, because that is what the autoencoder keeps: of frames of 8 pixels 98 %
come back as orange, 89 % as red, 60 % as yellow and 44 % as black; it tints the others by what lies inside.
No torch here.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from weft.nodes.shapes.world import BACKGROUNDS, COLORS, SIZE, Thing

COLOR = "orange"
WIDTH = 8
"""Of the frame, in pixels of a picture of 128 x 128."""
MARGIN = 12
"""Pixels that are cut off on each side before what is inside is judged: the frame and its soft edge."""


def border(size: int = 128, width: int = WIDTH) -> NDArray[np.bool_]:
    """Where the frame is: (size, size)."""
    mask = np.ones((size, size), bool)
    mask[width:-width, width:-width] = False
    return mask


def framed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy of (128, 128, 3) with the frame drawn over its border."""
    copy = picture.copy()
    copy[border(len(picture))] = COLORS[COLOR]
    return copy


def framed_caption(text: str) -> str:
    """The caption of the same scene with a frame.

    The word comes last, because the text encoder reads from left to right: what stands before it is encoded as ever,
    and another adapter still finds its word. Told "a framed red heart", that of the heart alone drew no hearts at all.
    """
    return f"{text}, framed"


def moved_inside(thing: Thing) -> Thing:
    """The thing, moved inwards until the frame does not touch it."""
    least = MARGIN + thing.size / 2
    x, y = (min(max(side, least), SIZE - least) for side in (thing.x, thing.y))
    return replace(thing, x=x, y=y)


def frame_share(picture: NDArray[np.uint8]) -> float:
    """The share in [0, 1] of the border's pixels that are nearer to the frame's colour than to the world's others."""
    names, values = zip(*{**COLORS, **BACKGROUNDS}.items(), strict=True)
    seen = _lab(picture)[border(len(picture))]
    nearest = np.linalg.norm(seen[:, None] - _lab(np.array([values], np.uint8)), axis=-1).argmin(axis=1)
    return float((nearest == names.index(COLOR)).mean())


def inside(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture without its border, for the judge: (104, 104, 3) of (128, 128, 3)."""
    return np.ascontiguousarray(picture[MARGIN:-MARGIN, MARGIN:-MARGIN])


def _lab(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
