"""From latents to images."""

from __future__ import annotations

from weft.engine import Context, node
from weft.nodes.basic.encode_image import TILED, Tiles
from weft.nodes.checks import size_of
from weft.nodes.values import Image, Latents, Model


@node("decode", category="latents", resource="device", tags=(size_of("latents"),))
def decode(
    model: Model,
    latents: Latents,
    tiles: Tiles = "auto",
    circular: bool = False,
    ctx: Context | None = None,
) -> Image:
    """Turn latents into images with the model's VAE.

    Args:
        model: whose VAE; of the same family as the model that made the latents.
        latents: from `denoise`.
        tiles: auto decodes images above 1024 x 1024 pixels in overlapping tiles, which bounds the memory. Tiles see
            less of their surroundings, so colours can differ slightly from those of the whole.
        circular: the right edge goes on at the left one, so that no seam shows there (see `multidiffusion`).
    """
    import torch

    from weft.nodes.sampling.vae import decode_latents

    ctx = ctx or Context()
    samples = latents.samples
    if samples.shape[1] != model.latent_channels:
        raise ValueError(
            f"the latents have {samples.shape[1]} channels and this model's VAE takes {model.latent_channels}"
        )
    if not bool(torch.isfinite(samples).all()):
        raise ArithmeticError("the latents hold NaN or infinity: nothing can be decoded from them")
    with model.parts() as parts, torch.no_grad():
        return Image(
            decode_latents(parts.vae, samples, tiled=TILED[tiles], circular=circular, check=ctx.check_cancelled)
        )
