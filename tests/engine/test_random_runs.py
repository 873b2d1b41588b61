"""Random graphs with choices, lists, loops and lanes against a plain recursive evaluator, through failures and cancels.

The evaluator is lazy as the engine has to be: a node that breaks and that nobody needs breaks nothing.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.flow import catalogue, link
from tests.engine.fuzz.nodes import asks, on_device, on_io, on_loop, unfolds
from weft.engine import Cache, Cancelled, CancelToken, RunFailed, Settings, check, run
from weft.engine.events import Event
from weft.engine.running.lanes import LaneSizes

MORE = (on_io, on_device, on_loop, asks, unfolds)
CATALOGUE = catalogue(*MORE)
BINARY = ("add", "on_io", "on_device", "on_loop", "asks")


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Nodes over whole numbers that link to any drawn before; some run per item of lists, which may be nested."""
    nodes: dict[str, Any] = {}
    axes: dict[str, frozenset[str]] = {}
    inside: dict[str, frozenset[str]] = {}

    def add(type: str, inputs: dict[str, Any], over: frozenset[str]) -> str:
        id = f"n{len(nodes)}"
        nodes[id] = {"type": type, "inputs": inputs}
        axes[id] = over
        return id

    def source() -> tuple[Any, frozenset[str]]:
        ints = [id for id in axes if len(axes[id]) < 3]
        if ints and draw(st.integers(0, 4)):
            id = draw(st.sampled_from(ints))
            return link(id), axes[id]
        return draw(st.integers(-6, 6)), frozenset()

    for _ in range(draw(st.integers(1, 9))):
        kind = draw(
            st.sampled_from([*BINARY, *BINARY, "if", "switch", "map", "map", "unfolds", "repeat", "boom", "gather"])
        )
        first, over = source()
        second, more = source()
        both = over | more
        if kind in BINARY:
            add(kind, {"a": first, "b": second}, both)
        elif kind == "if":
            compare = add("compare", {"a": first, "b": 0}, over)
            axes.pop(compare)  # no number
            third, extra = source()
            add("if", {"condition": link(compare), "then": second, "otherwise": third}, both | extra)
        elif kind == "switch":
            add("switch", {"which": draw(st.integers(0, 1)), "options": [first, second]}, both)
        elif kind == "unfolds":
            add("unfolds", {"a": first, "rounds": draw(st.integers(1, 3))}, over)
        elif kind == "repeat":
            add("repeat", {"value": first, "body": "add", "feed": "a", "times": draw(st.integers(0, 3))}, over)
        elif kind == "boom" and not draw(st.integers(0, 2)):
            add("boom", {"value": first}, over)
        elif kind == "map" and len(both) < 2:
            axis = f"axis{len(nodes)}"
            items = draw(st.lists(st.sampled_from([first, second, 1, 2]), max_size=3))
            over = frozenset().union(*(axes[item["link"]] for item in items if isinstance(item, dict)))
            inside[axis] = over
            id = add("map_over", {"items": items, "axis": axis}, over | {axis})
            add("add", {"a": link(id), "b": second}, over | {axis} | more)
        mapped = [id for id in axes if axes[id]]
        if mapped and draw(st.booleans()):
            id = draw(st.sampled_from(mapped))
            free = [
                axis
                for axis in sorted(axes[id])
                if not any(axis in inside[other] for other in axes[id] if other in inside)
            ]
            if free:
                axis = draw(st.sampled_from(free))
                rest = axes[id] - {axis}
                back = add("collect", {"item": link(id), "axis": axis}, rest)
                axes.pop(back)  # a list, not a number
                add("total", {"items": link(back)}, rest)
    order = draw(st.permutations(list(nodes)))
    return {"weft": 1, "nodes": {id: nodes[id] for id in order}}


class BoomError(Exception):
    """A node broke."""


class Evaluator:
    """What a document is worth, the slow and obvious way."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.nodes = document["nodes"]
        self.memo: dict[Any, Any] = {}

    def of(self, item: Any, at: dict[str, int]) -> Any:
        if isinstance(item, list):
            return [self.of(part, at) for part in item]
        return self.node(item["link"], at) if isinstance(item, dict) else item

    def node(self, id: str, at: dict[str, int]) -> Any:
        key = (id, tuple(sorted(at.items())))
        if key not in self.memo:
            self.memo[key] = self.compute(id, at)
        return self.memo[key]

    def compute(self, id: str, at: dict[str, int]) -> Any:
        kind, inputs = self.nodes[id]["type"], self.nodes[id]["inputs"]
        a, b = inputs.get("a"), inputs.get("b")
        match kind:
            case "boom":
                self.of(inputs["value"], at)
                raise BoomError
            case "if":
                return self.of(inputs["then" if self.of(inputs["condition"], at) else "otherwise"], at)
            case "switch":
                return self.of(inputs["options"][inputs["which"]], at)
            case "compare":
                return self.of(a, at) < b
            case "map_over":
                return self.of(inputs["items"], at)[at[inputs["axis"]]]
            case "collect":
                axis = inputs["axis"]
                spread = next(
                    id
                    for id, spec in self.nodes.items()
                    if spec["inputs"].get("axis") == axis and spec["type"] == "map_over"
                )
                count = len(self.of(self.nodes[spread]["inputs"]["items"], at))
                return [self.of(inputs["item"], {**at, axis: index}) for index in range(count)]
            case "total":
                items = self.of(inputs["items"], at)
                if not isinstance(items, list):
                    items = [items]
                return sum(items)
            case "unfolds":
                value = self.of(a, at)
                return value if value % 3 == 0 else value + 2 * inputs["rounds"]
            case "repeat":
                return self.of(inputs["value"], at) + inputs["times"]
        a = self.of(a, at)
        if kind == "asks":
            return a if a % 2 else self.of(b, at)
        b = self.of(b, at)
        return {"add": a + b, "on_io": a - b, "on_device": max(a, b), "on_loop": min(a, b)}[kind]

    def target(self, id: str) -> Any:
        """The value of a node; of one that runs per item, lists of them."""
        return self.lists(id, list(self.axes(id)), {})

    def lists(self, id: str, axes: list[str], at: dict[str, int]) -> Any:
        if not axes:
            return self.node(id, at)
        spread = next(
            other
            for other, spec in self.nodes.items()
            if spec["inputs"].get("axis") == axes[0] and spec["type"] == "map_over"
        )
        count = len(self.of(self.nodes[spread]["inputs"]["items"], at))
        return [self.lists(id, axes[1:], {**at, axes[0]: index}) for index in range(count)]

    def axes(self, id: str) -> tuple[str, ...]:
        """In the order of the inputs, as a target's lists are nested."""
        found: tuple[str, ...] = ()
        for item in self.nodes[id]["inputs"].values():
            for part in item if isinstance(item, list) else [item]:
                if isinstance(part, dict):
                    found += tuple(axis for axis in self.axes(part["link"]) if axis not in found)
        kind, axis = self.nodes[id]["type"], self.nodes[id]["inputs"].get("axis")
        if kind == "collect":
            return tuple(other for other in found if other != axis)
        return (*found, axis) if kind == "map_over" else found


LANES = st.builds(LaneSizes, cpu=st.integers(1, 4), io=st.integers(1, 3), device=st.just(1), tasks=st.integers(1, 8))
SETTINGS = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def expected(document: dict[str, Any], targets: list[str]) -> list[Any] | None:
    """The targets' values, or None when one of them cannot be had."""
    evaluator = Evaluator(document)
    try:
        return [evaluator.target(target) for target in targets]
    except BoomError:
        return None


@given(documents(), st.data())
@SETTINGS
def test_results_are_those_of_plain_evaluation(document: dict[str, Any], data: st.DataObject) -> None:
    ids = sorted(document["nodes"])
    if not ids:
        return
    targets = data.draw(st.lists(st.sampled_from(ids), min_size=1, max_size=4, unique=True))
    assert check(document, CATALOGUE, targets=targets) == []
    wanted = expected(document, targets)
    caches = [Cache(), Cache.none(), Cache(memory_bytes=1500)]
    for _ in range(2):
        options: dict[str, Any] = {
            "cache": data.draw(st.sampled_from(caches)),
            "settings": Settings(lanes=data.draw(LANES)),
        }
        if wanted is None:
            with pytest.raises(RunFailed, match="it broke"):
                run(document, targets, catalogue=CATALOGUE, **options)
        else:
            result = run(document, targets, catalogue=CATALOGUE, **options)
            assert [result[target] for target in targets] == wanted


@given(documents(), st.data())
@SETTINGS
def test_cancels_leave_a_cache_that_is_right(document: dict[str, Any], data: st.DataObject) -> None:
    targets = sorted(document["nodes"])[:5]
    if not targets:
        return
    cache = Cache()
    stop_after = data.draw(st.integers(0, 12))
    token, seen = CancelToken(), 0

    def count(event: Event) -> None:
        nonlocal seen
        seen += event.event in ("node_started", "node_progress")
        if seen > stop_after:
            token.cancel()

    wanted = expected(document, targets)
    try:
        run(document, targets, catalogue=CATALOGUE, cache=cache, cancel=token, on_event=count)
    except Cancelled:
        assert seen > stop_after
    except RunFailed:
        assert wanted is None
    if wanted is not None:
        result = run(document, targets, catalogue=CATALOGUE, cache=cache, settings=Settings(lanes=data.draw(LANES)))
        assert [result[target] for target in targets] == wanted
        assert run(document, targets, catalogue=CATALOGUE, cache=cache).ran == 0
