"""What a document is worth, the slow and obvious way: each node by itself, on copies of what it is given.

It is lazy as the engine has to be: a node that breaks and that nobody needs breaks nothing.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.engine.fuzz.nodes import CATALOGUES, describe, folded
from weft.engine import Catalogue


class BoomError(Exception):
    """A node broke."""


def _python(seed: int, count: int = 2) -> int:
    numbers = random.Random(seed)
    return folded([numbers.randrange(10_000) for _ in range(count)], 0)


def _numpy(seed: int, count: int = 2) -> int:
    numbers = np.random.RandomState(seed % 1000)
    return folded([int(numbers.randint(10_000)) for _ in range(count)], 0)


def _weigh(x: int, k: int) -> int:
    return (x * 31 + k * 7) % 1_000_003


def _any(items: list[Any], k: Any) -> int:
    return folded([describe(item) for item in [*items, k]])


def _sheet(items: list[int], k: int) -> int:
    return folded([_weigh(item, k) for item in items], k)


PLAIN: Mapping[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "on_io": lambda a, b: a - b,
    "on_device": max,
    "on_loop": min,
    "weigh": _weigh,
    "compare": lambda a, b: a < b,
    "unfolds": lambda a, rounds: a if a % 3 == 0 else a + 2 * rounds,
    "repeat": lambda value, times, **rest: value + times,
    "sheet": _sheet,
    "sheet_list": lambda items, k: [item - k for item in items],
    "sheet_mapped": lambda items, k: [_weigh(item, k) for item in items],
    "sheet_any": _any,
    "sheets": lambda items, k: folded([*(_sheet([item, k], 1) for item in items), _sheet(items, k)]),
    "draws_python": _python,
    "draws_numpy": _numpy,
    "draws_declared": lambda seed, count: _python(seed, count) + 1,
    "disturbs": lambda a: a,
    "patient": lambda a: a + 300,
    "told": lambda a: a * 2,
}
"""Those whose own function does not say by itself what they come to."""


class Evaluator:
    """Values of one document.

    Args:
        amount: what the factory's node closes over.
        more: functions of other nodes by type, by the names of their inputs.
    """

    def __init__(
        self,
        document: Mapping[str, Any],
        amount: int = 2,
        more: Mapping[str, Callable[..., Any]] | None = None,
        catalogue: Catalogue = CATALOGUES[0],
    ) -> None:
        self.nodes = document["nodes"]
        self.catalogue = catalogue
        self.functions = {**PLAIN, "made": lambda a: a * amount + 1, **(more or {})}
        self.memo: dict[Any, Any] = {}

    def of(self, item: Any, at: Mapping[str, int]) -> Any:
        """An input."""
        if isinstance(item, list):
            return [self.of(part, at) for part in item]
        if isinstance(item, dict):
            return self.node(item["link"], at) if "link" in item else dict(item)
        return item

    def node(self, id: str, at: Mapping[str, int]) -> Any:
        """What a node comes to where these items are chosen; nobody else has that value."""
        key = (id, tuple(sorted(at.items())))
        if key not in self.memo:
            self.memo[key] = self.compute(id, at)
        return copy.deepcopy(self.memo[key])

    def compute(self, id: str, at: Mapping[str, int]) -> Any:
        """The node's own doing."""
        kind, inputs = self.nodes[id]["type"], self.nodes[id]["inputs"]
        match kind:
            case "boom":
                self.of(inputs["value"], at)
                raise BoomError
            case "if":
                return self.of(inputs["then" if self.of(inputs["condition"], at) else "otherwise"], at)
            case "switch":
                return self.of(inputs["options"][inputs["which"]], at)
            case "asks":
                first = self.of(inputs["a"], at)
                return first if first % 2 else self.of(inputs["b"], at)
            case "map_over":
                return self.of(inputs["items"], at)[at[inputs["axis"]]]
            case "collect":
                axis = inputs["axis"]
                return [self.of(inputs["item"], {**at, axis: index}) for index in range(self.length(axis, at))]
        values = {name: self.of(item, at) for name, item in inputs.items()}
        if kind == "named":
            return folded([ord(letter) for letter in id], values["a"])
        function = self.functions.get(kind)
        if function is max or function is min:
            return function(values.values())
        if function is None:
            node_type = self.catalogue.get(kind)
            assert node_type is not None
            function = node_type.fn
        if kind in ("reads_file", "reads_files"):
            values = {name: self.paths(item) if name.startswith("path") else item for name, item in values.items()}
        return function(**values)

    @staticmethod
    def paths(item: Any) -> Any:
        """Texts as paths."""
        return [Path(part) for part in item] if isinstance(item, list) else Path(item)

    def length(self, axis: str, at: Mapping[str, int]) -> int:
        """How many items an axis has."""
        lists = [
            spec["inputs"]["items"]
            for spec in self.nodes.values()
            if spec["type"] == "map_over" and spec["inputs"].get("axis") == axis
        ]
        for items in lists:  # all are of one length, and what is in them may not be needed, or break
            if isinstance(items, list):
                return len(items)
        return len(self.of(lists[0], at))

    def target(self, id: str) -> Any:
        """The value of a node; of one that runs per item, lists of them."""
        return self.lists(id, list(self.axes(id)), {})

    def lists(self, id: str, axes: list[str], at: Mapping[str, int]) -> Any:
        """Over what is left of the axes."""
        if not axes:
            return self.node(id, at)
        return [self.lists(id, axes[1:], {**at, axes[0]: index}) for index in range(self.length(axes[0], at))]

    def axes(self, id: str) -> tuple[str, ...]:
        """In the order of the node's own inputs, as a target's lists are nested."""
        kind, inputs = self.nodes[id]["type"], self.nodes[id]["inputs"]
        node_type = self.catalogue.get(kind)
        found: tuple[str, ...] = ()
        for name in inputs if node_type is None else node_type.inputs:
            item = inputs.get(name)
            for part in item if isinstance(item, list) else [item]:
                if isinstance(part, dict) and "link" in part:
                    found += tuple(axis for axis in self.axes(part["link"]) if axis not in found)
        axis = inputs.get("axis")
        if kind == "collect":
            return tuple(other for other in found if other != axis)
        return (*found, axis) if kind == "map_over" else found


def expected(evaluator: Evaluator, targets: list[str]) -> list[Any] | None:
    """The targets' values, or None when one of them cannot be had."""
    try:
        return [evaluator.target(target) for target in targets]
    except BoomError:
        return None
