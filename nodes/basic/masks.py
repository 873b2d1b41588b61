"""Masks: made from shapes and images, combined, changed, and used. 1 means change here, 0 means keep.

load_mask (from a file) stands beside load_image, resize_mask beside resize.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from weft.engine import Range, node
from weft.nodes.checks import size_given, size_of
from weft.nodes.images.scaling import MAX_SIDE
from weft.nodes.values import Image, Mask

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Side = Annotated[int, Range(1, MAX_SIDE)]
Start = Annotated[int, Range(-MAX_SIDE, MAX_SIDE)]
End = Annotated[int, Range(0, 2 * MAX_SIDE)]


@node("rectangle_mask", category="mask", tags=(size_given(),))
def rectangle_mask(
    width: Side, height: Side, left: Start = 0, top: Start = 0, right: End = 0, bottom: End = 0, invert: bool = False
) -> Mask:
    """A mask that is 1 within a rectangle. Parts of it beyond the mask's edge are cut off.

    Args:
        width: of the mask in pixels; that of the image it is for.
        height: of the mask in pixels.
        left: first column of the rectangle.
        top: first row of the rectangle.
        right: first column after it; 0 is the mask's right edge.
        bottom: first row after it; 0 is the mask's lower edge.
        invert: 1 outside instead.
    """
    import torch

    left, top, right, bottom = _box(width, height, left, top, right, bottom)
    pixels = torch.zeros(1, height, width)
    pixels[:, max(0, top) : max(0, bottom), max(0, left) : max(0, right)] = 1
    return Mask(1 - pixels if invert else pixels)


@node("ellipse_mask", category="mask", tags=(size_given(),))
def ellipse_mask(
    width: Side, height: Side, left: Start = 0, top: Start = 0, right: End = 0, bottom: End = 0, invert: bool = False
) -> Mask:
    """A mask that is 1 within the ellipse that fills a rectangle; pixels on its rim hold their covered share.

    Args:
        width: of the mask in pixels; that of the image it is for.
        height: of the mask in pixels.
        left: first column of the rectangle around the ellipse.
        top: first row of it.
        right: first column after it; 0 is the mask's right edge.
        bottom: first row after it; 0 is the mask's lower edge.
        invert: 1 outside instead.
    """
    import torch

    left, top, right, bottom = _box(width, height, left, top, right, bottom)
    across, down = (right - left) / 2, (bottom - top) / 2
    pixels = torch.zeros(height, width)
    samples = 4  # per pixel and direction: 17 levels on the rim
    for row in range(samples):
        y = (torch.arange(height) + (row + 0.5) / samples - top - down) / down
        for column in range(samples):
            x = (torch.arange(width) + (column + 0.5) / samples - left - across) / across
            pixels += (x.square()[None] + y.square()[:, None] <= 1).float()
    pixels = pixels[None] / samples**2
    return Mask(1 - pixels if invert else pixels)


@node("image_to_mask", category="mask", tags=(size_of("image"),))
def image_to_mask(image: Image, channel: Literal["luminance", "red", "green", "blue"] = "luminance") -> Mask:
    """A mask from an image's brightness or one of its colours.

    Args:
        image: one image or a batch.
        channel: luminance (0.299 red + 0.587 green + 0.114 blue) or one colour.
    """
    import torch

    from weft.nodes.images.colour import LUMINANCE

    if channel == "luminance":
        return Mask((image.pixels @ torch.tensor(LUMINANCE)).clamp(0, 1))
    return Mask(image.pixels[..., ("red", "green", "blue").index(channel)].clone())


@node("mask_to_image", category="mask", tags=(size_of("mask"),))
def mask_to_image(mask: Mask) -> Image:
    """A mask as a grey image: white where it is 1.

    Args:
        mask: one mask or a batch.
    """
    return Image(mask.pixels[..., None].repeat(1, 1, 1, 3))


@node("invert_mask", category="mask", tags=(size_of("mask"),))
def invert_mask(mask: Mask) -> Mask:
    """1 where the mask was 0, and the other way round.

    Args:
        mask: one mask or a batch.
    """
    return Mask(1 - mask.pixels)


@node("threshold_mask", category="mask", tags=(size_of("mask"),))
def threshold_mask(mask: Mask, threshold: Annotated[float, Range(0.0, 1.0)] = 0.5) -> Mask:
    """A mask of 0 and 1 alone.

    Args:
        mask: one mask or a batch.
        threshold: pixels of this value and above become 1, the others 0.
    """
    return Mask((mask.pixels >= threshold).float())


@node("combine_masks", category="mask", tags=(size_of("masks"),))
def combine_masks(
    masks: list[Mask], mode: Literal["union", "intersection", "difference", "product", "exclusive"] = "union"
) -> Mask:
    """Several masks as one.

    Args:
        masks: masks of one size; a single one goes with a batch of any length.
        mode: union (the greatest at each pixel), intersection (the least), difference (the first without the others),
            product, or exclusive (where just one of two is, applied from left to right).
    """
    import torch

    if not masks:
        raise ValueError("there is no mask to combine")
    first, *others = [mask.pixels for mask in masks]
    for other in others:
        first, other = _same_size(first, other, "the masks")
        if mode == "union":
            first = torch.maximum(first, other)
        elif mode == "intersection":
            first = torch.minimum(first, other)
        elif mode == "difference":
            first = torch.minimum(first, 1 - other)
        elif mode == "product":
            first = first * other
        else:
            first = (first - other).abs()
    return Mask(first.contiguous())


@node("grow_mask", category="mask", tags=(size_of("mask"),))
def grow_mask(mask: Mask, pixels: Annotated[int, Range(-256, 256)] = 8) -> Mask:
    """A mask with its edges moved outwards, or inwards, evenly in all directions.

    Args:
        mask: one mask or a batch.
        pixels: how far: above 0 grows, below 0 shrinks. The image's border is no edge: nothing shrinks away from it.
    """
    if pixels == 0:
        return mask
    if pixels < 0:  # shrinking what is 1 is growing what is 0
        return Mask(1 - _each(1 - mask.pixels, lambda plane: _dilated(plane, -pixels)))
    return Mask(_each(mask.pixels, lambda plane: _dilated(plane, pixels)))


def _radius_is_sigma(inputs: dict[str, Any]) -> dict[str, Any]:
    """Version 1 called the standard deviation a radius, which people took for how far the edge reaches."""
    return {"sigma" if name == "radius" else name: item for name, item in inputs.items()}


@node("feather_mask", version=2, category="mask", migrations={1: _radius_is_sigma}, tags=(size_of("mask"),))
def feather_mask(mask: Mask, sigma: Annotated[float, Range(0.0, 256.0)] = 4.0) -> Mask:
    """A mask with soft edges: blurred by a Gaussian.

    Args:
        mask: one mask or a batch.
        sigma: the Gaussian's standard deviation in pixels; the edge gets about four times as wide.
    """
    import cv2

    if sigma == 0:
        return mask
    blurred = _each(mask.pixels, lambda plane: cv2.GaussianBlur(plane, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))
    return Mask(blurred.clamp_(0, 1))


@node("composite", category="image", tags=(size_of("base"),))
def composite(base: Image, top: Image, mask: Mask) -> Image:
    """One image over another, where a mask says so.

    Args:
        base: what shows where the mask is 0.
        top: what shows where the mask is 1; same size as base.
        mask: of the same size; values between 0 and 1 mix. A batch of 1 in any of the three goes with all.
    """
    import torch

    below, above = _same_size(base.pixels, top.pixels, "the images")
    below, weight = _same_size(below, mask.pixels, "image and mask")
    above, _ = _same_size(above, weight, "image and mask")
    return Image(torch.lerp(below, above, weight[..., None]))


def _box(width: int, height: int, left: int, top: int, right: int, bottom: int) -> tuple[int, int, int, int]:
    """The shape's rectangle with its defaults filled in, once mask and rectangle are known to be sensible."""
    from weft.nodes.images.headers import check_pixels

    check_pixels(width, height, "the mask would have")
    right, bottom = right or width, bottom or height
    if right <= left or bottom <= top:
        raise ValueError(f"the rectangle from ({left}, {top}) to ({right}, {bottom}) is empty")
    return left, top, right, bottom


def _same_size(one: Tensor, other: Tensor, what: str) -> tuple[Tensor, Tensor]:
    """Both (B,H,W,...) with one batch length, or ValueError: sizes must agree, and batches unless one is 1."""
    if one.shape[1:3] != other.shape[1:3]:
        sizes = " and ".join(f"{pixels.shape[2]} x {pixels.shape[1]}" for pixels in (one, other))
        raise ValueError(f"{what} differ in size: {sizes}; resize one of them")
    batch = max(len(one), len(other))
    if len(one) not in (1, batch) or len(other) not in (1, batch):
        raise ValueError(f"{what} differ in number: {len(one)} and {len(other)}")
    return one.expand(batch, *one.shape[1:]), other.expand(batch, *other.shape[1:])


def _dilated(plane: np.ndarray, radius: int) -> np.ndarray:
    """The greatest value within a disc around each pixel.

    The disc is taken apart into its rows, each a maximum along one line: time grows with the radius, not its square.
    """
    import cv2
    import numpy as np

    height = len(plane)
    result = plane.copy()
    for down in range(min(radius, height - 1) + 1):
        reach = math.isqrt(radius**2 - down**2)
        row = cv2.dilate(plane, np.ones((1, 2 * reach + 1), np.uint8))
        np.maximum(result[down:], row[: height - down], out=result[down:])
        np.maximum(result[: height - down], row[down:], out=result[: height - down])
    return result


def _each(pixels: Tensor, change: Callable[[np.ndarray], np.ndarray]) -> Tensor:
    import numpy as np
    import torch

    return torch.from_numpy(np.stack([change(np.ascontiguousarray(plane)) for plane in pixels.numpy()]))
