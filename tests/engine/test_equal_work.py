"""Runs at the same time compute equal work once, whatever becomes of the one that does."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.engine.flow import document, go, link
from weft.engine import Cache, Cancelled, CancelToken, Context, RunFailed, node
from weft.engine.events import Event

calls: Counter[str] = Counter()
begun = threading.Event()
released = threading.Event()


@pytest.fixture(autouse=True)
def fresh() -> None:
    calls.clear()
    begun.clear()
    released.clear()


@node("slow")
def slow(ctx: Context, name: str = "a", fails: bool = False) -> list[int]:
    calls[name] += 1
    begun.set()
    assert released.wait(30)
    if fails and calls[name] == 1:
        raise ValueError("the first time")
    return [1, 2]


@node("count_them")
def count_them(items: list[int]) -> int:
    calls["count"] += 1
    return len(items)


@node("nested")
def nested(name: str = "a") -> int:
    """Starts a run that needs what others compute."""
    begun.set()
    inner = go(
        document(s=("slow", {"name": name}), c=("count_them", {"items": link("s")})), ["c"], *NODES, cache=shared
    )
    return int(inner["c"]) + 10


NODES = (slow, count_them, nested)
shared = Cache()
DOC = document(s=("slow", {}), c=("count_them", {"items": link("s")}))


def several(count: int, each: Any) -> list[Future[Any]]:
    pool = ThreadPoolExecutor(count)
    futures = [pool.submit(each) for _ in range(count)]
    pool.shutdown(wait=False)
    return futures


def waits(count: int) -> None:
    """Until so many runs wait for another one's work."""
    from weft.engine.running import claims

    for _ in range(3000):
        known = [*claims._by_memory.values(), *claims._by_folder.values()]
        if sum(len(waiting) for one in known for waiting in one._waiting.values()) >= count:
            return
        threading.Event().wait(0.01)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("where", ["memory", "disk", "two caches"])
def test_equal_work_is_done_once(where: str, tmp_path: Path) -> None:
    one = Cache(None if where == "memory" else tmp_path / "cache")
    told: list[list[Event]] = []

    def each() -> int:
        events: list[Event] = []
        told.append(events)
        cache = Cache(tmp_path / "cache") if where == "two caches" else one
        return int(go(DOC, ["c"], *NODES, cache=cache, on_event=events.append)["c"])

    futures = several(4, each)
    waits(3)
    released.set()
    assert [future.result(30) for future in futures] == [2] * 4
    assert calls["a"] == 1
    kinds = [[event.event for event in events if event.node == "s"] for events in told]
    assert sorted(kinds) == sorted([["node_started", "node_finished"], *[["node_cached"]] * 3])


def test_a_failure_is_not_shared() -> None:
    doc = document(s=("slow", {"fails": True}), c=("count_them", {"items": link("s")}))
    cache = Cache()
    futures = several(3, lambda: go(doc, ["c"], *NODES, cache=cache)["c"])
    waits(2)
    released.set()
    ends = [future.exception(30) or future.result() for future in futures]
    assert sorted(map(str, ends)) == ["2", "2", str(next(end for end in ends if isinstance(end, RunFailed)))]
    assert calls["a"] == 2, "one of those that waited computes it, and the other has it from there"


def test_a_run_that_is_cancelled_leaves_the_work_to_those_that_wait() -> None:
    cache, cancel = Cache(), CancelToken()
    first = several(1, lambda: go(DOC, ["c"], *NODES, cache=cache, cancel=cancel)["c"])[0]
    assert begun.wait(30)
    second = several(1, lambda: go(DOC, ["c"], *NODES, cache=cache)["c"])[0]
    waits(1)
    cancel.cancel()
    released.set()
    with pytest.raises(Cancelled):
        first.result(30)
    assert second.result(30) == 2
    assert calls["a"] in (1, 2)


def test_who_waits_can_be_cancelled() -> None:
    cache, cancel = Cache(), CancelToken()
    first = several(1, lambda: go(DOC, ["c"], *NODES, cache=cache)["c"])[0]
    assert begun.wait(30)
    second = several(1, lambda: go(DOC, ["c"], *NODES, cache=cache, cancel=cancel)["c"])[0]
    waits(1)
    cancel.cancel()
    with pytest.raises(Cancelled):
        second.result(30)
    released.set()
    assert first.result(30) == 2


def test_a_run_within_a_node_waits_for_nobody() -> None:
    """The node that started it may have the very thing that the others wait for."""
    outer = several(1, lambda: go(document(n=("nested", {})), ["n"], *NODES, cache=shared)["n"])[0]
    assert begun.wait(30)
    other = several(1, lambda: go(DOC, ["c"], *NODES, cache=shared)["c"])[0]
    released.set()
    assert (outer.result(30), other.result(30)) == (12, 2)


def test_nothing_is_shared_where_nothing_is_kept() -> None:
    released.set()
    futures = several(3, lambda: go(DOC, ["c"], *NODES, cache=Cache.none())["c"])
    assert [future.result(30) for future in futures] == [2] * 3
    assert calls["a"] == 3


def test_what_another_run_has_finished_meanwhile_is_taken() -> None:
    """Looked for when the run began, and not there then."""
    cache = Cache()

    @node("gate")
    def gate() -> int:
        begun.set()
        assert released.wait(30)
        return 1

    @node("after_gate")
    def after_gate(value: int) -> int:
        calls["after"] += 1
        return value

    doc = document(g=("gate", {}), f=("after_gate", {"value": 5}), a=("after_gate", {"value": link("g")}))
    doc["nodes"]["f"]["inputs"] = {"value": link("t")}
    doc["nodes"]["t"] = {"type": "count_them", "inputs": {"items": link("l")}}
    doc["nodes"]["l"] = {"type": "integers", "inputs": {"count": 5}}
    wide = document(**{f"f{n}": ("after_gate", {"value": n}) for n in range(3)})
    wide["nodes"]["g"] = {"type": "gate"}
    wide["nodes"]["x"] = {"type": "join", "inputs": {"first": link("g"), "second": link("f1")}}

    @node("join")
    def join(first: int, second: int) -> int:
        return first + second

    more = (*NODES, gate, after_gate, join)
    first = several(1, lambda: go(wide, ["x"], *more, cache=cache)["x"])[0]
    assert begun.wait(30)
    assert go(wide, ["f1"], *more, cache=cache)["f1"] == 1
    released.set()
    assert first.result(30) == 2
    assert calls["after"] == 1
