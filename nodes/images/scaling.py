"""Resizing of float planes, as Pillow does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from weft.nodes.images.headers import check_pixels

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Mode = Literal["exact", "fit", "fill"]
Method = Literal["lanczos", "bicubic", "bilinear", "nearest"]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in source pixels, right and bottom excluded."""

MAX_SIDE = 16384


def target(source: tuple[int, int], width: int, height: int, mode: Mode) -> tuple[int, int, Box]:
    """Width, height and the part of the source that a resize takes.

    source: (width, height). A side of 0 follows from the other one by the source's shape. `exact` stretches the whole
    source to the size; `fit` keeps its shape within the size, so that one side may come out smaller; `fill` keeps its
    shape, covers the size and cuts off what sticks out, the middle stays. Raises ValueError when both sides are 0, and
    ImageFileError above the pixel limit.
    """
    w, h = source
    if width == 0 and height == 0:
        raise ValueError("give a width, a height or both: 0 follows from the other side")
    whole = (0.0, 0.0, float(w), float(h))
    if width == 0 or height == 0:
        scale = width / w if width else height / h
        width, height = width or max(1, round(w * scale)), height or max(1, round(h * scale))
    elif mode == "fit":
        scale = min(width / w, height / h)
        width, height = max(1, min(width, round(w * scale))), max(1, min(height, round(h * scale)))
    elif mode == "fill":
        scale = max(width / w, height / h)
        cut_w, cut_h = max(0.0, w - width / scale) / 2, max(0.0, h - height / scale) / 2
        whole = (cut_w, cut_h, w - cut_w, h - cut_h)
    check_pixels(width, height, "the resized image would have")
    return width, height, whole


def resize_planes(planes: np.ndarray, width: int, height: int, method: Method, box: Box | None = None) -> np.ndarray:
    """Resize each of (N,H,W) float32 planes to (N,height,width), on the values as they are, in full float precision.

    Downscaling averages (the filter widens), as Pillow does; results may overshoot with lanczos and bicubic.
    """
    import numpy as np
    import PIL.Image

    kernel = PIL.Image.Resampling[method.upper()]
    resized = np.empty((len(planes), height, width), np.float32)
    for at, plane in enumerate(planes):
        image = PIL.Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
        resized[at] = np.asarray(image.resize((width, height), kernel, box=box))
    return resized


def resize_pixels(pixels: Tensor, width: int, height: int, method: Method, box: Box | None = None) -> Tensor:
    """Resize pixels (B,H,W,3) or (B,H,W); the result is clamped to [0,1]."""
    import torch

    if (pixels.shape[2], pixels.shape[1]) == (width, height) and box in (None, (0.0, 0.0, float(width), float(height))):
        return pixels
    coloured = pixels.ndim == 4
    planes = pixels.permute(0, 3, 1, 2).flatten(0, 1) if coloured else pixels
    resized = torch.from_numpy(resize_planes(planes.numpy(), width, height, method, box)).clamp_(0, 1)
    return resized.unflatten(0, (len(pixels), 3)).permute(0, 2, 3, 1).contiguous() if coloured else resized
