"""Images onto the disk, each carrying the workflow that made it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from weft.engine import Context, Files, NodeView, Problem, Range, node
from weft.nodes.values import Image

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np


def _check_name(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.images.saving import name_problem

    name = view.literals.get("name")
    message = name_problem(name) if isinstance(name, str) else None
    if message:
        yield Problem(code="bad_value", node=view.id, input="name", message=message, given=name)


@node("save_image", category="image", resource="io", output=True, side_files=True, check=_check_name)
def save_image(
    image: Image, name: str, only: Annotated[int, Range(0, 2**31 - 1)] = 0, ctx: Context | None = None
) -> Files:
    """Save images as 8-bit PNG files in the output folder.

    An image that exists is never overwritten: the first free one of name.png, name_2.png, name_3.png ... is taken, and
    a batch takes one each. A file of these names that holds the very same bytes already is used again. A file appears
    whole or not at all. Each carries the workflow (weft_workflow) and what it ran with (weft_run) as text.

    Args:
        image: one image or a batch.
        name: the file's name without .png; may hold folders, as in night/owl.
        only: which image of the batch to save, from 1; 0 saves all. The workflow in a picture of a batch says its
            number here, so that running the picture makes this one alone.
    """
    from weft.graphs.png import embed
    from weft.nodes.images.saving import save_new

    ctx = ctx or Context()
    count = len(image.pixels)
    if only > count:
        raise ValueError(f"only is {only}, but the batch has {count} {'image' if count == 1 else 'images'}")
    paths: list[Path] = []
    for number, pixels in enumerate(_bytes(image), 1):
        if only not in (0, number):
            continue
        ctx.check_cancelled()
        texts = ctx.provenance(number, count, only=number)
        paths.append(save_new(embed(_png(pixels), texts), ctx.out, name, taken=paths))
    return Files.of(*paths)


def _bytes(image: Image) -> np.ndarray:
    """Pixels as (B,H,W,3) uint8, rounded. Raises ValueError for NaN, which would be saved as black."""
    import torch

    pixels = image.pixels
    if not torch.isfinite(pixels).all():
        bad = (~torch.isfinite(pixels)).flatten(1).any(dim=1).nonzero().flatten().tolist()
        raise ValueError(f"the pixels of image {', '.join(map(str, bad))} of the batch hold NaN or infinity: not saved")
    return pixels.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy()


def _png(pixels: np.ndarray) -> bytes:
    from io import BytesIO

    import PIL.Image

    buffer = BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
