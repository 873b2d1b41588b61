"""Inputs that are computed when they are asked for, and nodes that choose."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from typing import Any

import pytest

from tests.engine.flow import catalogue, document, go, link, new_threads, no_thread_left, tale
from weft.engine import Cache, Context, Lazy, RunFailed, Settings, check, node
from weft.engine.events import Event
from weft.engine.running.lanes import LaneSizes
from weft.nodes.basic.choose import if_, switch


@node("or_else", resource="device")
def or_else(value: int, other: Lazy[int], least: int = 0) -> int:
    """Asks in the middle of its work."""
    return value if value >= least else other()


@node("on_device", resource="device")
def on_device(value: int) -> int:
    """Needs the lane that `or_else` has."""
    return value


@node("asks_async")
async def asks_async(value: Lazy[int], wanted: bool = True) -> int:
    """Awaits its input."""
    await asyncio.sleep(0)
    return await value if wanted else 0


def test_what_is_not_chosen_does_not_run(calls: Counter[str]) -> None:
    doc = document(
        c=("compare", {"a": link("n")}), n=("number", {"value": -1}), a=("add", {"a": link("n")}), b=("boom", {}),
        i=("if", {"condition": link("c"), "then": link("a"), "otherwise": link("b")}),
    )  # fmt: skip
    events: list[Event] = []
    assert go(doc, ["i"], on_event=events.append)["i"] == 0
    assert calls == {"number": 1, "add": 1}
    assert tale(events, "b") == ["node_cached"]
    doc["nodes"]["n"]["inputs"]["value"] = 1
    with pytest.raises(RunFailed, match="it broke"):
        go(doc, ["i"])


def test_a_run_does_not_wait_for_a_slow_source_that_is_not_needed() -> None:
    begun = threading.Event()

    @node("slow")
    async def slow() -> int:
        begun.set()
        await asyncio.sleep(3600)
        return 1

    doc = document(s=("slow", {}), l=("lazily", {"value": link("s"), "wanted": False}))
    assert go(doc, ["l"], slow)["l"] == 0
    assert not begun.is_set()


def test_a_lazy_input_that_is_a_target_too_runs(calls: Counter[str]) -> None:
    doc = document(n=("number", {"value": 3}), l=("lazily", {"value": link("n"), "wanted": False}))
    result = go(doc, ["l", "n"])
    assert (result["l"], result["n"]) == (0, 3)
    assert calls == {"number": 1}
    calls.clear()
    assert go(doc, ["l"])["l"] == 0
    assert not calls


def test_switch(calls: Counter[str]) -> None:
    options = [link("b"), link("n"), 30]
    doc = document(b=("boom", {}), n=("number", {"value": 20}), s=("switch", {"which": 1, "options": options}))
    cache = Cache()
    assert go(doc, ["s"], cache=cache)["s"] == 20
    doc["nodes"]["s"]["inputs"]["which"] = 2
    assert go(doc, ["s"], cache=cache)["s"] == 30
    assert calls == {"number": 1}
    doc["nodes"]["s"]["inputs"]["which"] = 3
    with pytest.raises(RunFailed, match="no option 3: there are 3"):
        go(doc, ["s"])


def test_a_switch_over_a_list_that_comes_over_a_link() -> None:
    doc = document(n=("integers", {"start": 5}), s=("switch", {"which": 2, "options": link("n")}))
    assert go(doc, ["s"])["s"] == 7


def test_branches_have_to_be_of_one_type() -> None:
    doc = document(
        t=("square", {}), n=("number", {}), i=("if", {"condition": True, "then": link("n"), "otherwise": link("t")}),
        a=("add", {"a": link("i")}),
    )  # fmt: skip
    assert [problem.code for problem in check(doc, catalogue(), targets=["a"])] == ["type_mismatch"]


def test_outside_a_run_the_values_are_there() -> None:
    assert if_(True, 1, 2) == 1  # type: ignore[arg-type]
    assert if_(False, then=1, otherwise=2) == 2  # type: ignore[arg-type]
    assert switch(1, [4, 5]) == 5  # type: ignore[list-item]


def test_asking_in_the_middle_gives_up_the_lane_meanwhile(calls: Counter[str]) -> None:
    doc = document(
        n=("number", {"value": 3}), d=("on_device", {"value": link("n")}),
        o=("or_else", {"value": 1, "other": link("d"), "least": 2}),
        p=("or_else", {"value": 5, "other": link("d"), "least": 2}),
    )  # fmt: skip
    result = go(doc, ["o", "p"], or_else, on_device)
    assert (result["o"], result["p"]) == (3, 5)


def test_two_nodes_ask_for_the_same(calls: Counter[str]) -> None:
    nodes: dict[str, Any] = {f"o{i}": ("or_else", {"value": i, "other": link("n"), "least": 9}) for i in range(5)}
    result = go(document(n=("number", {"value": 3}), **nodes), list(nodes), or_else, cache=Cache.none())
    assert [result[id] for id in nodes] == [3] * 5
    assert calls == {"number": 1}


def test_a_lazy_source_that_fails_fails_the_run() -> None:
    doc = document(b=("boom", {}), o=("or_else", {"value": 1, "other": link("b"), "least": 2}))
    with no_thread_left(), pytest.raises(RunFailed, match="b \\(boom\\): it broke"):
        go(doc, ["o"], or_else)


def test_async_nodes_await_theirs(calls: Counter[str]) -> None:
    doc = document(
        n=("number", {"value": 3}), a=("asks_async", {"value": link("n")}),
        b=("asks_async", {"value": link("a")}), c=("asks_async", {"value": link("n"), "wanted": False}),
    )  # fmt: skip
    result = go(doc, ["b", "c"], asks_async)
    assert (result["b"], result["c"]) == (3, 0)


def test_an_async_node_that_calls_instead_of_awaiting_is_told() -> None:
    @node("calls_it")
    async def calls_it(value: Lazy[int]) -> int:
        return value()

    doc = document(n=("number", {"value": 3}), a=("calls_it", {"value": link("n")}))
    with pytest.raises(RunFailed, match="`await value`"):
        go(doc, ["a"], calls_it)


def test_values_that_are_asked_for_are_held_to_the_port() -> None:
    from typing import Annotated

    from weft.engine import Range

    @node("picky")
    def picky(value: Lazy[Annotated[int, Range(0, 5)]]) -> int:
        return value()

    assert go(document(n=("number", {"value": 3}), p=("picky", {"value": link("n")})), ["p"], picky)["p"] == 3
    with pytest.raises(RunFailed, match="value must be 0 to 5, not 7"):
        go(document(n=("number", {"value": 7}), p=("picky", {"value": link("n")})), ["p"], picky)


def test_needs_that_fails_or_says_too_little() -> None:
    @node("forgets", needs=lambda inputs: [])
    def forgets(value: Lazy[int]) -> int:
        return value()

    @node("trips", needs=lambda inputs: [inputs["nothing"]])
    def trips(value: Lazy[int]) -> int:
        return value()

    doc = document(n=("number", {"value": 3}), f=("forgets", {"value": link("n")}), t=("trips", {"value": link("n")}))
    assert go(doc, ["f"], forgets, trips)["f"] == 3, "then it waits like any other"
    with pytest.raises(RunFailed, match="KeyError: 'nothing'"):
        go(doc, ["t"], forgets, trips)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (["valeu"], "'valeu', which is no input of it; did you mean 'value'?"),
        (["nothing"], "'nothing', which is no input of it; its lazy ones are options, value"),
        ([3], "3, which is no input of it"),
        ([("value", 0, 1)], "which is no input of it"),
        ([("options", 2)], "item 2 of 'options', which has 2"),
        ([("options", "x")], "item 'x' of 'options', which has 2"),
    ],
)
def test_needs_that_names_what_there_is_not(named: list[Any], said: str) -> None:
    @node("wants", needs=lambda inputs: named)
    def wants(value: Lazy[int], options: list[Lazy[int]]) -> int:
        return value()

    source = document(n=("number", {"value": 3}), w=("wants", {"value": link("n"), "options": [link("n"), link("n")]}))
    with pytest.raises(RunFailed, match=re.escape(said)) as caught:
        go(source, ["w"], wants)
    assert caught.value.errors[0].node == "w"


def test_needs_may_name_an_input_that_is_there_anyway() -> None:
    @node("wants", needs=lambda inputs: ["a", "value"])
    def wants(a: int, value: Lazy[int]) -> int:
        return a + value()

    source = document(n=("number", {"value": 3}), w=("wants", {"a": link("n"), "value": link("n")}))
    assert go(source, ["w"], wants)["w"] == 6


def test_a_chain_of_10_000_choices_needs_no_threads_and_no_recursion() -> None:
    nodes: dict[str, Any] = {"i0": ("number", {"value": 1})}
    for i in range(1, 9_999):
        nodes[f"i{i}"] = ("if", {"condition": True, "then": link(f"i{i - 1}"), "otherwise": 0})
    before = set(threading.enumerate())
    most = 0

    @node("watch", output=True)
    def watch(value: int) -> int:
        nonlocal most
        most = max(most, len(new_threads(before)))
        return value

    result = go(document(**nodes, w=("watch", {"value": link("i9998")})), None, watch)
    assert (result["w"], most) == (1, 0)


def test_what_a_branch_may_need_is_not_computed_twice(calls: Counter[str]) -> None:
    """The source of a branch is used up before anybody knows that the branch is wanted."""
    doc = document(
        n=("number", {"value": -1}), c=("compare", {"a": link("n")}), t=("clock", {}),
        s=("total", {"items": [link("t"), link("n")]}), a=("add", {"a": link("n"), "b": link("t")}),
        i=("if", {"condition": link("late"), "then": link("a"), "otherwise": 0}),
        late=("compare", {"a": link("s"), "b": 99}),
    )  # fmt: skip
    result = go(doc, ["i"], cache=Cache.none())
    assert result["i"] == 0
    assert calls == {"number": 1, "clock": 1, "total": 1, "add": 1}


def test_a_branch_can_be_chosen_again_from_the_cache(calls: Counter[str]) -> None:
    cache = Cache()
    doc = document(
        a=("add", {"a": 1}), b=("add", {"a": 10}),
        i=("if", {"condition": True, "then": link("a"), "otherwise": link("b")}), e=("total", {"items": [link("i")]}),
    )  # fmt: skip
    seen = []
    for condition in (True, False, True, False):
        doc["nodes"]["i"]["inputs"]["condition"] = condition
        seen.append(go(doc, ["e"], cache=cache)["e"])
    assert seen == [2, 11, 2, 11]
    assert calls == {"add": 2, "total": 2}


def test_a_lazy_node_under_a_full_lane() -> None:
    """More askers than places: each gives up its own while it waits."""

    @node("asker", resource="io")
    def asker(n: int, value: Lazy[int], ctx: Context | None = None) -> int:
        return n + value()

    @node("source", resource="io")
    def source(n: int) -> int:
        return n

    nodes: dict[str, Any] = {}
    for n in range(6):
        nodes[f"s{n}"] = ("source", {"n": n * 10})
        nodes[f"a{n}"] = ("asker", {"n": n, "value": link(f"s{n}")})
    ids = [f"a{n}" for n in range(6)]
    result = go(document(**nodes), ids, asker, source, settings=Settings(lanes=LaneSizes(io=1)))
    assert [result[id] for id in ids] == [0, 11, 22, 33, 44, 55]
