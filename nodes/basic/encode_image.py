"""From images to latents."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Literal

from weft.engine import Context, Range, Widget, node
from weft.nodes.checks import latents_of, size_of
from weft.nodes.values import Image, Latents, Mask, Model

Tiles = Literal["auto", "always", "never"]
"""Whether the VAE works in tiles; auto does for images above 1024 x 1024 pixels."""
TILED: Mapping[Tiles, bool | None] = MappingProxyType({"auto": None, "always": True, "never": False})


@node("encode_image", category="latents", resource="device", tags=(size_of("image"), latents_of("model")))
def encode_image(
    model: Model,
    image: Image,
    sample: bool = False,
    seed: Annotated[int, Range(0, 2**63 - 1), Widget("seed")] = 0,
    tiles: Tiles = "auto",
    ctx: Context | None = None,
) -> Latents:
    """Turn images into latents with the model's VAE: the start of image to image and of inpainting.

    Args:
        model: whose VAE.
        image: its sides have to be multiples of 8 pixels.
        sample: draw from the VAE's distribution, as diffusers' pipelines do, instead of taking its mean.
        seed: for `sample`; image k of a batch is drawn with seed + k.
        tiles: auto encodes images above 1024 x 1024 pixels in overlapping tiles, which bounds the memory; their latents
            can differ slightly from those of the whole.
    """
    from weft.nodes.sampling.begin import encoded

    return encoded(model, image.pixels, seed if sample else None, ctx or Context(), TILED[tiles])


@node("encode_masked_image", category="latents", resource="device", tags=(size_of("image"), latents_of("model")))
def encode_masked_image(
    model: Model,
    image: Image,
    mask: Mask,
    sample: bool = False,
    seed: Annotated[int, Range(0, 2**63 - 1), Widget("seed")] = 0,
    tiles: Tiles = "auto",
    ctx: Context | None = None,
) -> Latents:
    """Turn images into latents with the masked part blanked to grey, for `denoise.masked` of inpainting models.

    Args:
        model: whose VAE.
        image: its sides have to be multiples of 8 pixels.
        mask: of the image's size; what is at least 0.5 is blanked.
        sample: draw from the VAE's distribution instead of taking its mean.
        seed: for `sample`; image k of a batch is drawn with seed + k.
        tiles: auto encodes images above 1024 x 1024 pixels in overlapping tiles, which bounds the memory; their latents
            can differ slightly from those of the whole.
    """
    from weft.nodes.sampling.begin import encoded

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
    return encoded(model, blanked, seed if sample else None, ctx or Context(), TILED[tiles])
