"""The nodes that random documents are made of: each depends on the order, the type or the place of what it is given.

What a node gives never looks right by accident: sums that do not care for order, say, would hide two values that were
taken for each other.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path
from typing import Any

import numpy as np

from tests.engine import toys
from tests.engine.flow import catalogue
from weft.engine import Catalogue, Context, Lazy, Node, node
from weft.graphs import Graph
from weft.nodes.basic import items as flow_items

PRIME = 1_000_003


def folded(items: list[int], start: int = 7) -> int:
    """A number that depends on each item and on their order."""
    for item in items:
        start = (start * 31 + item) % PRIME
    return start


# -- lanes


@node("on_io", resource="io")
def on_io(a: int, b: int = 1) -> int:
    """Subtract, with a little wait."""
    time.sleep(0.0002 if a % 3 == 1 else 0)
    return a - b


@node("on_device", resource="device")
def on_device(a: int, b: int = 1) -> int:
    """The larger."""
    time.sleep(0.0005 if a % 7 == 1 else 0)
    return max(a, b)


@node("on_loop")
async def on_loop(a: int, b: int = 1) -> int:
    """The smaller, asynchronously."""
    await asyncio.sleep(0.0003 if b % 2 else 0)
    return min(a, b)


@node("asks", resource="device")
def asks(a: int, b: Lazy[int]) -> int:
    """Asks in the middle for what it may need."""
    return a if a % 2 else b()


@node("weigh")
def weigh(x: int, k: int = 3) -> int:
    """Depends on both, and on which is which."""
    return (x * 31 + k * 7) % PRIME


@node("patient")
def patient(a: int, ctx: Context | None = None) -> int:
    """Stops early when the run is cancelled, and then has only half."""
    assert ctx is not None
    total = a
    for step in range(3):
        if ctx.cancelled:
            break
        time.sleep(0.0001)
        total += step * 100
    return total


@node("named")
def named(a: int, ctx: Context | None = None) -> int:
    """Depends on its id."""
    assert ctx is not None
    return folded([ord(letter) for letter in ctx.node_id], a)


@node("told")
def told(a: int, ctx: Context | None = None) -> int:
    """Reports, and is cancelled while it does."""
    assert ctx is not None
    for step in range(2):
        ctx.progress(step + 1, 2)
    return a * 2


# -- lists, tables and arrays


@node("listing")
def listing(a: int, n: int = 2) -> list[int]:
    """As many numbers, from one on."""
    return [a + place * 5 for place in range(n)]


@node("gathered")
def gathered(items: list[int]) -> list[int]:
    """The list."""
    return list(items)


@node("fold")
def fold(items: list[int], start: int = 7) -> int:
    """One number of many, by their order."""
    return folded(items, start)


@node("table")
def table(a: int, b: int = 2, swapped: bool = False) -> dict[str, int]:
    """The same entries in either order."""
    return {"q": b, "p": a} if swapped else {"p": a, "q": b}


@node("reads_table")
def reads_table(table: dict[str, int]) -> int:
    """Depends on the order of the entries."""
    return folded([value * 17 + ord(name[0]) for name, value in table.items()])


@node("things")
def things(values: list[Any]) -> list[Any]:
    """Anything."""
    return values


@node("describe")
def describe(x: Any) -> int:
    """Depends on the type too: `1`, `1.0`, `True` and `"1"` are four."""
    return folded([ord(letter) for letter in f"{type(x).__name__}:{x!r}"])


@node("array")
def array(a: int, n: int = 2) -> np.ndarray:
    """As many numbers, from one on."""
    return np.arange(a, a + n, dtype=np.int64)


@node("reads_array")
def reads_array(array: np.ndarray) -> int:
    """One number of many, by their order."""
    return folded([int(item) for item in array])


@node("reads_file")
def reads_file(path: Path, k: int = 1) -> int:
    """What a file says."""
    return folded([int(path.read_text())], k)


@node("reads_files")
def reads_files(paths: list[Path]) -> int:
    """What some files say."""
    return folded([int(path.read_text()) for path in paths])


# -- graphs that nodes return


@node("unfolds")
def unfolds(a: int, rounds: int) -> int | Graph:
    """Either a value or a graph."""
    if a % 3 == 0:
        return a
    with Graph() as graph:
        state = graph.given(a)
        for _ in range(rounds):
            state = toys.add(state, 2)
        graph.returns(state)
    return graph


@node("sheet")
def sheet(items: list[int], k: int = 1) -> int | Graph:
    """A graph over the items of a list."""
    with Graph() as graph:
        graph.returns(fold([weigh(graph.given(item), k) for item in items], k))
    return graph


@node("sheet_list")
def sheet_list(items: list[int], k: int = 1) -> list[int] | Graph:
    """A graph over the items of a list, which gives one."""
    with Graph() as graph:
        graph.returns(gathered([on_io(graph.given(item), graph.given(k)) for item in items]))
    return graph


@node("sheet_mapped")
def sheet_mapped(items: list[int], k: int = 1) -> list[int] | Graph:
    """A graph that goes over a list by itself."""
    with Graph() as graph:
        item = flow_items.map_over(graph.given(items), "inner")
        graph.returns(flow_items.collect(weigh(item, k), "inner"))
    return graph


@node("sheet_any")
def sheet_any(items: list[Any], k: Any = 1) -> int | Graph:
    """A graph over items that are equal and not the same, beside another value that is one of them."""
    with Graph() as graph:
        graph.returns(fold([describe(graph.given(item)) for item in [*items, k]]))
    return graph


@node("sheets")
def sheets(items: list[int], k: int = 1) -> int | Graph:
    """A graph of nodes that return graphs."""
    with Graph() as graph:
        whole = graph.given(items)
        graph.returns(fold([*(sheet([graph.given(item), k]) for item in items), sheet(whole, k)]))
    return graph


# -- generators that the whole process shares


@node("draws_python")
def draws_python(seed: int, count: int = 2) -> int:
    """As a sampler with a global seed does."""
    random.seed(seed)
    total = 0
    for _ in range(count):
        time.sleep(0.0001)
        total = folded([random.randrange(10_000)], total)
    return total


@node("draws_numpy")
def draws_numpy(seed: int, count: int = 2) -> int:
    """As a sampler with a global seed does."""
    np.random.seed(seed % 1000)
    total = 0
    for _ in range(count):
        time.sleep(0.0001)
        total = folded([int(np.random.randint(10_000))], total)
    return total


@node("draws_declared", global_random=True)
def draws_declared(seed: int, count: int = 2) -> int:
    """Says that it draws."""
    return draws_python.node_type.fn(seed, count) + 1  # type: ignore[no-any-return]


@node("disturbs", cache="never")
def disturbs(a: int) -> int:
    """Draws without a seed, which must be nobody's matter."""
    for _ in range(3):
        random.random()
        np.random.rand()
    return a


# -- nodes that change what they are given


@node("sorts")
def sorts(items: list[int]) -> list[int]:
    """Sorts its input in place."""
    items.sort(reverse=True)
    items.append(len(items))
    return items


@node("empties")
def empties(table: dict[str, int]) -> int:
    """Takes the entries out."""
    total = 0
    while table:
        total = folded([table.popitem()[1]], total)
    return total


@node("doubles")
def doubles(array: np.ndarray) -> np.ndarray:
    """In place."""
    array *= 2
    return array


# -- factories


def factory(amount: int) -> Node[..., Any]:
    """Nodes of one code and one name, that differ in what they close over."""

    def inner(a: int) -> int:
        return a * amount + 1

    @node("made")
    def made(a: int) -> int:
        return inner(a)

    return made


AMOUNTS = (2, 3)
NODES: list[Node[..., Any]] = [item for item in list(globals().values()) if isinstance(item, Node)]
CATALOGUES: tuple[Catalogue, ...] = tuple(catalogue(*NODES, factory(amount)) for amount in AMOUNTS)
"""One for each amount: to the cache nothing but the closures tells their nodes apart."""
