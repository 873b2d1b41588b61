"""A part of a graph for each item of a list: what stands between `map_over` and `collect` runs once per item."""

from __future__ import annotations

from typing import Annotated, TypeVar, cast

from weft.engine import Output, Range, node

T = TypeVar("T")


@node("map_over", category="flow", flow="map")
def map_over(items: list[T], axis: str = "") -> Annotated[T, Output("item")]:
    """Run what follows once for each item of a list, until a `collect` puts the results into a list again.

    A target that runs per item needs no `collect`: each of its results is delivered when it is there. Lists of one
    axis are taken item by item together and have to be of one length; lists of different axes in every combination.
    A list that is made from items of another is nested in it.

    Args:
        items: the list.
        axis: a name for the axis; lists without one at the same depth share theirs.
    """
    return cast(T, items)  # the engine hands out the items; called in plain Python, there is nothing to repeat


@node("collect", category="flow", flow="collect")
def collect(item: T, axis: str = "") -> Annotated[list[T], Output("items")]:
    """The results of what ran once per item as a list, in the order of the items.

    Args:
        item: what was made of each item.
        axis: which axis becomes the list; without a name the innermost.
    """
    return [item]


@node("integers", category="flow")
def integers(start: int = 0, count: Annotated[int, Range(0, 100_000)] = 4, step: int = 1) -> list[int]:
    """Whole numbers in a row, such as the seeds of a sweep.

    Args:
        start: the first.
        count: how many.
        step: from one to the next; may be negative.
    """
    last = start + step * (count - 1)
    if count and not -(2**63) <= last < 2**63:
        raise ValueError(f"{last} does not fit 64 bits")
    return [start + step * place for place in range(count)]
