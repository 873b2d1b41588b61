"""Text on images."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from weft.engine import NodeView, Problem, Range, Widget, node
from weft.nodes.images.colour import colour_problems, parse_colour
from weft.nodes.values import Image

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.images.lettering import Align

Position = Literal[
    "above", "top left", "top", "top right", "left", "centre", "right", "bottom left", "bottom", "bottom right", "below"
]


def _check(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.images.lettering import MAX_CHARACTERS

    yield from colour_problems(view, "colour")
    if view.literals.get("background"):
        yield from colour_problems(view, "background")
    text = view.literals.get("text")
    texts = text if isinstance(text, list) else [text]
    for item in texts:
        if isinstance(item, str) and len(item) > MAX_CHARACTERS:
            message = f"A text has {len(item):,} characters; at most {MAX_CHARACTERS:,} are drawn."
            yield Problem(code="too_large", node=view.id, input="text", message=message, given=len(item))
    if isinstance(text, list) and not text:
        message = "The list of texts is empty: give one text for all images, or one for each."
        yield Problem(code="bad_value", node=view.id, input="text", message=message, given=text)


@node("draw_text", category="image", check=_check)
def draw_text(
    image: Image,
    text: Annotated[str | list[str], Widget("textarea")],
    position: Position = "bottom",
    size: Annotated[int, Range(0, 1000)] = 0,
    colour: Annotated[str, Widget("colour")] = "white",
    background: Annotated[str, Widget("colour")] = "black",
) -> Image:
    """Write text on images, or above or below them.

    Long text is broken into lines. Where it does not fit into the image at all, its end is left out, and three dots
    stand there. The font comes with Weft, so a text looks the same on every machine; it has Latin letters, and a sign
    that it lacks is an empty box.

    Args:
        image: one image or a batch.
        text: one text for all images, or a list with one for each.
        position: where it stands. Above and below make the image taller, by what the longest text of the batch takes;
            the others write on it.
        size: of the letters in pixels; 0 takes a twelfth of the image's shorter side, and at least 10.
        colour: of the letters: #rrggbb, or black, white or gray.
        background: of the field behind them; empty for none, which above and below is black.
    """
    import torch

    from weft.nodes.images.headers import check_pixels
    from weft.nodes.images.lettering import lettering

    count, height, width = image.pixels.shape[:3]
    texts = [text] * count if isinstance(text, str) else list(text)
    if len(texts) != count:
        raise ValueError(f"there are {len(texts)} texts for {count} {'image' if count == 1 else 'images'}")
    size = size or max(10, min(height, width) // 12)
    ink = torch.tensor(parse_colour(colour))
    outside = position in ("above", "below")
    paper = torch.tensor(parse_colour(background or "black")) if background or outside else None
    margin = max(1, size // 4)
    room = max(1, width - 2 * margin)
    align: Align = "left" if position.endswith("left") else "right" if position.endswith("right") else "centre"
    fields = [lettering(item, size, room, 4 * height if outside else height - 2 * margin, align) for item in texts]
    if outside:
        assert paper is not None
        strip_height = max(len(field) for field in fields) + 2 * margin
        check_pixels(width, height + strip_height, "with its text the image would have")
        strips = paper.repeat(count, strip_height, width, 1)
        for strip, field in zip(strips, fields, strict=True):
            _write(strip, field, (strip_height - len(field)) // 2, (width - field.shape[1]) // 2, ink)
        parts = (strips, image.pixels) if position == "above" else (image.pixels, strips)
        return Image(torch.cat(parts, dim=1))
    pixels = image.pixels.clone()
    for picture, field in zip(pixels, fields, strict=True):
        if not field.any():
            continue  # nothing to read: no field either
        down, across = field.shape[0] + 2 * margin, field.shape[1] + 2 * margin
        top = 0 if "top" in position else height - down if "bottom" in position else (height - down) // 2
        left = {"left": 0, "centre": (width - across) // 2, "right": width - across}[align]
        if paper is not None:
            picture[max(0, top) : top + down, max(0, left) : left + across] = paper
        _write(picture, field, top + margin, left + margin, ink)
    return Image(pixels)


def _write(picture: Tensor, field: Tensor, top: int, left: int, ink: Tensor) -> None:
    """Blend letters into a picture (H, W, 3); what lies outside of it is left away."""
    bottom, right = max(0, top + field.shape[0]), max(0, left + field.shape[1])
    part = picture[max(0, top) : bottom, max(0, left) : right]
    above, before = max(0, -top), max(0, -left)
    cover = field[above : above + part.shape[0], before : before + part.shape[1], None]
    part.copy_(part * (1 - cover) + ink * cover)
