"""An image at the size that something else has."""

from __future__ import annotations

from typing import Annotated

from weft.engine import Range, node
from weft.nodes.checks import size_of, size_unknown_if
from weft.nodes.images.scaling import Method, Mode, resize_pixels, target
from weft.nodes.values import Image, Latents


@node("resize_to", category="image", tags=(size_of("like"), size_unknown_if("mode", "fit")))
def resize_to(
    image: Image,
    like: Image | Latents,
    mode: Mode = "fill",
    method: Method = "lanczos",
    scale_factor: Annotated[int, Range(1, 64)] = 8,
) -> Image:
    """Images resized and cropped to the size of another image, or of what latents will decode to.

    Args:
        image: one image or a batch.
        like: whose size to take: an image, or latents.
        mode: fill keeps the shape and cuts off what sticks out on both sides; exact stretches; fit keeps the shape
            within the size (one side may come out smaller).
        method: lanczos is sharpest; nearest keeps flat colours and thin lines as they are.
        scale_factor: pixels for each latent pixel, 8 in all models that Weft loads.
    """
    if isinstance(like, Latents):
        height, width = (side * scale_factor for side in like.samples.shape[-2:])
    else:
        height, width = like.pixels.shape[1:3]
    pixels = image.pixels
    width, height, box = target((pixels.shape[2], pixels.shape[1]), width, height, mode)
    return Image(resize_pixels(pixels, width, height, method, box))
