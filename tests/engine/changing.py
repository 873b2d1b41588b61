"""Nodes that change what they are given, or what they gave, for the tests of who owns values. A worker imports it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.engine.flow import FLOW
from weft.engine import Catalogue, Lazy, Node, node, value
from weft.graphs import Graph


@value("changing.bundle")
@dataclass(frozen=True, eq=False)
class Bundle:
    samples: Any
    notes: Any = None
    name: str = "bundle"


SAMPLES: dict[str, Callable[[], Any]] = {
    "list": lambda: [1, 2, 3],
    "dict": lambda: {"a": 1, "b": 2},
    "nested": lambda: {"a": [1, (2, [3])], "b": {"c": [4]}},
    "set": lambda: {1, 2},
    "bytearray": lambda: bytearray(b"abc"),
    "deque": lambda: deque([1, 2]),
    "array": lambda: np.arange(6.0).reshape(2, 3),
    "array of objects": lambda: np.array([[1], {"a": 2}], dtype=object),
    "tensor": lambda: torch.arange(6.0).reshape(2, 3),
    "tensors": lambda: [torch.zeros(2), (torch.ones(2),)],
    "image": lambda: Image.new("RGB", (2, 2), (10, 20, 30)),
    "value": lambda: Bundle(torch.arange(4.0), {"layers": [1, 2]}),
    "values": lambda: (Bundle(np.ones(2), [Bundle(torch.ones(1))]),),
}
STORED = ("list", "dict", "nested", "array", "tensor", "tensors", "value", "values")
"""Those that disk and messages can carry."""


def shown(item: Any) -> str:
    """The whole content as text."""
    if isinstance(item, (list, tuple, deque)):
        return f"{type(item).__name__}({', '.join(map(shown, item))})"
    if isinstance(item, dict):
        return f"{{{', '.join(f'{key}: {shown(part)}' for key, part in item.items())}}}"
    if isinstance(item, Bundle):
        return f"Bundle({shown(item.samples)}, {shown(item.notes)}, {item.name})"
    if isinstance(item, Image.Image):
        return f"image {item.tobytes()!r}"
    if isinstance(item, (np.ndarray, torch.Tensor)):
        return f"{type(item).__name__}({', '.join(map(shown, item.reshape(-1).tolist()))})"
    return repr(sorted(item) if isinstance(item, set) else item)


def change(item: Any) -> None:
    """Change in place all that can be changed in it."""
    if isinstance(item, (list, deque)):
        for part in list(item):
            change(part)
        item.append(99)
    elif isinstance(item, tuple):
        for part in item:
            change(part)
    elif isinstance(item, dict):
        for part in list(item.values()):
            change(part)
        item["z"] = 99
    elif isinstance(item, Bundle):
        change(item.samples)
        change(item.notes)
    elif isinstance(item, set):
        item.add(99)
    elif isinstance(item, bytearray):
        item += b"z"
    elif isinstance(item, np.ndarray):
        if item.dtype == object:
            for part in item.flat:
                change(part)
        else:
            torch.from_numpy(item).add_(99)  # as a read-only array would let it do, but for a warning
    elif isinstance(item, torch.Tensor):
        item.data.add_(99)  # the counter of changes does not see it
    elif isinstance(item, Image.Image):
        item.paste((0, 0, 0), (0, 0, 2, 2))


@node("ch_make")
def make(kind: str = "list") -> Any:
    """A value that can be changed."""
    return SAMPLES[kind]()


@node("ch_change")
def changes(item: Any, n: int = 0) -> str:
    """Change it, and show it."""
    change(item)
    return shown(item)


@node("ch_change_and_return")
def changes_and_returns(item: Any) -> Any:
    """What nodes elsewhere often do."""
    change(item)
    return item


@node("ch_change_lazy")
def changes_lazy(item: Lazy[Any], n: int = 0) -> str:
    """Ask for it, change it, ask again: it is the same."""
    change(item())
    return shown(item())


@node("ch_change_later")
async def changes_later(item: Any, n: int = 0) -> str:
    """The same on the event loop."""
    await asyncio.sleep(0)
    change(item)
    return shown(item)


@node("ch_await")
async def awaits(item: Lazy[Any], n: int = 0) -> str:
    """The same for what is awaited."""
    change(await item)
    return shown(await item)


@node("ch_show")
def show(item: Any, n: int = 0) -> str:
    """All that is in it."""
    return shown(item)


@node("ch_show_lazy")
def show_lazy(item: Lazy[Any], n: int = 0) -> str:
    """All that is in it, when it is asked for."""
    return shown(item())


@node("ch_both")
def both(a: Any, b: Any) -> str:
    """Two inputs of one value: they have nothing in common."""
    change(a)
    return shown(b)


@node("ch_change_items")
def changes_items(items: list[Any], other: Any = None) -> str:
    """Change the items, the last one first, and show the rest."""
    change(items.pop())
    return shown([*items, other])


@node("ch_default")
def changes_its_default(n: int = 0, items: list[int] = [1]) -> str:  # noqa: B006
    """Change the list that is there when none is given."""
    change(items)
    return shown(items)


KEPT: dict[str, Any] = {}


@node("ch_keep", cache="pure", fingerprint=lambda **inputs: "the code of this node is what is in its key")
def keep(kind: str, n: int) -> Any:
    """Return what is kept from call to call, changed each time."""
    if kind in KEPT:
        change(KEPT[kind])
    else:
        KEPT[kind] = SAMPLES[kind]()
    return KEPT[kind]


@node("ch_give")
def gives(items: list[Any], first: str = "", alone: bool = False) -> str | Graph:
    """A graph that is given the items, after they were changed."""
    if first == "change":
        change(items)
    if first == "pop":
        items.pop(0)
    with Graph() as graph:
        graph.returns(show(graph.given(items[0] if alone else items)))
    return graph


NODES: list[Node[..., Any]] = [
    make, changes, changes_and_returns, changes_lazy, changes_later, awaits, show, show_lazy, both, changes_items,
    changes_its_default, keep,
    gives,
]  # fmt: skip


def catalogue() -> Catalogue:
    return Catalogue([*NODES, *FLOW])
