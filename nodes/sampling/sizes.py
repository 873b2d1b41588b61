"""The size of what a run makes, and what to say of sizes that it cannot have. No torch: checks ask here too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weft.nodes.values import Latents, Model

MAX_PIXELS = 2**26
"""In one batch."""


def latent_shape(
    model: Model, start: Latents | None, batch: int, width: int, height: int, noise: Latents | None = None
) -> tuple[int, int, int, int]:
    """(B, C, H, W) of the latents. Raises ValueError for sizes that do not fit, before memory is taken.

    start, noise: what the run is given to begin from. Either gives the size where width and height do not, and the
    count where `batch` is 1; noise has to have an image for each of the batch.
    """
    scale, channels = model.scale_factor, model.latent_channels
    for name, size in (("width", width), ("height", height)):
        if size % scale:
            raise ValueError(
                f"{name} {size} has to be a multiple of {scale} for this model: {nearest_sizes(size, scale)}"
            )
    native = model.size // scale
    rows, columns = height // scale or native, width // scale or native
    if noise is not None:
        count, _, *sides = noise.samples.shape
        rows, columns = height // scale or sides[0], width // scale or sides[1]
        batch = count if batch == 1 else batch
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
    shape = (batch, channels, rows, columns)
    if noise is not None and (misfit := _noise_misfit(tuple(noise.samples.shape), shape, scale)) is not None:
        raise ValueError(misfit)
    pixels = batch * rows * columns * scale**2
    if pixels > MAX_PIXELS:
        raise ValueError(too_large(pixels))
    return shape


def _noise_misfit(noise: tuple[int, ...], shape: tuple[int, int, int, int], scale: int) -> str | None:
    """Why noise of a shape is none for latents of another; None where it is."""
    if noise[1] != shape[1]:
        return other_channels(noise[1], shape[1])
    if noise[2:] != shape[2:]:
        return (
            f"`noise` is for an image of {noise[3] * scale} x {noise[2] * scale} and the image is {shape[3] * scale} x "
            f"{shape[2] * scale}: give the node `noise` that width and height"
        )
    return many_noises(noise[0], shape[0]) if noise[0] != shape[0] else None


def other_channels(count: int, channels: int) -> str:
    """What to say of noise of other channels than a model's latents."""
    return f"`noise` has {count} channels and this model's latents {channels}: is it from another?"


def many_noises(count: int, batch: int) -> str:
    """What to say of noise for another number of images than a batch has."""
    return f"`noise` is for {count} image{'s'[: count != 1]} and the batch has {batch}: one is needed for each"


def too_large(pixels: int) -> str:
    """What to say of too many pixels in one batch."""
    return f"{pixels:,} pixels in one batch are too many, {MAX_PIXELS:,} is the limit: make width, height or batch less"


def nearest_sizes(size: int, scale: int) -> str:
    """The multiples of `scale` around a size, in words."""
    below = size // scale * scale
    return f"{below} or {below + scale}" if below else str(scale)
