"""Several images on one sheet."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from weft.engine import AxesOf, NodeView, Problem, Range, Widget, node
from weft.nodes.images.colour import colour_problems, parse_colour
from weft.nodes.values import Image

if TYPE_CHECKING:
    from weft.nodes.images.sheets import Labels

Text = str | int | float


def _check(view: NodeView) -> Iterator[Problem]:
    yield from colour_problems(view, "background")
    axes = view.literals.get("axes")
    if isinstance(axes, list) and not _is_axes(axes):
        message = 'axes are names and items in turn, such as ["scale", [1.0, 3.0], "seed", [1, 2]].'
        yield Problem(code="bad_value", node=view.id, input="axes", message=message, given=str(axes)[:200])


def _axes_were_not_shown(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """A sheet had no labels."""
    return {**inputs, "axes": []}


@node(
    "image_grid",
    version=2,  # images of a mapped part are labelled with the items that they were made of
    category="image",
    check=_check,
    migrations={1: _axes_were_not_shown},
)
def image_grid(
    images: list[Image | list[Image]],
    columns: Annotated[int, Range(0, 1000)] = 0,
    gap: Annotated[int, Range(0, 1000)] = 0,
    background: Annotated[str, Widget("colour")] = "white",
    title: str = "",
    row_labels: list[Text] | None = None,
    column_labels: list[Text] | None = None,
    labels: list[Text] | None = None,
    label_size: Annotated[int, Range(0, 1000)] = 0,
    axes: Annotated[list[Any] | None, AxesOf("images")] = None,
) -> Image:
    """Images side by side, in rows from the top left, with labels beside them.

    Every image of every batch gets a cell as large as the largest image; a smaller one stands in the middle of it.

    Images of a part that runs per item are labelled by themselves: linked to a `collect`, each has its item above it,
    as in "seed 3"; in a single column, left of it. Linked to a `collect` of a `collect`, they make a row for each item
    of the outer axis and a column for each of the inner one, labelled so. Labels that are given take the place of all
    of these. Where items were left out on the way, so that nobody can tell which, there are none of theirs.

    Args:
        images: images and batches, in order; or lists of them, each of which makes a row.
        columns: images per row; 0 makes the sheet about square, or of lists as they are.
        gap: pixels between cells.
        background: colour of gaps and empty cells: #rrggbb, or black, white or gray. Letters are black or white.
        title: a line above all.
        row_labels: one for each row, left of it.
        column_labels: one for each column, above it.
        labels: one for each image, above it.
        label_size: of the letters in pixels; 0 takes a tenth of the first image's shorter side, from 11 to 40.
        axes: what the images were made over, outermost first: names and items in turn, as in ["scale", [1.0, 3.0],
            "seed", [1, 2]]. Left out, it is what the graph says; [] is for a sheet without these labels.
    """
    from weft.nodes.images.sheets import sheet

    items: list[Sequence[Image]] = [item if isinstance(item, list) else [item] for item in images]
    rows = [[pixels for image in item for pixels in image.pixels] for item in items]
    pictures = [pixels for row in rows for pixels in row]
    if not pictures:
        raise ValueError("a grid needs at least one image")
    as_lists = columns == 0 and any(isinstance(item, list) for item in images)
    if as_lists:
        items, rows = [item for item in items if item], [row for row in rows if row]
    else:
        columns = min(columns or math.ceil(math.sqrt(len(pictures))), len(pictures))
        rows = [pictures[at : at + columns] for at in range(0, len(pictures), columns)]
    count = max(map(len, rows))
    if axes and not _is_axes(axes):
        raise ValueError('axes are names and items in turn, such as ["scale", [1.0, 3.0], "seed", [1, 2]]')
    words = _words(images, axes or [], as_lists, count)
    if (row_labels, column_labels, labels) != (None, None, None):
        words = _given(row_labels, column_labels, labels, (len(rows), count, len(pictures)))
    words = replace(words, title=title, size=label_size)
    return Image(sheet(rows, gap, parse_colour(background), words)[None])


def _given(
    rows: list[Text] | None, columns: list[Text] | None, cells: list[Text] | None, counts: tuple[int, int, int]
) -> Labels:
    """Labels that somebody wrote."""
    from weft.nodes.images.sheets import Labels

    texts = []
    for name, items, count in zip(("row", "column", "image"), (rows, columns, cells), counts, strict=True):
        if items and len(items) != count:
            are, labels = ("is", "label") if len(items) == 1 else ("are", "labels")
            raise ValueError(f"there {are} {len(items)} {labels} for {count} {name}{'' if count == 1 else 's'}")
        texts.append([_text(item) for item in items or ()])
    return Labels(rows=texts[0], columns=texts[1], cells=texts[2])


def _words(images: Sequence[Image | list[Image]], axes: list[Any], as_lists: bool, count: int) -> Labels:
    """Labels that say which item of which axis an image was made of."""
    from weft.nodes.images.sheets import Labels

    names, lists = axes[::2], axes[1::2]
    inner = [item if isinstance(item, list) else [item] for item in images]
    sizes = [[len(image.pixels) for image in row] for row in inner]
    outer_labels = _labels(names[0], lists[0], len(images)) if names else []
    longest = max(sizes, key=len, default=[])
    inner_labels = _labels(names[1], lists[1], len(longest)) if len(names) > 1 else []
    if any(len(row) != len(longest) for row in sizes) and len(names) > 1 and lists[1] is not None:
        inner_labels = []
    if as_lists:
        there = [bool(sum(row)) for row in sizes]
        beside = [label for label, has in zip(outer_labels, there, strict=False) if has]
        # Batches of different sizes: what stands below each other was not made of the same item.
        if not inner_labels or len({tuple(row) for row in sizes if row}) != 1:
            return Labels(rows=beside)
        above = [label for label, size in zip(inner_labels, longest, strict=True) for _ in range(size)]
        return Labels(rows=beside, columns=above)
    cells = []
    for place, row in enumerate(sizes):
        for number, size in enumerate(row):
            parts = [labels[at] for labels, at in ((outer_labels, place), (inner_labels, number)) if labels]
            cells += [", ".join(parts)] * size
    if not any(cells):
        return Labels()
    return Labels(rows=cells) if count == 1 else Labels(cells=cells)


def _labels(name: str, items: Any, count: int) -> list[str]:
    """A label for each item; none where the items are not those that are there."""
    if items is None:
        return [f"{name} {number}".strip() for number in range(1, count + 1)]
    if len(items) != count:
        return []
    made = []
    for number, item in enumerate(items, 1):
        text = _text(item) if isinstance(item, (str, int, float)) else str(number)
        colon = ":" if isinstance(item, (str, bool)) else ""
        made.append(f"{name}{colon} {text}" if name else text)
    return made


def _text(item: Any) -> str:
    """An item in a few words: no more digits of a number than it needs."""
    if isinstance(item, bool):
        return "true" if item else "false"
    text = str(float(f"{item:.6g}")) if isinstance(item, float) else str(item)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _is_axes(axes: list[Any]) -> bool:
    """Whether a list holds names and lists in turn."""
    names, lists = axes[::2], axes[1::2]
    fit = len(names) == len(lists) and all(isinstance(name, str) for name in names)
    return fit and all(items is None or isinstance(items, (list, tuple)) for items in lists)
