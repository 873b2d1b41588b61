"""How high everything stands: links as straight as they can be while nothing overlaps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from weft.graphs.drawing.layers import Item, Join

_BOX_GAP, _PASS_GAP = 30.0, 16.0
_SWEEPS = 12
_SMALL_BEND = 16.0


def place(columns: list[list[Item]]) -> None:
    """Set every item's `y`, its upper edge, keeping the order within columns. Linear in items and joins."""
    for column in columns:
        y = 0.0
        for item, gap in zip(column, [0.0, *_gaps(column)], strict=False):
            item.y = y = y + gap
            y += item.height
        for item in column:
            item.y -= y / 2
    sweeps = _SWEEPS if sum(map(len, columns)) <= 2000 else 4
    for sweep in range(sweeps):
        last = sweep >= sweeps - 2  # at the end both sides count, so that the middle is not pulled to one
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted, weights = [], []
            for item in column:
                y, weight = _wish(item, use_left=last or sweep % 2 == 0, use_right=last or sweep % 2 == 1)
                wanted.append(y)
                weights.append(weight)
            for item, y in zip(column, _nearest_apart(wanted, weights, _steps(column)), strict=True):
                item.y = y
    for column in columns:
        _straighten(column)


def _straighten(column: list[Item]) -> None:
    """Take small bends out: move an item in the free room around it so that its least bent link becomes straight."""
    steps = _steps(column)
    for index, item in enumerate(column):
        bends = [join.source.y + join.start - join.end - item.y for join in item.left]
        bend = min(bends, key=abs, default=0.0)
        if abs(bend) > (_SMALL_BEND if item.box else 2 * _SMALL_BEND):
            continue
        if index > 0 and item.y + bend < column[index - 1].y + steps[index - 1]:
            continue
        if index + 1 < len(column) and item.y + bend + steps[index] > column[index + 1].y:
            continue
        item.y += bend


def _gaps(column: list[Item]) -> list[float]:
    return [_BOX_GAP if upper.box and lower.box else _PASS_GAP for upper, lower in pairwise(column)]


def _steps(column: list[Item]) -> list[float]:
    """The least difference in `y` between each item and the next."""
    return [item.height + gap for item, gap in zip(column, _gaps(column), strict=False)]


def _wish(item: Item, *, use_left: bool, use_right: bool) -> tuple[float, float]:
    """Where an item's links would be straight, and how much that matters."""
    total = weights = 0.0
    for join in item.left if use_left else ():
        weight = _weight(join)
        total += weight * (join.source.y + join.start - join.end)
        weights += weight
    for join in item.right if use_right else ():
        weight = _weight(join)
        total += weight * (join.target.y + join.end - join.start)
        weights += weight
    return (total / weights, weights) if weights else (item.y, 0.05)


def _weight(join: Join) -> float:
    """A bend in the middle of a long link is uglier than one at its end."""
    return (1.0 + 2.0 * (join.source.box is None) + 2.0 * (join.target.box is None)) / join.fan


def _nearest_apart(wanted: Sequence[float], weights: Sequence[float], steps: Sequence[float]) -> list[float]:
    """The places nearest to `wanted` (weighted least squares) of which each is at least its step after the last.

    With the steps taken off this is isotonic regression, solved by pooling neighbours that want to pass each other.
    """
    offsets = [0.0]
    for step in steps:
        offsets.append(offsets[-1] + step)
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        mean, total, count = want - offset, weight, 1
        while pools and pools[-1][0] > mean:
            before, heft, size = pools.pop()
            mean = (mean * total + before * heft) / (total + heft)
            total, count = total + heft, count + size
        pools.append((mean, total, count))
    flat = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=True)]
