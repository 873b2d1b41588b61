"""A hint of flat regions."""

from __future__ import annotations

from typing import Annotated, Literal

from weft.engine import Range, node
from weft.nodes.checks import size_of
from weft.nodes.values import Image


@node("segmentation_palette", category="hint", tags=(size_of("image"),))
def segmentation_palette(
    image: Image,
    palette: Literal["shapes", "own"] = "shapes",
    colours: Annotated[int, Range(2, 64)] = 6,
    smallest: Annotated[float, Range(0.0, 0.5)] = 0.002,
) -> Image:
    """Images as flat regions, by nearest colour. Needs no weights.

    It divides by colour and knows no things. ControlNets called seg were trained on the fixed colours of ADE20K's
    classes, so for them these regions are outlines at most; use it with a net that was trained on such regions.

    Args:
        image: one image or a batch.
        palette: shapes takes the 15 colours of the bundled model's world, objects and backgrounds; own takes each
            image's main colours, found by k-means in CIELAB.
        colours: how many, with palette own; an image with fewer keeps fewer.
        smallest: connected parts below this share of the image take the colour of the nearest larger one.
    """
    from weft.nodes.hints import arrays, flat
    from weft.nodes.shapes import world

    def change(picture: arrays.Floats) -> arrays.Floats:
        chosen = world.palette() if palette == "shapes" else flat.own_palette(picture, colours)
        return flat.flatten(picture, chosen, smallest)

    return arrays.each(image, change)
