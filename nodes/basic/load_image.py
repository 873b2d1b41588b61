"""Image files into the graph, as images or as masks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from weft.engine import Context, NodeView, Problem, Widget, node
from weft.nodes.checks import size_of_file
from weft.nodes.images.colour import colour_problems, parse_colour
from weft.nodes.values import Image, Mask

if TYPE_CHECKING:
    from weft.nodes.images.reading import Picture

Channel = Literal["luminance", "alpha", "red", "green", "blue"]


def _fingerprint(path: str) -> str:
    """The file's content hash: a changed file is read again, one that was only touched is not."""
    from weft.engine.filehash import content_hash

    return content_hash(path)


def _check_colour(view: NodeView) -> Iterator[Problem]:
    return colour_problems(view, "background")


def _read(path: str, ctx: Context | None) -> Picture:
    from weft.nodes.images.reading import read_picture

    return read_picture((ctx or Context()).resolve_input_path(path))


@node(
    "load_image",
    category="image",
    resource="io",
    fingerprint=_fingerprint,
    tags=(size_of_file("path"),),
    check=_check_colour,
)
def load_image(
    path: Annotated[str, Widget("file")],
    background: Annotated[str, Widget("colour")] = "white",
    ctx: Context | None = None,
) -> Image:
    """Read a PNG, JPEG or WebP file of up to 8,192 x 8,192 pixels.

    The EXIF orientation is applied, colour profiles are not. 16-bit files keep their depth; of an animation the first
    frame is read. What is transparent lets the background through; load_mask reads the transparency itself.

    Args:
        path: the file. A relative path starts at the working directory.
        background: colour behind transparent parts: #rrggbb, or black, white or gray.
    """
    import numpy as np
    import torch

    behind = np.asarray(parse_colour(background), np.float32)
    colour, alpha = _read(path, ctx)
    if alpha is not None:
        colour = behind + (colour - behind) * alpha[..., None]
    return Image(torch.from_numpy(np.ascontiguousarray(colour))[None].clamp_(0, 1))


@node("load_mask", category="mask", resource="io", fingerprint=_fingerprint, tags=(size_of_file("path"),))
def load_mask(
    path: Annotated[str, Widget("file")],
    channel: Channel = "luminance",
    invert: bool = False,
    ctx: Context | None = None,
) -> Mask:
    """Read a mask from one channel of a PNG, JPEG or WebP file: white means change here, black means keep.

    Args:
        path: the file.
        channel: luminance (0.299 red + 0.587 green + 0.114 blue), alpha (a file without transparency is 1 all over), or
            one colour.
        invert: swap white and black, such as for an image whose transparent part is to be filled.
    """
    import numpy as np
    import torch

    from weft.nodes.images.colour import LUMINANCE

    colour, alpha = _read(path, ctx)
    if channel == "alpha":
        plane = np.ones(colour.shape[:2], np.float32) if alpha is None else alpha
    elif channel == "luminance":
        plane = colour @ np.asarray(LUMINANCE, np.float32)
    else:
        plane = colour[..., ("red", "green", "blue").index(channel)]
    pixels = torch.from_numpy(np.ascontiguousarray(plane))[None].clamp(0, 1)
    return Mask(1 - pixels if invert else pixels)
