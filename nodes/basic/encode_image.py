"""From images to latents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from weft.engine import Context, Range, Widget, node
from weft.nodes.checks import size_of
from weft.nodes.values import Image, Latents, Mask, Model

if TYPE_CHECKING:
    from torch import Tensor


@node("encode_image", category="latents", resource="device", tags=(size_of("image"),))
def encode_image(
    model: Model,
    image: Image,
    sample: bool = False,
    seed: Annotated[int, Range(0, 2**63 - 1), Widget("seed")] = 0,
    ctx: Context | None = None,
) -> Latents:
    """Turn images into latents with the model's VAE: the start of image to image and of inpainting.

    Args:
        model: whose VAE.
        image: its sides have to be multiples of 8 pixels.
        sample: draw from the VAE's distribution, as diffusers' pipelines do, instead of taking its mean.
        seed: for `sample`; image k of a batch is drawn with seed + k.
    """
    return _encode(model, image.pixels, seed if sample else None, ctx or Context())


@node("encode_masked_image", category="latents", resource="device", tags=(size_of("image"),))
def encode_masked_image(
    model: Model,
    image: Image,
    mask: Mask,
    sample: bool = False,
    seed: Annotated[int, Range(0, 2**63 - 1), Widget("seed")] = 0,
    ctx: Context | None = None,
) -> Latents:
    """Turn images into latents with the masked part blanked to grey, for `denoise.masked` of inpainting models.

    Args:
        model: whose VAE.
        image: its sides have to be multiples of 8 pixels.
        mask: of the image's size; what is at least 0.5 is blanked.
        sample: draw from the VAE's distribution instead of taking its mean.
        seed: for `sample`; image k of a batch is drawn with seed + k.
    """
    pixels = image.pixels
    if mask.pixels.shape[-2:] != pixels.shape[1:3]:
        raise ValueError(
            f"the mask is {mask.pixels.shape[2]} x {mask.pixels.shape[1]} and the image "
            f"{pixels.shape[2]} x {pixels.shape[1]}: make them equal, for instance with resize_mask"
        )
    if mask.pixels.shape[0] not in (1, pixels.shape[0]):
        raise ValueError(f"{mask.pixels.shape[0]} masks do not fit {pixels.shape[0]} images")
    # Grey is 0 in the VAE's signal, which runs from -1 to 1.
    kept = (mask.pixels < 0.5)[..., None].to(pixels.dtype)
    blanked = ((pixels * 2 - 1) * kept + 1) / 2
    return _encode(model, blanked, seed if sample else None, ctx or Context())


def clean_latents(model: Model, image: Image | None, latents: Latents | None, ctx: Context) -> Tensor:
    """Denoiser latents (B, C, H, W) for nodes that take an image or latents. Raises ValueError for both or neither."""
    if (image is None) == (latents is None):
        raise ValueError("either `image` or `latents` is needed" + (", not both" if image is not None else ""))
    if image is not None:
        return _encode(model, image.pixels, None, ctx).samples
    assert latents is not None
    if latents.samples.shape[1] != model.latent_channels:
        raise ValueError(
            f"the latents have {latents.samples.shape[1]} channels and this model's {model.latent_channels}: are they "
            "from another?"
        )
    return latents.samples


def _encode(model: Model, pixels: Tensor, seed: int | None, ctx: Context) -> Latents:
    import torch

    from weft.nodes.sampling.noise import generators
    from weft.nodes.sampling.vae import encode_pixels

    scale = model.scale_factor
    height, width = pixels.shape[1:3]
    if height % scale or width % scale:
        near = f"{max(1, round(width / scale)) * scale} x {max(1, round(height / scale)) * scale}"
        raise ValueError(
            f"the image is {width} x {height}; its sides have to be multiples of {scale}: resize it to {near}"
        )
    sources = generators(seed, pixels.shape[0]) if seed is not None else None
    with model.parts() as parts, torch.no_grad():
        return Latents(encode_pixels(parts.vae, pixels, sources=sources, check=ctx.check_cancelled))
