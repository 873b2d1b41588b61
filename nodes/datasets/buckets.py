"""Sizes of several shapes and about one area, and which of them suits a picture. Light at import."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from weft.nodes.datasets.files import Size
from weft.nodes.training.errors import TrainingError
from weft.nodes.values.training import Item


def bucket_sizes(side: int, step: int, ratio: float) -> list[Size]:
    """Widths and heights of at most the area of a square, the widest last.

    side: of the square, in pixels. step: what each side is a multiple of. ratio: longest side to shortest, at most.

    Raises:
        TrainingError: none is so small.
    """
    area, sizes = side * side, set()
    for wide in range(step, area // step + 1, step):
        high = area // wide // step * step
        if high and max(wide, high) <= ratio * min(wide, high):
            sizes |= {(wide, high), (high, wide)}
    # Of those of one width only the highest: the others are smaller for nothing.
    best = {size for size in sizes if not any(_within(size, other) for other in sizes)}
    if not best:
        raise TrainingError(f"no size in steps of {step} has the area of {side} x {side}: take smaller steps")
    return sorted(best, key=lambda size: (size[0] / size[1], size))


def _within(size: Size, other: Size) -> bool:
    return size != other and size[0] <= other[0] and size[1] <= other[1]


def suited(own: Size, sizes: Sequence[Size]) -> Size:
    """The size whose shape is nearest to a picture's; of equal ones the largest."""
    shape = math.log(own[0] / own[1])
    return min(sizes, key=lambda size: (round(abs(math.log(size[0] / size[1]) - shape), 9), -size[0] * size[1], size))


def rank(item: Item, seed: int = 0) -> float:
    """A number in [0, 1) by the picture's content alone, evenly spread."""
    data = hashlib.blake2b(f"{seed} {item.picture.digest}".encode(), digest_size=8).digest()
    return int.from_bytes(data, "little") / 2**64


def beside(classes: Sequence[Item], instances: Sequence[Item]) -> list[Item]:
    """Class images in the sizes of what is learned, each size its share; every size has one at least.

    A batch holds one size, and beside each instance stands a class image of that size. Of too few a picture comes in
    several sizes.
    """
    counts = Counter(dict.fromkeys(sorted({item.size for item in instances}), 0))
    for item in instances:
        counts[item.size] += item.repeats
    total, below = sum(counts.values()), 0
    bounds = []
    for size, count in counts.items():
        below += count
        bounds.append((below / total, size))
    items = [replace(item, size=next(size for bound, size in bounds if rank(item) < bound)) for item in classes]
    lacking = counts.keys() - {item.size for item in items}
    if lacking and classes:
        ordered = sorted(classes, key=rank)
        items += [replace(ordered[k % len(ordered)], size=size) for k, size in enumerate(sorted(lacking))]
    return items
