"""What the tests of lanes, lazy inputs, graphs in graphs and mapped parts share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.engine import toys
from weft.engine import Cache, Catalogue, Node, Result, run
from weft.engine.events import Event
from weft.graphs import Graph
from weft.nodes.basic import choose, items, loops

FLOW: list[Node[..., Any]] = [
    item for module in (choose, items, loops) for item in vars(module).values() if isinstance(item, Node)
]


def catalogue(*more: Node[..., Any]) -> Catalogue:
    """The toys, the nodes that steer, and some more."""
    return Catalogue([*toys.NODES, *FLOW, *more])


def link(text: str) -> dict[str, str]:
    return {"link": text}


def document(**nodes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"weft": 1, "nodes": {id: {"type": type, "inputs": inputs} for id, (type, inputs) in nodes.items()}}


def go(source: dict[str, Any], targets: Any, *more: Node[..., Any], **options: Any) -> Result:
    """`run` with those nodes and a cache of its own."""
    options.setdefault("cache", Cache())
    return run(source, targets, catalogue=catalogue(*more), **options)


def new_threads(before: set[threading.Thread]) -> set[threading.Thread]:
    """The threads that run now and not in `before`. A count would err when one of an earlier test ends meanwhile."""
    return set(threading.enumerate()) - before


@contextmanager
def no_thread_left() -> Iterator[None]:
    """What starts a thread inside must have ended it afterwards; threads of earlier tests may end meanwhile."""
    before = set(threading.enumerate())
    yield
    assert new_threads(before) == set()


def tale(events: list[Event], node: str) -> list[str]:
    """What was said about one node, progress as `done/total`."""
    told = []
    for event in events:
        if event.node == node:
            step = getattr(event, "step", None)
            told.append(event.event if step is None else f"{step}/{event.total}")  # type: ignore[attr-defined]
    return told


def graph_of(*calls: tuple[str, dict[str, Any]]) -> Graph:
    """A graph of nodes by type; an input `"<"` is the node before."""
    with Graph() as graph:
        before: Any = None
        for type, inputs in calls:
            before = graph.add(type, {name: before if item == "<" else item for name, item in inputs.items()})
        if before is not None:
            graph.returns(before)
    return graph
