"""Nodes that run at the same time, in which order, and what stays of them."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.flow import document, go, link, no_thread_left
from weft.engine import Cache, Cancelled, CancelToken, Context, RunFailed, Settings, node
from weft.engine.running.lanes import Lane, Lanes, LaneSizes


class Meeting:
    """Nodes that only end when so many of them run at once."""

    def __init__(self, count: int) -> None:
        self.barrier = threading.Barrier(count)

    def wait(self) -> None:
        self.barrier.wait(10)


def most_at_once(expected: int) -> tuple[Callable[[], None], Callable[[], int]]:
    """What nodes call that only end when so many run at once, and how many did at most."""
    running, most, lock = 0, 0, threading.Lock()
    meeting = Meeting(expected)

    def enter() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        meeting.wait()
        with lock:
            running -= 1

    return enter, lambda: most


def test_independent_nodes_run_at_the_same_time() -> None:
    meeting = Meeting(3)

    @node("meet")
    def meet(n: int) -> int:
        meeting.wait()
        return n

    doc = document(**{f"m{n}": ("meet", {"n": n}) for n in range(3)})
    result = go(doc, ["m0", "m1", "m2"], meet, settings=Settings(lanes=LaneSizes(cpu=3)))
    assert [result[f"m{n}"] for n in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("resource", "sizes", "most"),
    [("device", LaneSizes(cpu=4), 1), ("cpu", LaneSizes(cpu=2), 2), ("io", LaneSizes(io=3), 3)],
)
def test_a_lane_holds_no_more_than_its_size(resource: Any, sizes: LaneSizes, most: int) -> None:
    enter, count = most_at_once(most)

    @node("work", resource=resource)
    def work(n: int) -> int:
        enter()
        return n

    doc = document(**{f"m{n}": ("work", {"n": n}) for n in range(6)})
    go(doc, list(doc["nodes"]), work, settings=Settings(lanes=sizes))
    assert count() == most


def test_an_async_node_on_the_device_lane_keeps_others_out() -> None:
    inside = 0

    @node("slow_device", resource="device")
    async def slow_device(n: int) -> int:
        nonlocal inside
        inside += 1
        assert inside == 1
        for _ in range(10):
            await asyncio.sleep(0)  # others get their chance
        inside -= 1
        return n

    @node("on_device", resource="device")
    def on_device(n: int) -> int:
        assert inside == 0
        return n

    nodes = {f"a{n}": ("slow_device", {"n": n}) for n in range(3)} | {
        f"b{n}": ("on_device", {"n": n}) for n in range(3)
    }
    result = go(document(**nodes), list(nodes), slow_device, on_device)
    assert result["a2"] == 2


def test_lanes_have_room() -> None:
    with pytest.raises(ValueError, match=r"'io'.*at least 1, not 0"):
        LaneSizes(io=0)


def test_async_and_ordinary_nodes_overlap() -> None:
    """Three async nodes of 0.3, 0.4 and 0.5 s and two ordinary ones of 0.5 s: all five are under way at once."""
    under_way: set[str] = set()
    together = threading.Event()

    def arrive(name: str) -> None:
        under_way.add(name)
        if len(under_way) == 5:
            together.set()

    @node("rest")
    async def rest(name: str) -> str:
        arrive(name)
        while not together.is_set():
            await asyncio.sleep(0.001)
        return name

    @node("block")
    def block(name: str) -> str:
        arrive(name)
        assert together.wait(10)
        return name

    nodes = {name: ("rest", {"name": name}) for name in "abc"} | {name: ("block", {"name": name}) for name in "de"}
    result = go(document(**nodes), list(nodes), rest, block)
    assert [result[name] for name in nodes] == list(nodes)


def test_the_event_loop_goes_on_while_an_ordinary_node_works() -> None:
    ticks = 0
    done = threading.Event()

    @node("ticks_on")
    async def ticks_on() -> int:
        nonlocal ticks
        while not done.is_set():
            ticks += 1
            await asyncio.sleep(0.001)
        return ticks

    @node("busy")
    def busy() -> int:
        before = ticks
        while ticks < before + 5:
            time.sleep(0.001)
        done.set()
        return ticks

    go(document(a=("ticks_on", {}), b=("busy", {})), ["a", "b"], ticks_on, busy)
    assert ticks >= 5


def test_equal_nodes_that_are_ready_together_compute_once() -> None:
    calls: Counter[int] = Counter()

    @node("once")
    def once(n: int) -> int:
        calls[n] += 1
        time.sleep(0.01)
        return n

    doc = document(**{f"m{i}": ("once", {"n": i % 2}) for i in range(10)})
    result = go(doc, list(doc["nodes"]), once, cache=Cache.none(), settings=Settings(lanes=LaneSizes(cpu=8)))
    assert calls == {0: 1, 1: 1}
    assert [result[f"m{i}"] for i in range(10)] == [0, 1] * 5
    assert (result.ran, result.cached) == (2, 8)


# -- what comes first


def sweep(count: int) -> dict[str, Any]:
    nodes: dict[str, Any] = {}
    for i in reversed(range(count)):  # the order in the document says nothing
        nodes[f"s{i}"] = ("save", {"image": link(f"d{i}")})
        nodes[f"d{i}"] = ("decode", {"latents": link(f"n{i}")})
        nodes[f"n{i}"] = ("sample", {"seed": i})
    return document(**dict(sorted(nodes.items(), key=lambda item: hash(item[0]))))


@pytest.mark.parametrize("slow", [False, True])
def test_the_first_image_of_a_sweep_comes_after_one_images_time(slow: bool) -> None:
    began: list[str] = []

    def work(name: str) -> None:
        began.append(name)
        if slow:
            time.sleep(0.001)

    @node("sample", resource="device")
    def sample(seed: int) -> int:
        work("sample")
        return seed

    @node("decode", resource="device")
    def decode(latents: int) -> int:
        work("decode")
        return latents

    @node("save", output=True)
    def save(image: int) -> int:
        began.append("save")
        return image

    doc = sweep(100)
    lanes = LaneSizes(cpu=2)
    go(doc, [f"s{i}" for i in range(100)], sample, decode, save, settings=Settings(lanes=lanes))
    # While images are saved others may begin: as many as there are places to save, and to wait for one.
    assert began.index("save") <= 6
    for place in range(len(began)):
        so_far = Counter(began[: place + 1])
        assert so_far["sample"] - so_far["save"] <= 6


def test_of_those_that_are_ready_the_one_that_frees_most_memory_goes_first() -> None:
    import numpy as np

    order: list[str] = []

    @node("large")
    def large(n: int, size: int) -> Any:
        return np.zeros(size, np.uint8)

    @node("shrink")
    def shrink(data: Any, name: str) -> int:
        order.append(name)
        return len(data)

    nodes: dict[str, Any] = {}
    for n, size in enumerate((10, 1000, 100_000, 100)):
        nodes[f"l{n}"] = ("large", {"n": n, "size": size})
        nodes[f"s{n}"] = ("shrink", {"data": link(f"l{n}"), "name": str(size)})
    nodes["gate"] = ("gate", {"items": [link(f"l{n}") for n in range(4)]})
    for n in range(4):
        nodes[f"s{n}"][1]["after"] = link("gate")
    nodes["t"] = ("total", {"items": [link(f"s{n}") for n in range(4)]})

    @node("gate")
    def gate(items: list[Any]) -> int:
        return 0

    @node("shrink")
    def shrink_after(data: Any, name: str, after: int = 0) -> int:
        order.append(name)
        return len(data)

    lanes = LaneSizes(cpu=1)
    go(document(**nodes), ["t"], large, shrink_after, gate, cache=Cache.none(), settings=Settings(lanes=lanes))
    assert order == ["100000", "1000", "100", "10"]


class Big:
    """Something that can be seen to go."""

    def __init__(self, source: object = None) -> None:
        self.source = source


def peak_of_a_sweep(count: int, resources: tuple[Any, Any, Any], seconds: tuple[float, float, float]) -> int:
    alive: list[weakref.ref[Big]] = []
    most, lock = 0, threading.Lock()

    def make() -> Big:
        nonlocal most
        with lock:
            made = Big()
            alive.append(weakref.ref(made))
            alive[:] = [ref for ref in alive if ref() is not None]
            most = max(most, len(alive))
        return made

    @node("load", resource=resources[0])
    def load(n: int) -> Any:
        time.sleep(seconds[0])
        return make()

    @node("alter", resource=resources[1])
    def alter(value: Any) -> Any:
        time.sleep(seconds[1])
        return make()

    @node("write_down", resource=resources[2], output=True)
    def write_down(value: Any) -> int:
        time.sleep(seconds[2])
        return 1

    nodes: dict[str, Any] = {}
    for n in range(count):
        nodes[f"l{n}"] = ("load", {"n": n})
        nodes[f"a{n}"] = ("alter", {"value": link(f"l{n}")})
        nodes[f"w{n}"] = ("write_down", {"value": link(f"a{n}")})
    lanes = LaneSizes(cpu=2, io=2)
    go(document(**nodes), None, load, alter, write_down, cache=Cache.none(), settings=Settings(lanes=lanes))
    return most


@pytest.mark.parametrize(
    ("resources", "seconds"),
    [
        (("io", "device", "io"), (0.0, 0.001, 0.0)),
        (("io", "device", "cpu"), (0.001, 0.003, 0.0)),
        (("device", "device", "io"), (0.0, 0.0, 0.003)),
        (("cpu", "cpu", "cpu"), (0.001, 0.001, 0.001)),
    ],
)
def test_the_memory_of_a_sweep_does_not_grow_with_its_length(resources: Any, seconds: Any) -> None:
    # Two running and two waiting in each of the lanes, with what they were made of.
    assert peak_of_a_sweep(100, resources, seconds) <= 16


def test_a_lane_that_has_fallen_behind_holds_up_what_would_feed_it() -> None:
    lanes = Lanes(LaneSizes(cpu=2, io=2))
    lanes.device.running = 1
    for number in range(4):
        lanes.push(lanes.device, ((0,), -1, (number,), number))
    lanes.push(lanes.io, ((9,), 0, (9,), 9))
    assert lanes.take() is None
    lanes.push(lanes.io, ((10,), -5, (10,), 10))
    assert lanes.take() is None, "the next in its lane begins something"
    lanes.device.running = 0
    assert [lanes.take() for _ in range(6)] == [0, 1, 2, 3, 9, 10]
    assert lanes.take() is None


def test_a_node_that_waited_gets_its_place_back_before_others() -> None:
    lanes = Lanes(LaneSizes(cpu=2))
    lane = lanes.device
    lane.running = 1
    got: list[int] = []
    lane.resumes.append(lambda: got.append(1))
    lanes.resume()
    assert got == []
    lane.running = 0
    lanes.resume()
    assert (got, lane.running) == ([1], 1)
    assert isinstance(lane, Lane)


# -- ends


def test_a_failure_beside_an_async_node_ends_the_run_at_once_and_leaves_nothing() -> None:
    started = threading.Event()
    ended: list[str] = []

    @node("endless")
    async def endless() -> int:
        started.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("stopped")
        return 1

    @node("fails_soon")
    def fails_soon() -> int:
        assert started.wait(10)
        raise ValueError("no")

    with no_thread_left(), pytest.raises(RunFailed, match="no"):
        go(document(a=("endless", {}), b=("fails_soon", {})), ["a", "b"], endless, fails_soon)
    assert ended == ["stopped"]


def test_a_failure_tells_nodes_beside_it_to_stop() -> None:
    started = threading.Event()

    @node("looks")
    def looks(ctx: Context | None = None) -> int:
        assert ctx is not None
        started.set()
        while True:
            ctx.check_cancelled()
            time.sleep(0.001)

    @node("fails_soon")
    def fails_soon() -> int:
        assert started.wait(10)
        raise ValueError("no")

    with pytest.raises(RunFailed, match="no"):
        go(document(a=("looks", {}), b=("fails_soon", {})), ["a", "b"], looks, fails_soon)


def test_what_ends_beside_a_failure_is_kept() -> None:
    cache = Cache()
    started, failed = threading.Event(), threading.Event()

    @node("takes_long")
    def takes_long() -> int:
        started.set()
        failed.wait(10)
        return 7

    @node("fails_soon")
    def fails_soon() -> int:
        assert started.wait(10)
        failed.set()
        raise ValueError("no")

    doc = document(a=("takes_long", {}), b=("fails_soon", {}))
    with pytest.raises(RunFailed):
        go(doc, ["a", "b"], takes_long, fails_soon, cache=cache)
    assert go(doc, ["a"], takes_long, fails_soon, cache=cache).ran == 0


def test_nothing_stays_held_after_a_failure() -> None:
    alive: list[weakref.ref[Big]] = []

    @node("make_big")
    def make_big(n: int) -> Any:
        big = Big()
        alive.append(weakref.ref(big))
        return big

    @node("breaks")
    def breaks(values: list[Any]) -> int:
        more = Big(values)
        alive.append(weakref.ref(more))
        raise ValueError(f"broke with {len(values)}")

    nodes: dict[str, Any] = {f"b{n}": ("make_big", {"n": n}) for n in range(5)}
    nodes["x"] = ("breaks", {"values": [link(f"b{n}") for n in range(5)]})
    for count in (1, 2):  # run by the scheduler itself, and on a thread
        alive.clear()
        more = {f"y{n}": ("pause", {}) for n in range(count - 1)}

        @node("pause", cache="never")
        def pause() -> int:
            time.sleep(0.02)
            return 1

        with pytest.raises(RunFailed) as raised:
            go(document(**nodes, **more), ["x", *more], make_big, breaks, pause, cache=Cache.none())
        assert "broke with 5" in raised.value.error.traceback
        gc.collect()
        assert len(alive) == 6
        assert [ref() for ref in alive] == [None] * 6, "although the error itself is still at hand"


def test_cancel_reaches_nodes_on_threads() -> None:
    cancel = CancelToken()
    seen: list[int] = []
    ready = threading.Barrier(2)

    @node("until_cancelled")
    def until_cancelled(n: int, ctx: Context | None = None) -> int:
        assert ctx is not None
        ready.wait(10)
        cancel.cancel()
        try:
            while True:
                ctx.check_cancelled()
        finally:
            seen.append(n)

    doc = document(a=("until_cancelled", {"n": 1}), b=("until_cancelled", {"n": 2}))
    with pytest.raises(Cancelled):
        go(doc, ["a", "b"], until_cancelled, cancel=cancel, settings=Settings(lanes=LaneSizes(cpu=2)))
    assert sorted(seen) == [1, 2]


def test_threads_of_a_run_end_with_it() -> None:
    @node("naps")
    def naps(n: int) -> int:
        time.sleep(0.005)
        return n

    doc = document(**{f"n{n}": ("naps", {"n": n}) for n in range(6)})
    with no_thread_left():
        go(doc, list(doc["nodes"]), naps)


def test_what_callers_set_for_their_context_holds_for_nodes_on_threads() -> None:
    import contextvars

    variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)

    @node("reads_variable")
    def reads_variable(n: int) -> int:
        time.sleep(0.01)
        return variable.get()

    variable.set(5)
    doc = document(**{f"n{n}": ("reads_variable", {"n": n}) for n in range(4)})
    result = go(doc, list(doc["nodes"]), reads_variable)
    assert [result[f"n{n}"] for n in range(4)] == [5] * 4
