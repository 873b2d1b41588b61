"""Random documents, drawn from a seed: nodes that link to any drawn before, some of which run per item of lists."""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Document = dict[str, Any]
Axes = frozenset[str]

BINARY = ("add", "on_io", "on_device", "on_loop", "asks", "weigh")
TWO: dict[str, tuple[str, str]] = dict.fromkeys(BINARY, ("a", "b")) | {"weigh": ("x", "k")}
THINGS = (1, True, 1.0, "1", None, 0, False, "", [1], [True], {"p": 1}, 2)
"""Values that are equal, or look alike, and are not the same."""

KINDS = (
    *BINARY,
    *("if", "switch", "map", "map", "unfolds", "repeat", "collect", "collect", "sheet", "sheet", "sheet_list"),
    *(
        "sheet_mapped",
        "sheet_any",
        "sheets",
        "fold",
        "table",
        "array",
        "made",
        "made",
        "patient",
        "named",
        "named",
        "told",
        "listing",
    ),
    *("table_items", "random", "random", "breaks", "changes", "files", "packed"),
)


@dataclass(frozen=True)
class Drawn:
    """What may be drawn.

    Attributes:
        draws: nodes that draw from the generators of the process.
        changes: nodes that change their inputs in place.
        breaks: nodes that fail.
        files: that nodes may read.
        packed: types of a pack, which take `a`.
    """

    draws: bool = True
    changes: bool = False
    breaks: bool = True
    files: tuple[Path, ...] = ()
    packed: tuple[str, ...] = ()


@dataclass
class Drawing:
    """One document while it is drawn."""

    rng: random.Random
    drawn: Drawn = field(default_factory=Drawn)
    nodes: dict[str, Any] = field(default_factory=dict)
    axes: dict[str, Axes] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    inside: dict[str, Axes] = field(default_factory=dict)

    def document(self, most: int = 9) -> Document:
        """A whole one."""
        for _ in range(self.rng.randint(1, most)):
            self.one()
        ids = list(self.nodes)
        self.rng.shuffle(ids)
        return {"weft": 1, "nodes": {id: self.nodes[id] for id in ids}}

    def add(self, type: str, inputs: dict[str, Any], over: Axes, kind: str = "int") -> str:
        id = f"n{len(self.nodes)}"
        names = list(inputs)
        self.rng.shuffle(names)
        self.nodes[id] = {"type": type, "inputs": {name: inputs[name] for name in names}}
        self.axes[id] = over
        self.kinds[id] = kind
        return id

    def of(self, kind: str) -> str | None:
        """Some node of a kind that does not run over too much, or none."""
        there = [id for id, known in self.kinds.items() if known == kind and len(self.axes[id]) < 3]
        return self.rng.choice(there) if there else None

    def number(self) -> tuple[Any, Axes]:
        """An int: literal, or over a link."""
        id = self.of("int") if self.rng.random() < 0.75 else None
        return (link(id), self.axes[id]) if id is not None else (self.rng.randint(-6, 6), frozenset())

    def items(self) -> tuple[Any, Axes]:
        """A list of ints: over a link, literal, or literal with links in it."""
        id = self.of("list") if self.rng.random() < 0.7 else None
        if id is not None:
            return link(id), self.axes[id]
        numbers = [self.number() for _ in range(self.rng.randint(0, 3))]
        return [item for item, _ in numbers], frozenset[str]().union(*(over for _, over in numbers))

    def made(self, kind: str) -> tuple[Any, Axes]:
        """Something of a kind, over a link."""
        id = self.of(kind) if self.rng.random() < 0.7 else None
        if id is None:
            item, over = self.number()
            other, more = self.number()
            count = self.rng.randint(0, 3)
            id = {
                "list": lambda: self.add("listing", {"a": item, "n": count}, over, "list"),
                "array": lambda: self.add("array", {"a": item, "n": count}, over, "array"),
                "dict": lambda: self.add(
                    "table", {"a": item, "b": other, "swapped": self.rng.random() < 0.5}, over | more, "dict"
                ),
            }[kind]()
        return link(id), self.axes[id]

    def table(self) -> tuple[Any, Axes]:
        """A dict, literal or over a link."""
        if self.rng.random() < 0.5:
            return self.made("dict")
        entries = [("p", self.rng.randint(0, 2)), ("q", self.rng.randint(0, 2)), ("r", 1)]
        self.rng.shuffle(entries)
        return dict(entries), frozenset()

    def one(self) -> None:
        """One node more, or some that go together."""
        rng, drawn = self.rng, self.drawn
        kind = rng.choice(KINDS)
        first, over = self.number()
        second, more = self.number()
        both = over | more
        if kind in BINARY:
            one, other = TWO[kind]
            self.add(kind, {one: first, other: second}, both)
        elif kind == "if":
            compare = self.add("compare", {"a": first, "b": 0}, over, "bool")
            third, extra = self.number()
            self.add("if", {"condition": link(compare), "then": second, "otherwise": third}, both | extra)
        elif kind == "switch":
            self.add("switch", {"which": rng.randint(0, 1), "options": [first, second]}, both)
        elif kind == "unfolds":
            self.add("unfolds", {"a": first, "rounds": rng.randint(1, 3)}, over)
        elif kind == "repeat":
            self.add("repeat", {"value": first, "body": "add", "feed": "a", "times": rng.randint(0, 3)}, over)
        elif kind == "listing":
            self.add("listing", {"a": first, "n": rng.randint(0, 3)}, over, "list")
        elif kind in ("made", "patient", "named", "told"):
            self.add(kind, {"a": first}, over)
        elif kind in ("sheet", "sheets", "sheet_list", "sheet_mapped", "fold"):
            items, more = self.items()
            other = {"fold": "start"}.get(kind, "k")
            self.add(kind, {"items": items, other: first}, over | more, "list" if "_" in kind else "int")
        elif kind == "sheet_any":
            items: Any = [rng.choice(THINGS) for _ in range(rng.randint(0, 4))]
            if rng.random() < 0.7:
                items = link(self.add("things", {"values": items}, frozenset(), "things"))
            self.add("sheet_any", {"items": items, "k": rng.choice(THINGS)}, frozenset())
        elif kind == "table":
            item, more = self.table()
            self.add("reads_table", {"table": item}, more)
        elif kind == "array":
            item, more = self.made("array")
            self.add("reads_array", {"array": item}, more)
        elif kind == "map" and len(both) < 2:
            self.map(first, second, more)
        elif kind == "table_items" and len(self.inside) < 3:
            self.map_tables()
        elif kind == "collect":
            self.collect()
        elif kind == "random" and drawn.draws:
            name = rng.choice(["draws_python", "draws_numpy", "draws_declared", "disturbs"])
            if name == "disturbs":
                self.add(name, {"a": first}, over)
            else:
                self.add(name, {"seed": first, "count": rng.randint(1, 3)}, over)
        elif kind == "breaks" and drawn.breaks and rng.random() < 0.3:
            self.add("boom", {"value": first}, over)
        elif kind == "changes" and drawn.changes:
            self.change()
        elif kind == "files" and drawn.files:
            if rng.random() < 0.5:
                self.add("reads_file", {"path": str(rng.choice(drawn.files)), "k": rng.randint(0, 1)}, frozenset())
            else:
                paths = [str(rng.choice(drawn.files)) for _ in range(rng.randint(0, 3))]
                self.add("reads_files", {"paths": paths}, frozenset())
        elif kind == "packed" and drawn.packed:
            self.add(rng.choice(drawn.packed), {"a": first}, over)
        else:
            self.add("weigh", {"x": first, "k": second}, both)

    def map(self, first: Any, second: Any, more: Axes) -> None:
        """Nodes that run per item: of a literal list, of a list over a link, or of two side by side."""
        rng = self.rng
        axis = f"axis{len(self.nodes)}"
        items, over = self.items()
        if isinstance(items, list) and rng.random() < 0.5:
            items = [*items, first]
            over |= self.axes[first["link"]] if isinstance(first, dict) else frozenset()
        if len(over | more) > 1:
            return
        self.inside[axis] = over
        id = self.add("map_over", {"items": items, "axis": axis}, over | {axis})
        other = second
        if isinstance(items, list) and not over and rng.random() < 0.3:
            beside = [rng.randint(-3, 3) for _ in items]
            other = link(self.add("map_over", {"items": beside, "axis": axis}, frozenset({axis})))
            more = frozenset()
        self.add("weigh", {"x": link(id), "k": other}, over | {axis} | more)

    def map_tables(self) -> None:
        """Per item of a list of tables, some of which differ in the order of their entries alone."""
        axis = f"axis{len(self.nodes)}"
        tables = [self.table() for _ in range(self.rng.randint(1, 3))]
        if any(over for _, over in tables):
            return
        self.inside[axis] = frozenset()
        id = self.add("map_over", {"items": [item for item, _ in tables], "axis": axis}, frozenset({axis}), "dict")
        self.add("reads_table", {"table": link(id)}, frozenset({axis}))

    def collect(self) -> None:
        """A list again, from some node that runs per item."""
        mapped = [id for id in self.axes if self.axes[id] and self.kinds[id] == "int"]
        if not mapped:
            return
        id = self.rng.choice(mapped)
        over = self.axes[id]
        free = [
            axis
            for axis in sorted(over)
            if not any(axis in self.inside[other] for other in over if other in self.inside)
        ]
        if free:
            axis = self.rng.choice(free)
            self.add("collect", {"item": link(id), "axis": axis}, over - {axis}, "list")

    def change(self) -> None:
        """A node that changes its input, and others that are given the same."""
        kind = self.rng.choice(["list", "dict", "array"])
        item, over = self.made(kind)
        reader = {"list": ("fold", "items"), "dict": ("reads_table", "table"), "array": ("reads_array", "array")}[kind]
        changer = {"list": ("sorts", "items"), "dict": ("empties", "table"), "array": ("doubles", "array")}[kind]
        for _ in range(self.rng.randint(1, 2)):
            self.add(changer[0], {changer[1]: item}, over, "int" if kind == "dict" else kind)
        self.add(reader[0], {reader[1]: item}, over)


def link(id: str) -> dict[str, str]:
    """A link to a node's first output."""
    return {"link": id}


def varied(document: Document, rng: random.Random) -> Document:
    """A document that is almost the same: what a cache is most likely to take it for."""
    found = copy.deepcopy(document)
    nodes: dict[str, Any] = found["nodes"]
    for _ in range(rng.randint(1, 3)):
        change = rng.randrange(5)
        id = rng.choice(list(nodes))
        inputs = nodes[id]["inputs"]
        if change == 0:
            ids = list(nodes)
            rng.shuffle(ids)
            found["nodes"] = nodes = {id: nodes[id] for id in ids}
        elif change == 1:
            names = list(inputs)
            rng.shuffle(names)
            nodes[id]["inputs"] = {name: inputs[name] for name in names}
        elif change == 2:
            names = [name for name in ("a", "b", "x", "k", "seed") if type(inputs.get(name)) is int]
            if names:
                inputs[rng.choice(names)] = rng.randint(0, 3)
        elif change == 3:
            for name, item in inputs.items():
                if isinstance(item, dict) and "link" not in item:
                    inputs[name] = dict(reversed(item.items()))
                elif name == "swapped":
                    inputs[name] = not item
        elif change == 4 and {"a", "b"} <= inputs.keys() and nodes[id]["type"] in BINARY:
            inputs["a"], inputs["b"] = inputs["b"], inputs["a"]
    return found
