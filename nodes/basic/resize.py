"""Changing the size of images and masks: resize, crop, pad."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from weft.engine import NodeView, Problem, Range, Widget, node
from weft.nodes.checks import size_given, size_unknown_if
from weft.nodes.images.colour import colour_problems, parse_colour
from weft.nodes.images.scaling import MAX_SIDE, Method, Mode, resize_pixels, target
from weft.nodes.values import Image, Mask


def _check_size(view: NodeView) -> Iterator[Problem]:
    if view.literals.get("width") == 0 == view.literals.get("height"):
        message = "give a width, a height or both: 0 follows from the other side"
        yield Problem(code="bad_value", node=view.id, input="width", message=message, given=0)


@node("resize", category="image", tags=(size_given(), size_unknown_if("mode", "fit")), check=_check_size)
def resize(
    image: Image,
    width: Annotated[int, Range(0, MAX_SIDE)] = 0,
    height: Annotated[int, Range(0, MAX_SIDE)] = 0,
    mode: Mode = "exact",
    method: Method = "lanczos",
) -> Image:
    """Images at another size.

    Works on the pixel values as they are, as Pillow does: brightness is averaged without undoing the gamma, so fine
    light and dark patterns come out a little darker than a lens would show them.

    Args:
        image: one image or a batch.
        width: in pixels; 0 follows from the height by the image's shape.
        height: in pixels; 0 follows from the width.
        mode: exact stretches to the size; fit keeps the shape within the size (one side may come out smaller); fill
            keeps the shape, covers the size and cuts off what sticks out on both sides.
        method: lanczos is sharpest, then bicubic and bilinear; nearest repeats pixels. All but nearest average when
            shrinking.
    """
    pixels = image.pixels
    width, height, box = target((pixels.shape[2], pixels.shape[1]), width, height, mode)
    return Image(resize_pixels(pixels, width, height, method, box))


@node("resize_mask", category="mask", tags=(size_given(), size_unknown_if("mode", "fit")), check=_check_size)
def resize_mask(
    mask: Mask,
    width: Annotated[int, Range(0, MAX_SIDE)] = 0,
    height: Annotated[int, Range(0, MAX_SIDE)] = 0,
    mode: Mode = "exact",
    method: Method = "bilinear",
) -> Mask:
    """Masks at another size.

    Args:
        mask: one mask or a batch.
        width: in pixels; 0 follows from the height by the mask's shape.
        height: in pixels; 0 follows from the width.
        mode: exact, fit or fill, as for resize.
        method: nearest keeps edges hard; the others soften them.
    """
    pixels = mask.pixels
    width, height, box = target((pixels.shape[2], pixels.shape[1]), width, height, mode)
    return Mask(resize_pixels(pixels, width, height, method, box))


@node("crop", category="image")
def crop(
    image: Image,
    left: Annotated[int, Range(0)] = 0,
    top: Annotated[int, Range(0)] = 0,
    width: Annotated[int, Range(0, MAX_SIDE)] = 0,
    height: Annotated[int, Range(0, MAX_SIDE)] = 0,
) -> Image:
    """Cut a rectangle out of images. It has to lie within them.

    Args:
        image: one image or a batch.
        left: pixels cut off at the left.
        top: pixels cut off at the top.
        width: of what is kept; 0 reaches to the right edge.
        height: of what is kept; 0 reaches to the lower edge.
    """
    _, image_height, image_width, _ = image.pixels.shape
    width, height = width or image_width - left, height or image_height - top
    if left + width > image_width or top + height > image_height or width < 1 or height < 1:
        raise ValueError(
            f"a crop of {width} x {height} pixels at ({left}, {top}) does not lie within an image of "
            f"{image_width} x {image_height}"
        )
    return Image(image.pixels[:, top : top + height, left : left + width].clone())


def _check_pad(view: NodeView) -> Iterator[Problem]:
    return colour_problems(view, "colour")


@node("pad", category="image", check=_check_pad)
def pad(
    image: Image,
    left: Annotated[int, Range(0, MAX_SIDE)] = 0,
    top: Annotated[int, Range(0, MAX_SIDE)] = 0,
    right: Annotated[int, Range(0, MAX_SIDE)] = 0,
    bottom: Annotated[int, Range(0, MAX_SIDE)] = 0,
    mode: Literal["colour", "edge", "mirror"] = "colour",
    colour: Annotated[str, Widget("colour")] = "white",
) -> Image:
    """Add a margin to images, such as room for outpainting.

    Args:
        image: one image or a batch.
        left: pixels added at the left.
        top: pixels added at the top.
        right: pixels added at the right.
        bottom: pixels added below.
        mode: a colour, the edge pixels repeated, or the image mirrored (again and again if need be).
        colour: of the margin, in mode colour: #rrggbb, or black, white or gray.
    """
    import numpy as np
    import torch

    from weft.nodes.images.headers import check_pixels

    batch, height, width, _ = image.pixels.shape
    check_pixels(width + left + right, height + top + bottom, "the padded image would have")
    if mode == "colour":
        shape = (batch, height + top + bottom, width + left + right, 1)
        padded = torch.tensor(parse_colour(colour)).repeat(shape)
        padded[:, top : top + height, left : left + width] = image.pixels
        return Image(padded)
    margins = ((0, 0), (top, bottom), (left, right), (0, 0))
    pixels = image.pixels.numpy()
    return Image(
        torch.from_numpy(np.pad(pixels, margins, "edge") if mode == "edge" else np.pad(pixels, margins, "symmetric"))
    )
