"""What the engine itself costs: nodes that do nothing, in chains, wide graphs and a tree.

    python benchmarks/engine.py [--repeat 3] [--small] > engine.json

Prints one JSON object. Times are CPU microseconds per node (all threads of the process), the best of so many runs:
`check` looks the document over, `cold` runs one that nobody has seen before with an empty cache in memory, `cached`
runs the same Workflow again, `cached_new` another one that says the same and was just read, as a server does,
`one_leaf` runs it after one literal changed at the end of a branch, `cold_with_events` is `cold` with a listener.
`memory` is what a cold run leaves behind, in bytes per node, once its result is let go; `sweep_memory` the greatest
number of results alive at once in sweeps of 10, 100 and 1,000 images.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import sys
import time
import tracemalloc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from weft.engine import Cache, Catalogue, check, node, run
from weft.engine.events import Event
from weft.graphs import Workflow

AIMS = {"check": 15.0, "cold": 60.0, "cached": 15.0, "one_leaf": 20.0}


@node("bench.number")
def number(value: int = 0) -> int:
    """A number."""
    return value


@node("bench.add")
def add(a: int, b: int = 1) -> int:
    """Two numbers."""
    return a + b


@node("bench.total", output=True)
def total(items: list[int]) -> int:
    """Many numbers."""
    return sum(items)


class Result:
    """Something whose end can be seen."""


ALIVE: weakref.WeakSet[Result] = weakref.WeakSet()
MOST = [0]


def _made() -> Result:
    made = Result()
    ALIVE.add(made)
    MOST[0] = max(MOST[0], len(ALIVE))
    return made


@node("bench.make", resource="device")
def make(seed: int) -> Any:
    """An image, as it were."""
    return _made()


@node("bench.alter", resource="device")
def alter(image: Any) -> Any:
    """Another one."""
    return _made()


@node("bench.save", output=True)
def save(image: Any) -> int:
    """All that stays of it."""
    return 1


CATALOGUE = Catalogue([number, add, total, make, alter, save])
Nodes = dict[str, dict[str, Any]]


def link(id: str) -> dict[str, str]:
    return {"link": id}


def chain(count: int) -> Nodes:
    """Each takes the one before."""
    nodes: Nodes = {"n0": {"type": "bench.number", "inputs": {"value": 1}}}
    for i in range(1, count - 1):
        nodes[f"n{i}"] = {"type": "bench.add", "inputs": {"a": link(f"n{i - 1}"), "b": 1}}
    nodes["end"] = {"type": "bench.total", "inputs": {"items": [link(f"n{count - 2}")]}}
    return nodes


def wide(count: int) -> Nodes:
    """All but one feed the last."""
    nodes: Nodes = {f"n{i}": {"type": "bench.number", "inputs": {"value": i}} for i in range(count - 1)}
    nodes["end"] = {"type": "bench.total", "inputs": {"items": [link(f"n{i}") for i in range(count - 1)]}}
    return nodes


def tree(count: int) -> Nodes:
    """Each takes two, down to leaves."""
    first_leaf = count // 2
    nodes: Nodes = {}
    for i in range(count):
        if i >= first_leaf:
            nodes[f"n{i}"] = {"type": "bench.number", "inputs": {"value": i}}
        else:
            nodes[f"n{i}"] = {"type": "bench.add", "inputs": {"a": link(f"n{2 * i + 1}"), "b": link(f"n{2 * i + 2}")}}
    return nodes


SHAPES: dict[str, tuple[Callable[[int], Nodes], int, str, tuple[str, str]]] = {
    "chain_100": (chain, 100, "end", ("n98", "b")),
    "chain_1000": (chain, 1_000, "end", ("n998", "b")),
    "chain_10000": (chain, 10_000, "end", ("n9998", "b")),
    "wide_1000": (wide, 1_000, "end", ("n7", "value")),
    "wide_10000": (wide, 10_000, "end", ("n7", "value")),
    "tree_1023": (tree, 1_023, "n0", ("n1022", "value")),
}


def cpu_seconds(work: Callable[[], Any]) -> float:
    """CPU time of the whole process, so that no thread's is left out."""
    gc.collect()
    start = time.process_time()
    work()
    return time.process_time() - start


def best(repeat: int, work: Callable[[], Any]) -> float:
    return min(cpu_seconds(work) for _ in range(repeat))


def measure(shape: str, repeat: int) -> dict[str, float]:
    """The figures of one graph."""
    make_nodes, count, target, (leaf, name) = SHAPES[shape]
    nodes = make_nodes(count)
    workflow = Workflow.parse({"weft": 1, "nodes": nodes})

    def go(cache: Cache, document: Workflow = workflow, on_event: Callable[[Event], None] | None = None) -> Any:
        return run(document, [target], catalogue=CATALOGUE, cache=cache, on_event=on_event)

    def read_anew() -> Any:
        """As many documents as are measured, each of which runs once. All say the same."""
        return iter([Workflow.parse({"weft": 1, "nodes": nodes}) for _ in range(repeat + 2)])

    def unseen(first: int) -> Any:
        """The same, but each says something that none has said."""
        return iter([workflow.with_values({f"{leaf}.{name}": first - i}) for i in range(repeat)])

    def each(seconds: float) -> float:
        return round(seconds / count * 1e6, 2)

    go(Cache())  # imports, first calls
    figures = {"check": each(best(repeat, lambda: check(workflow, CATALOGUE, targets=[target])))}
    documents = unseen(-1)
    figures["cold"] = each(best(repeat, lambda: go(Cache(), next(documents))))
    cache = Cache()
    go(cache)
    figures["cached"] = each(best(repeat + 2, lambda: go(cache)))  # remembered from its second run on
    documents = read_anew()
    figures["cached_new"] = each(best(repeat + 2, lambda: go(cache, next(documents))))  # known from the third on
    changed = iter([workflow.with_values({f"{leaf}.{name}": 1_000_000 + i}) for i in range(repeat)])
    figures["one_leaf"] = each(best(repeat, lambda: go(cache, next(changed))))
    events: list[Event] = []
    document = next(unseen(-1_000_000))
    figures["cold_with_events"] = each(cpu_seconds(lambda: go(Cache(), document, events.append)))
    figures["event_bytes"] = round(sum(len(event.model_dump_json()) for event in events) / count, 1)
    figures["largest_event_bytes"] = max(len(event.model_dump_json()) for event in events)
    figures["memory"] = round(growth(lambda: go(Cache())) / count, 1)
    figures["wall"] = round(wall(lambda: go(Cache())) / count * 1e6, 2)
    return figures


def growth(work: Callable[[], Any]) -> int:
    """Bytes that are allocated after some work and were not before."""
    work()
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    work()
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return after - before


def wall(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def sweep_memory(count: int) -> int:
    """The greatest number of results alive at once, of three a picture."""
    nodes: Nodes = {}
    for i in range(count):
        nodes[f"m{i}"] = {"type": "bench.make", "inputs": {"seed": i}}
        nodes[f"a{i}"] = {"type": "bench.alter", "inputs": {"image": link(f"m{i}")}}
        nodes[f"s{i}"] = {"type": "bench.save", "inputs": {"image": link(f"a{i}")}}
    MOST[0] = 0
    run({"weft": 1, "nodes": nodes}, catalogue=CATALOGUE, cache=Cache.none())
    return MOST[0]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the best counts")
    parser.add_argument("--small", action="store_true", help="leave out the graphs of 10,000 nodes")
    options = parser.parse_args()
    shapes = [name for name in SHAPES if not (options.small and name.endswith("0000"))]
    figures = {name: measure(name, options.repeat) for name in shapes}
    beyond = [
        f"{shape}.{name} = {values[name]} > {aim}"
        for shape, values in figures.items()
        for name, aim in AIMS.items()
        if values[name] > aim
    ]
    growth_with_size = {
        f"{kind}.{name}": round(figures[f"{kind}_10000"][name] / figures[f"{kind}_1000"][name], 2)
        for kind in ("chain", "wide")
        if f"{kind}_10000" in figures
        for name in AIMS
    }
    report = {
        "machine": {"python": platform.python_version(), "system": platform.platform(), "cores": os.cpu_count()},
        "unit": "CPU microseconds per node, bytes per node",
        "aims": AIMS | {"10,000 against 1,000 nodes": 1.3, "event_bytes": 1000},
        "graphs": figures,
        "10,000 against 1,000 nodes": growth_with_size,
        "sweep_memory": {str(count): sweep_memory(count) for count in (10, 100, 1000)},
        "beyond the aims": beyond + [f"{name} x{ratio}" for name, ratio in growth_with_size.items() if ratio > 1.3],
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
