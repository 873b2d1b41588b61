"""Which column each node stands in, and in which order: a layered drawing after Sugiyama.

A link that passes columns gets a place in each of them, so that it is led around the nodes there; links from one
output share these places and look like one cable that branches.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from weft.graphs.drawing.boxes import Box, Wire
from weft.graphs.order import topological

_MOST_PASSES = 40_000  # places for passing links; beyond this they run straight


@dataclass(slots=True, eq=False)
class Item:
    """What takes room in a column: a box, or a link that passes (`box` is None)."""

    column: int
    height: float
    box: Box | None = None
    left: list[Join] = field(default_factory=list)
    right: list[Join] = field(default_factory=list)
    rank: int = 0
    y: float = 0.0


@dataclass(slots=True, eq=False)
class Join:
    """A piece of link between neighbouring columns. `start` and `end` are heights within the items."""

    source: Item
    start: float
    target: Item
    end: float
    fan: int = 1
    """How many joins share the busier of its ends: of a fan, at most one can be straight."""


@dataclass(slots=True)
class Layers:
    """The columns, and for each wire the items it passes between its boxes."""

    columns: list[list[Item]]
    passes: list[list[Item]]


def make_layers(boxes: dict[str, Box], wires: list[Wire]) -> Layers:
    """Sort boxes into columns by depth, and the columns so that links cross little."""
    depth = _depths(boxes, wires)
    columns: list[list[Item]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    items = {}
    for id, box in boxes.items():
        items[id] = Item(depth[id], box.height, box)
        columns[depth[id]].append(items[id])
    passes = _lead(wires, items, columns)
    _reduce_crossings(columns)
    return Layers(columns, passes)


def _depths(boxes: dict[str, Box], wires: list[Wire]) -> dict[str, int]:
    """The column of each node: right of all that it depends on; a node without inputs close to its first user."""
    sources: dict[str, list[str]] = {id: [] for id in boxes}
    users: dict[str, list[str]] = {id: [] for id in boxes}
    for wire in wires:
        sources[wire.target.id].append(wire.source.id)
        users[wire.source.id].append(wire.target.id)
    order = topological(sources)
    order += [id for id in boxes if id not in set(order)] if len(order) < len(boxes) else []  # these have a cycle
    rank = {id: index for index, id in enumerate(order)}
    depth: dict[str, int] = {}
    for id in order:
        depth[id] = max((depth[source] + 1 for source in sources[id] if rank[source] < rank[id]), default=0)
    for id in reversed(order):
        if not sources[id] and users[id]:
            depth[id] = max(0, min(depth[user] for user in users[id]) - 1)
    return depth


def _lead(wires: list[Wire], items: dict[str, Item], columns: list[list[Item]]) -> list[list[Item]]:
    """Give links that pass columns their places there, and join what is next to each other."""
    span = sum(max(0, items[wire.target.id].column - items[wire.source.id].column - 1) for wire in wires)
    cables: dict[tuple[str, str], list[Item]] = {}
    joined: set[tuple[int, int, float]] = set()
    passes = []
    for wire in wires:
        source, target = items[wire.source.id], items[wire.target.id]
        cable = cables.setdefault((wire.source.id, wire.output.name), [])
        between = max(0, target.column - source.column - 1) if span <= _MOST_PASSES else 0
        while len(cable) < between:
            item = Item(source.column + 1 + len(cable), 0.0)
            columns[item.column].append(item)
            cable.append(item)
        way = [source, *cable[:between], target]
        passes.append(way[1:-1])
        if target.column - source.column != between + 1:
            continue  # a way back, or too many links to lead
        for here, there in pairwise(way):
            start = wire.output.y if here is source else 0.0
            end = wire.input.y if there is target else 0.0
            if (id(here), id(there), end) not in joined or there is target:
                joined.add((id(here), id(there), end))
                join = Join(here, start, there, end)
                here.right.append(join)
                there.left.append(join)
    _count_fans(columns)
    return passes


def _count_fans(columns: list[list[Item]]) -> None:
    joins = [join for column in columns for item in column for join in item.right]
    starts = Counter((id(join.source), join.start) for join in joins)
    ends = Counter((id(join.target), join.end) for join in joins)
    for join in joins:
        join.fan = max(starts[id(join.source), join.start], ends[id(join.target), join.end])


def _reduce_crossings(columns: list[list[Item]]) -> None:
    """Sort columns by the mean place of their neighbours, back and forth; keep the best order that was met."""
    for column in columns:
        _renumber(column)
    size = sum(map(len, columns))
    best, fewest = [list(column) for column in columns], _crossings(columns)
    for sweep in range(24 if size <= 1000 else 4):
        if not fewest:
            break
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            column.sort(key=_left_mean if forward else _right_mean)
            _renumber(column)
        if size <= 300:
            _swap_neighbours(columns)
        if (crossings := _crossings(columns)) < fewest:
            best, fewest = [list(column) for column in columns], crossings
    for column, order in zip(columns, best, strict=True):
        column[:] = order
        _renumber(column)


def _renumber(column: list[Item]) -> None:
    for rank, item in enumerate(column):
        item.rank = rank


def _left_mean(item: Item) -> float:
    if not item.left:
        return item.rank
    return sum(join.source.rank + _share(join.start, join.source) for join in item.left) / len(item.left)


def _right_mean(item: Item) -> float:
    if not item.right:
        return item.rank
    return sum(join.target.rank + _share(join.end, join.target) for join in item.right) / len(item.right)


def _share(offset: float, item: Item) -> float:
    return offset / item.height if item.height else 0.5


def _crossings(columns: list[list[Item]]) -> int:
    return sum(_crossed([join for item in column for join in item.right]) for column in columns)


def _crossed(joins: list[Join]) -> int:
    """Pairs of joins between two columns that cross: the inversions of their ends when sorted by their starts."""
    ends: list[tuple[float, float]] = []
    count = 0
    for join in sorted(joins, key=lambda join: (join.source.rank, join.start, join.target.rank, join.end)):
        end = (join.target.rank, join.end)
        count += len(ends) - bisect_right(ends, end)
        insort(ends, end)
    return count


def _swap_neighbours(columns: list[list[Item]]) -> None:
    """Exchange two that stand next to each other wherever their own links then cross less."""
    for column in columns:
        for index in range(len(column) - 1):
            one, two = column[index], column[index + 1]
            if _between(two, one) < _between(one, two):
                column[index], column[index + 1] = two, one
                two.rank, one.rank = index, index + 1


def _between(upper: Item, lower: Item) -> int:
    """Crossings among the links of two neighbours with `upper` above."""
    count = 0
    for a in upper.left:
        count += sum((a.source.rank, a.start) > (b.source.rank, b.start) for b in lower.left)
    for a in upper.right:
        count += sum((a.target.rank, a.end) > (b.target.rank, b.end) for b in lower.right)
    return count
