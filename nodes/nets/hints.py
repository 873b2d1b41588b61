"""Hints laid out for a run: pictures of the image's size, one for all images or one for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from weft.nodes.sampling.run import Run


def hint_tensor(pixels: Tensor, run: Run, name: str) -> Tensor:
    """The hint as the networks read it, (1 or B, 3, H*scale, W*scale) in [0, 1], on the run's device.

    pixels: (n, h, w, 3). name: of the technique, for messages.
    Raises ValueError for another size than the image's, or a number that does not fit the batch.
    """
    height, width = (side * run.scale_factor for side in run.shape[-2:])
    if tuple(pixels.shape[1:3]) != (height, width):
        raise ValueError(
            f"the hint of {name} is {pixels.shape[2]} x {pixels.shape[1]} and the image {width} x {height}: make them "
            "equal, for instance with resize_to, or with width and height of denoise"
        )
    return per_image(pixels.permute(0, 3, 1, 2).to(run.device, run.dtype), run, f"hints of {name}")


def per_image(rows: Tensor, run: Run, what: str) -> Tensor:
    """One row, or one for each image of the batch. Raises ValueError where the number of rows does not divide it."""
    if run.batch % rows.shape[0]:
        raise ValueError(f"{rows.shape[0]} {what} do not fit a batch of {run.batch}")
    if rows.shape[0] == 1:
        return rows
    return torch.cat([rows] * (run.batch // rows.shape[0]))
