"""Latents of pure noise."""

from __future__ import annotations

from typing import Annotated

from weft.engine import Range, Widget, node
from weft.nodes.checks import SIZE_OF_RUN, latents_of
from weft.nodes.values import Latents, Model


@node("noise", category="latents", tags=(SIZE_OF_RUN, latents_of("model", "batch")))
def noise(
    model: Model,
    seed: Annotated[int, Range(0, 2**63 - 1), Widget("seed")] = 0,
    batch: Annotated[int, Range(1, 64)] = 1,
    width: Annotated[int, Range(0, 16384)] = 0,
    height: Annotated[int, Range(0, 16384)] = 0,
) -> Latents:
    """Latents of Gaussian noise with mean 0 and variance 1, for `denoise.noise`.

    Image k of a batch is drawn from a CPU generator seeded with seed + k, so it equals the first image of that seed,
    and it is what `denoise` draws with that seed itself.

    Args:
        model: whose latents: gives their channels, and the size where none is asked for.
        seed: of the first image.
        batch: number of images.
        width: of the image in pixels, a multiple of the model's scale (8); 0 is the model's own size.
        height: of the image in pixels, likewise.
    """
    import torch

    from weft.nodes.images.headers import check_pixels

    width, height = width or model.size, height or model.size
    scale = model.scale_factor
    for name, side in (("width", width), ("height", height)):
        if side % scale:
            near = max(1, round(side / scale)) * scale
            raise ValueError(f"{name} must be a multiple of {scale} for this model, not {side}; {near} is near")
    check_pixels(width, height * batch, "the noise would stand for")
    if seed + batch - 1 > 2**63 - 1:
        raise ValueError(f"seed {seed} leaves no room for {batch} seeds below 2**63")
    shape = (1, model.latent_channels, height // scale, width // scale)
    drawn = [torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed + k)) for k in range(batch)]
    return Latents(torch.cat(drawn))
