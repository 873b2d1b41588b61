"""Hints of edges, without weights: canny, soft_edge, scribble. White lines on black, of the image's size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from weft.engine import NodeView, Problem, Range, node
from weft.nodes.checks import size_of
from weft.nodes.values import Image

Threshold = Annotated[float, Range(0.0, 2040.0)]


def _check_canny(view: NodeView) -> Iterator[Problem]:
    low, high = view.literals.get("low"), view.literals.get("high")
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and low > high:
        message = f"low ({low}) is above high ({high}): low is where an edge goes on, high where one begins"
        yield Problem(code="bad_value", node=view.id, input="low", message=message, given=low, expected=f"<= {high}")


@node("canny", category="hint", tags=(size_of("image"),), check=_check_canny)
def canny(
    image: Image, low: Threshold = 100.0, high: Threshold = 200.0, blur: Annotated[float, Range(0.0, 32.0)] = 0.0
) -> Image:
    """Thin edges by Canny's method (OpenCV): the hint of ControlNets called canny.

    All three colours are looked at, so colours of one brightness have an edge too. 100 and 200 are what those
    ControlNets are usually given.

    Args:
        image: one image or a batch.
        low: an edge goes on while its gradient is above this; gradients are of 0..255 values and reach 2040.
        high: an edge begins where its gradient is above this.
        blur: standard deviation in pixels of a Gaussian that comes first, against noise; 0 is none.
    """
    from weft.nodes.hints import arrays, edges

    if low > high:
        raise ValueError(f"low ({low}) is above high ({high})")
    return arrays.each(image, lambda picture: edges.canny(picture, low, high, blur))


@node("soft_edge", category="hint", tags=(size_of("image"),))
def soft_edge(
    image: Image, scales: Annotated[int, Range(1, 6)] = 3, gain: Annotated[float, Range(0.1, 20.0)] = 2.0
) -> Image:
    """Soft edges, as bright as the contrast across them: a hint for ControlNets called softedge or hed.

    The mean gradient over Gaussians of 1, 2, 4 ... pixels. It needs no weights, and knows no objects: a strong texture
    is drawn where a trained detector would leave it out.

    Args:
        image: one image or a batch.
        scales: how many Gaussians; more see coarse forms better and draw wider lines.
        gain: brightness; at 1 a step from black to white gives white, at 2 one of half that height does.
    """
    from weft.nodes.hints import arrays, edges

    return arrays.each(image, lambda picture: edges.soft(picture, scales, gain))


@node("scribble", category="hint", tags=(size_of("image"),))
def scribble(
    image: Image,
    contrast: Annotated[float, Range(0.01, 1.0)] = 0.15,
    blur: Annotated[float, Range(1.0, 32.0)] = 2.0,
    shortest: Annotated[float, Range(0.0, 1.0)] = 0.05,
    width: Annotated[int, Range(1, 33)] = 3,
) -> Image:
    """Few thick lines, as drawn by hand: the hint of ControlNets called scribble. Needs no weights.

    Args:
        image: one image or a batch.
        contrast: the least step in brightness or colour that is drawn, of a range of 1.
        blur: standard deviation in pixels of a Gaussian that comes first: detail below it is not drawn.
        shortest: lines below this length, as a share of the longer side, are left out.
        width: of the lines in pixels.
    """
    from weft.nodes.hints import arrays, edges

    return arrays.each(image, lambda picture: edges.scribble(picture, contrast, blur, shortest, width))
