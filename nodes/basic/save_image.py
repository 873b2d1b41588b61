"""Images onto the disk, each carrying the workflow that made it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from weft.engine import Context, Files, NodeView, Problem, node
from weft.nodes.values import Image

if TYPE_CHECKING:
    from pathlib import Path


def _check_name(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.images.saving import name_problem

    name = view.literals.get("name")
    message = name_problem(name) if isinstance(name, str) else None
    if message:
        yield Problem(code="bad_value", node=view.id, input="name", message=message, given=name)


@node("save_image", category="image", resource="io", output=True, side_files=True, check=_check_name)
def save_image(image: Image, name: str, ctx: Context | None = None) -> Files:
    """Save images as 8-bit PNG files in the output folder.

    An image that exists is never overwritten: the first free one of name.png, name_2.png, name_3.png ... is taken, and
    a batch takes one each. A file of these names that holds the very same bytes already is used again. A file appears
    whole or not at all. Each carries the workflow (weft_workflow) and what it ran with (weft_run) as text.

    Args:
        image: one image or a batch.
        name: the file's name without .png; may hold folders, as in night/owl.
    """
    import PIL.Image

    from weft.graphs.png import embed
    from weft.nodes.images.encoding import encode
    from weft.nodes.images.saving import save_new
    from weft.nodes.values.pixels import eight_bit

    ctx = ctx or Context()
    texts = ctx.provenance()
    paths: list[Path] = []
    for pixels in eight_bit(image.pixels):
        ctx.check_cancelled()
        paths.append(save_new(embed(encode(PIL.Image.fromarray(pixels), "png"), texts), ctx.out, name, taken=paths))
    return Files.of(*paths)
