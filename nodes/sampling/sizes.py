"""The size of what a run makes, and what to say of sizes that it cannot have. No torch: checks ask here too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weft.nodes.values import Latents, Model

MAX_PIXELS = 2**26
"""In one batch."""


def latent_shape(model: Model, start: Latents | None, batch: int, width: int, height: int) -> tuple[int, int, int, int]:
    """(B, C, H, W) of the latents. Raises ValueError for sizes that do not fit, before memory is taken."""
    scale, channels = model.scale_factor, model.latent_channels
    for name, size in (("width", width), ("height", height)):
        if size % scale:
            raise ValueError(
                f"{name} {size} has to be a multiple of {scale} for this model: {nearest_sizes(size, scale)}"
            )
    native = model.size // scale
    rows, columns = height // scale or native, width // scale or native
    if start is not None:
        count, depth, rows, columns = start.samples.shape
        if depth != channels:
            raise ValueError(f"`start` has {depth} channels and this model's latents {channels}: is it from another?")
        if (width and width != columns * scale) or (height and height != rows * scale):
            raise ValueError(
                f"`start` is of an image of {columns * scale} x {rows * scale}, but {width or 'any'} x "
                f"{height or 'any'} is asked for: leave width and height at 0, or resize the image"
            )
        if batch == 1:
            batch = count
        if batch % count:
            raise ValueError(f"a batch of {batch} cannot be made from {count} start images: use a multiple of {count}")
    pixels = batch * rows * columns * scale**2
    if pixels > MAX_PIXELS:
        raise ValueError(too_large(pixels))
    return batch, channels, rows, columns


def too_large(pixels: int) -> str:
    """What to say of too many pixels in one batch."""
    return f"{pixels:,} pixels in one batch are too many, {MAX_PIXELS:,} is the limit: make width, height or batch less"


def nearest_sizes(size: int, scale: int) -> str:
    """The multiples of `scale` around a size, in words."""
    below = size // scale * scale
    return f"{below} or {below + scale}" if below else str(scale)
