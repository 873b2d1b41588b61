"""Whether the items of a data set have the conditions that a network beside the denoiser learns from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from weft.engine import Context
from weft.nodes.images.headers import ImageFileError, check_pixels, read_header
from weft.nodes.images.reading import read_bytes
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.pictures import Size, size_of
from weft.nodes.values.training import Dataset, Item, Picture

NAMED = 12
"""How many items a message names at most."""
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)


def with_conditions(
    dataset: Dataset, technique: str, ctx: Context, native: int = 0, multiple: int = 1, hints: bool = True
) -> Dataset:
    """The items that can be learned from. One whose condition cannot be read is passed over, with a warning.

    technique: for messages. native: the model's size in pixels. multiple: of what the sides of each item have to be.
    hints: whether conditions lie over their pictures, and so have their shape.

    Raises:
        TrainingError: items have no condition, one of another shape than their picture, or sides that do not fit; all
            of them are told at once.
    """
    lacking = [item.picture.name for item in dataset.items if item.condition is None]
    unfit = [text for item in dataset.items if (text := _side_fault(size_of(item, native), multiple, item)) is not None]
    shapes: list[str] = []
    skipped: dict[int, str] = {}
    for place, item in enumerate(dataset.items):
        if item.condition is None:
            continue
        try:
            hint = _size(item.condition)
        except ImageFileError as error:
            skipped[place] = f"the condition of {item.picture.name}: {error}"
            continue
        try:
            own = _size(item.picture)
        except ImageFileError:
            continue  # It is told when pictures are encoded.
        if hints and not _alike(own, hint):
            shapes.append(f"{_told(hint)} of {item.condition.name} beside {_told(own)} of {item.picture.name}")
    faults = [
        *_fault("without a condition", lacking, "give each picture its hint, as dataset_paired does"),
        *_fault("whose condition has another shape than the picture", shapes, "make hints of the pictures' own size"),
        *_fault("of a size that does not fit", unfit, "choose another size in bucket"),
    ]
    if faults:
        raise TrainingError(f"{technique} cannot learn from this data set of {len(dataset.items)}: {'. '.join(faults)}")
    for reason in skipped.values():
        ctx.log.warning("%s: it is passed over", reason)
    items = tuple(item for place, item in enumerate(dataset.items) if place not in skipped)
    return dataclasses.replace(dataset, items=items, skipped=(*dataset.skipped, *skipped.values()))


def _fault(what: str, names: Sequence[str], advice: str) -> list[str]:
    if not names:
        return []
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return [f"{len(names)} {what}: {', '.join(names[:NAMED])}{rest}; {advice}"]


def _side_fault(size: Size, multiple: int, item: Item) -> str | None:
    if size[0] % multiple == 0 and size[1] % multiple == 0:
        return None
    return f"{item.picture.name} at {_told(size)}, not multiples of {multiple}"


def _told(size: Size) -> str:
    return f"{size[0]} x {size[1]}"


def _alike(one: Size, other: Size) -> bool:
    """Whether two sizes have one ratio of sides, but for rounding to whole pixels."""
    return abs(one[0] * other[1] - other[0] * one[1]) <= max(*one, *other)


def _size(picture: Picture) -> Size:
    """Width and height as seen, by the file's header alone.

    Raises ImageFileError where it is no picture.
    """
    import PIL.Image

    try:
        data = read_bytes(Path(picture.path)) if picture.path else picture.data
        header = read_header(data)
        check_pixels(header.width, header.height, "has")
    except ImageFileError as error:
        raise ImageFileError(f"{picture.name}: {error}") from error
    wide, high = header.width, header.height
    try:
        with PIL.Image.open(BytesIO(data), formats=(header.format,)) as image:
            turned = image.getexif().get(_ORIENTATION, 1) in _TURNED
    except Exception:  # broken EXIF says nothing about the pixels, and other damage is found where they are read
        turned = False
    return (high, wide) if turned else (wide, high)
