"""Between images as values and the arrays that OpenCV works on."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from weft.nodes.values.pictures import Image

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def to_bytes(picture: Floats) -> Bytes:
    """[0, 1] as 0..255, rounded."""
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def each(image: Image, change: Callable[[Floats], Floats]) -> Image:
    """Every image of a batch, (H, W, 3), through `change`, which gives (H, W) for grey or (H, W, 3), in [0, 1]."""
    made = [change(np.ascontiguousarray(picture)) for picture in image.pixels.numpy()]
    coloured = [np.repeat(one[..., None], 3, axis=2) if one.ndim == 2 else one for one in made]
    return Image(torch.from_numpy(np.stack(coloured).astype(np.float32, copy=False)))


def to_lab(picture: Floats) -> Floats:
    """sRGB in [0, 1], (H, W, 3), as CIELAB: distances there are about those that are seen."""
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(picture, np.float32), cv2.COLOR_RGB2LAB), np.float32)
