"""A range of columns, as fractions of the width: as a mask, or cleared in a hint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from weft.engine import NodeView, Problem, Range, node
from weft.nodes.checks import size_given, size_of
from weft.nodes.images.scaling import MAX_SIDE
from weft.nodes.values import Image, Mask

if TYPE_CHECKING:
    from torch import Tensor

Side = Annotated[int, Range(1, MAX_SIDE)]
Share = Annotated[float, Range(0.0, 1.0)]


def _check(view: NodeView) -> Iterator[Problem]:
    start, end = view.literals.get("start"), view.literals.get("end")
    if isinstance(start, (int, float)) and isinstance(end, (int, float)) and start > end:
        message = f"the columns begin at {start} and end before, at {end}"
        yield Problem(code="bad_value", node=view.id, input="start", message=message, given=start, expected=f"<= {end}")


@node("columns_mask", category="mask", tags=(size_given(),), check=_check)
def columns_mask(width: Side, height: Side, start: Share = 0.0, end: Share = 1.0, invert: bool = False) -> Mask:
    """A mask that is 1 in a range of columns and 0 in the others.

    A column belongs to the range when its middle does, so ranges that meet share no column and leave none out.

    Args:
        width: of the mask in pixels; that of the image it is for.
        height: of the mask in pixels.
        start: where the range begins, as a fraction of the width.
        end: where it ends, as a fraction of the width.
        invert: 0 in the range and 1 in the others instead.
    """
    from weft.nodes.images.headers import check_pixels

    check_pixels(width, height, "the mask would have")
    row = _inside(width, start, end)
    return Mask((1 - row if invert else row).repeat(1, height, 1))


@node("zero_columns", category="hint", tags=(size_of("image"),), check=_check)
def zero_columns(image: Image, start: Share = 0.0, end: Share = 1.0, invert: bool = False) -> Image:
    """Images with a range of columns black: a hint that says nothing there.

    Black is "no edge" and "far away" in hints, so most ControlNets leave such columns to the prompt.

    Args:
        image: one image or a batch.
        start: where the range begins, as a fraction of the width.
        end: where it ends, as a fraction of the width.
        invert: keep the range, and make all other columns black.
    """
    row = _inside(image.pixels.shape[2], start, end)
    return Image(image.pixels * (row if invert else 1 - row)[:, :, None])


def _inside(width: int, start: float, end: float) -> Tensor:
    """1 for each column of the range, (1, width)."""
    import torch

    if start > end:
        raise ValueError(f"the columns begin at {start} and end before, at {end}")
    middle = (torch.arange(width, dtype=torch.float64) + 0.5) / width
    return ((middle >= start) & (middle < end)).float()[None]
