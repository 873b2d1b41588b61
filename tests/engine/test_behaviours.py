"""What a run does in corners: fingerprints, what is not reached, planning that fails, where it is called from."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.engine import toys
from tests.engine.flow import document, go, link
from weft.engine import Cache, Catalogue, RunFailed, Settings, node, run
from weft.engine.events import Event
from weft.engine.running.lanes import LaneSizes


def chosen(value: Any) -> dict[str, Any]:
    return document(n=("stamped", {"value": value}), s=("show", {"value": link("n")}))


def test_a_fingerprint_that_never_matches_runs_each_time_and_one_that_does_is_a_hit(calls: Counter[str]) -> None:
    numbers = itertools.count()
    stamps = {"new": lambda: str(next(numbers)), "same": lambda: "one"}

    for kind, times in (("new", 3), ("same", 1)):
        ran = []

        def stamp(value: str, kind: str = kind) -> str:
            return stamps[kind]()

        @node("stamped", fingerprint=stamp)
        def stamped(value: str, ran: list[str] | None = None) -> str:
            toys.calls[f"stamped {value}"] += 1
            return value

        cache = Cache()
        for _ in range(3):
            ran.append(go(chosen(kind), ["s"], stamped, cache=cache).ran)
        assert calls[f"stamped {kind}"] == times
        assert ran == ([2, 2, 2] if kind == "new" else [2, 0, 0])


def test_nodes_that_no_target_reaches_are_only_checked() -> None:
    asked: list[str] = []

    def stamp(value: int) -> str:
        asked.append("fingerprint")
        return str(value)

    @node("watched", fingerprint=stamp)
    def watched(value: int) -> int:
        asked.append("run")
        return value

    nodes = {f"w{i}": ("watched", {"value": i}) for i in range(100)}
    events: list[Event] = []
    cache = Cache()
    looked: list[bytes] = []
    find = cache.find
    cache.find = lambda key: looked.append(key) or find(key)  # type: ignore[method-assign, func-returns-value]
    result = go(document(**nodes, n=("number", {})), ["n"], watched, cache=cache, on_event=events.append)
    assert (asked, len(looked), result.ran, result.cached) == ([], 1, 1, 0)
    assert {event.node for event in events} == {None, "n"}
    assert events[0].nodes == 1  # type: ignore[attr-defined]


def test_an_exception_in_planning_fails_that_run_only(monkeypatch: pytest.MonkeyPatch) -> None:
    @node("odd")
    def odd(value: int = 0) -> int:
        return value

    catalogue = Catalogue([*toys.NODES, odd])
    code = catalogue.code

    def broken(node_type: Any) -> str | None:
        if node_type.name == "odd":
            raise OSError("its source is gone")
        return code(node_type)

    monkeypatch.setattr(catalogue, "code", broken)
    events: list[Event] = []
    with ThreadPoolExecutor(2) as pool:
        good = pool.submit(run, document(n=("number", {"value": 3})), ["n"], catalogue=catalogue, cache=Cache())
        bad = pool.submit(
            run, document(o=("odd", {})), ["o"], catalogue=catalogue, cache=Cache(), on_event=events.append
        )
        assert good.result()["n"] == 3
        with pytest.raises(RunFailed, match=r"o \(odd\): its source is gone"):
            bad.result()
    assert [event.event for event in events] == ["job_failed"]


def test_anything_else_that_planning_raises_is_a_failed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.engine.running.job.plan_again", lambda *_, **__: 1 / 0)
    with pytest.raises(RunFailed, match="ZeroDivisionError"):
        go(document(n=("number", {})), ["n"])


def test_a_failed_runs_finished_nodes_are_hits_after_the_fix(calls: Counter[str]) -> None:
    cache = Cache()
    doc = document(
        n=("number", {"value": 2}), a=("add", {"a": link("n")}), d=("divide", {"a": link("a"), "by": link("z")}),
        z=("number", {"value": 0}),
    )  # fmt: skip
    with pytest.raises(RunFailed, match="by must be 1 to 100"):
        go(doc, ["d"], cache=cache)
    doc["nodes"]["z"]["inputs"]["value"] = 3
    result = go(doc, ["d"], cache=cache)
    assert (result["d"], result.ran) == (1, 2)
    assert calls == {"number": 3, "add": 1, "divide": 1}


@pytest.mark.parametrize("where", ["thread", "event loop", "thread of an event loop"])
def test_a_run_works_wherever_it_is_called(where: str) -> None:
    @node("soon")
    async def soon(value: int) -> int:
        await asyncio.sleep(0)
        return value

    @node("slowly")
    def slowly(value: int) -> int:
        time.sleep(0.01)
        return value

    doc = document(
        a=("soon", {"value": 1}), b=("slowly", {"value": 2}), c=("slowly", {"value": 3}),
        t=("total", {"items": [link("a"), link("b"), link("c")]}),
    )  # fmt: skip

    def work() -> int:
        return int(go(doc, ["t"], soon, slowly)["t"])

    async def in_loop() -> int:
        return work()  # as a cell of a notebook does, whose loop runs already

    async def beside_loop() -> int:
        return await asyncio.to_thread(work)

    if where == "thread":
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(work).result() == 6
    else:
        assert asyncio.run(in_loop() if where == "event loop" else beside_loop()) == 6


def test_two_runs_at_once_meet_and_do_not_mix() -> None:
    together = threading.Barrier(2)

    @node("meets_other_run")
    def meets_other_run(value: int) -> int:
        together.wait(10)
        return value

    def work(value: int) -> tuple[int, set[str]]:
        events: list[Event] = []
        doc = document(m=("meets_other_run", {"value": value}), a=("add", {"a": link("m")}))
        result = go(doc, ["a"], meets_other_run, cache=cache, on_event=events.append, job=f"job {value}")
        assert [event.seq for event in events] == list(range(len(events)))
        return result["a"], {event.job for event in events}

    cache = Cache()
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, (10, 20))) == [(11, {"job 10"}), (21, {"job 20"})]


def test_a_type_that_turns_out_slow_is_handed_to_threads() -> None:
    """Ten quick calls, then slow ones: at most the first of these keeps the scheduler."""
    meeting = threading.Barrier(2)

    @node("sometimes_slow")
    def sometimes_slow(value: int) -> int:
        if value >= 12:
            meeting.wait(10)
        elif value >= 10:
            time.sleep(0.01)
        return value

    doc = document(**{f"n{i}": ("sometimes_slow", {"value": i}) for i in range(14)})
    ids = [f"n{i}" for i in range(14)]
    result = go(doc, ids, sometimes_slow, settings=Settings(lanes=LaneSizes(cpu=2)))
    assert [result[id] for id in ids] == list(range(14))


def test_events_of_large_graphs_are_small() -> None:
    nodes: dict[str, Any] = {f"n{i}": ("number", {"value": i}) for i in range(999)}
    nodes["t"] = ("total", {"items": [link(f"n{i}") for i in range(999)]})
    events: list[Event] = []
    go(document(**nodes), None, on_event=events.append)
    sizes = [len(event.model_dump_json()) for event in events]
    assert sum(sizes) < 1000 * len(nodes)
    assert max(sizes) < 400


@pytest.mark.parametrize("shape", ["chain", "fan"])
def test_thousands_of_rounds_and_of_items(shape: str) -> None:
    if shape == "chain":
        doc = document(r=("repeat", {"value": 0, "body": "add", "feed": "a", "times": 5_000}))
        assert go(doc, ["r"])["r"] == 5_000
    else:
        doc = document(
            i=("integers", {"count": 5_000}), m=("map_over", {"items": link("i")}), a=("add", {"a": link("m")}),
            c=("collect", {"item": link("a")}), t=("total", {"items": link("c")}),
        )  # fmt: skip
        assert go(doc, ["t"])["t"] == sum(range(1, 5_001))
