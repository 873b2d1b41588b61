"""Nodes that ask, wait and return graphs, for the tests of isolation. A module of its own: a worker imports it."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.engine.flow import FLOW
from tests.engine.toys import Live
from weft.engine import Catalogue, Lazy, Node, node
from weft.graphs import Graph


@node("iso_number")
def iso_number(value: int = 0) -> int:
    """A number, and where it was made counts for nothing."""
    return value


@node("iso_add")
def iso_add(a: int, b: int = 1) -> int:
    """Two numbers."""
    return a + b


@node("iso_pid")
def iso_pid(value: Any = None) -> int:
    """The process that it runs in."""
    return os.getpid()


@node("iso_asks", resource="device")
def iso_asks(value: Lazy[int], wanted: bool = True) -> int:
    """Asks in the middle of its work, for something that needs its own lane."""
    return value() if wanted else -1


@node("iso_on_device", resource="device")
def iso_on_device(value: int) -> int:
    """On the device lane."""
    return value * 10


@node("iso_awaits")
async def iso_awaits(value: Lazy[int], beside: str = "") -> int:
    """Awaits; another async node may have to run meanwhile."""
    return await value


@node("iso_later")
async def iso_later(value: int) -> int:
    """An async source."""
    await asyncio.sleep(0.01)
    return value


@node("iso_meets")
def iso_meets(mine: str, other: str) -> str:
    """Ends when its twin is there too, so both have to run at once."""
    Path(mine).touch()
    end = time.monotonic() + 10
    while not Path(other).exists():
        if time.monotonic() > end:
            raise TimeoutError(f"nobody else came: {other}")
        time.sleep(0.005)
    return mine


@node("iso_live")
def iso_live(number: int = 0) -> Live:
    """A value that cannot leave the worker."""
    return Live(number)


@node("iso_use_live")
def iso_use_live(live: Live) -> int:
    """Out of it."""
    return live.number


@node("iso_unfolds")
def iso_unfolds(live: Live, array: Any, value: int) -> int | Graph:
    """A graph with a live input, an array, a number and a live value of its own."""
    with Graph() as graph:
        own = iso_use_live(graph.given(Live(1000)))
        total = iso_add(iso_use_live(graph.given(live)), iso_sum(graph.given(array)))
        graph.returns(iso_add(iso_add(total, graph.given(value)), own))
    return graph


@node("iso_array")
def iso_array(count: int = 4) -> Any:
    """Ones."""
    return np.ones(count)


@node("iso_sum")
def iso_sum(array: Any) -> int:
    """Of an array."""
    return int(array.sum())


@node("iso_fails_inside")
def iso_fails_inside() -> int | Graph:
    """Returns a graph that cannot be."""
    with Graph() as graph:
        graph.add("iso_add", {"a": "no number"})
    return graph


NODES: list[Node[..., Any]] = [
    item for name, item in list(globals().items()) if isinstance(item, Node) and name.startswith("iso_")
]


def catalogue() -> Catalogue:
    """The nodes above and those that steer."""
    return Catalogue([*NODES, *FLOW])
