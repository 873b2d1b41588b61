"""The slots of devices: shared by all runs of a process, given back whatever happens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.flow import document, go, link
from weft.engine import Cancelled, CancelToken, Context, Lazy, Node, RunFailed, Settings, node
from weft.engine.running.devices import Devices, RunSlots
from weft.engine.running.lanes import LaneSizes


class Watch:
    """How many nodes are on the device at once."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.total = 0
        self.order: list[Any] = []
        self.lock = threading.Lock()

    def enter(self, name: Any = None) -> None:
        with self.lock:
            self.inside += 1
            self.total += 1
            self.most = max(self.most, self.inside)
            self.order.append(name)

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """What each of these gives or raises, all called at the same time."""
    results: list[Any] = [None] * len(works)
    start = threading.Barrier(len(works))

    def call(place: int) -> None:
        start.wait(10)
        try:
            results[place] = works[place]()
        except BaseException as error:
            results[place] = error

    threads = [threading.Thread(target=call, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return results


def device_nodes(watch: Watch) -> list[Node[..., Any]]:
    @node("on_threads", resource="device")
    def on_threads(run: int, n: int, ctx: Context | None = None) -> int:
        watch.enter(run)
        threading.Event().wait(0.001)
        watch.leave()
        return n

    @node("on_loop", resource="device")
    async def on_loop(run: int, n: int) -> int:
        watch.enter(run)
        await asyncio.sleep(0)
        watch.leave()
        return n

    @node("inline", resource="device")
    def inline(run: int, n: int) -> int:
        watch.enter(run)
        watch.leave()
        return n

    return [on_threads, on_loop, inline]


@pytest.mark.parametrize(("slots", "size"), [(1, 1), (2, 1), (2, 2)])
def test_runs_share_the_slots(slots: int, size: int) -> None:
    watch = Watch()
    nodes = device_nodes(watch)
    settings = Settings(lanes=LaneSizes(device=size), devices=Devices(slots))

    def one(run: int) -> Any:
        doc = document(**{f"{item.node_type.name}{n}": (item.node_type.name, {"run": run, "n": n})
                          for item in nodes for n in range(6)})  # fmt: skip
        return go(doc, list(doc["nodes"]), *nodes, settings=settings).ran

    assert at_once(*[lambda run=run: one(run) for run in range(3)]) == [18] * 3  # type: ignore[misc]
    assert watch.most <= slots
    assert watch.total == 54
    assert sorted(settings.devices._free) == list(range(slots))  # type: ignore[union-attr]


def test_runs_that_are_given_no_devices_share_those_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    process = Devices()
    monkeypatch.setattr("weft.engine.running.devices._shared", lambda: process)
    watch = Watch()
    nodes = device_nodes(watch)
    doc = document(**{f"a{n}": ("on_threads", {"run": 0, "n": n}) for n in range(5)})
    at_once(*[lambda: go(doc, list(doc["nodes"]), *nodes)] * 3)
    assert watch.most == 1
    go(doc, list(doc["nodes"]), *nodes, settings=Settings(lanes=LaneSizes(device=2)))
    assert process.slots == 2, "as many as any run asked for"


def test_who_asked_first_is_first() -> None:
    devices = Devices(1)
    woken: list[str] = []
    runs = {name: RunSlots(devices, lambda name=name: woken.append(name)) for name in "abc"}  # type: ignore[misc]
    assert runs["a"].at_hand()
    runs["a"].use(1)
    assert not runs["b"].at_hand()
    assert not runs["c"].at_hand()
    assert not runs["b"].at_hand(), "asking again changes nothing"
    runs["a"].release(1)
    runs["a"].release(1)
    assert not runs["a"].at_hand(), "it is after those who waited"
    assert woken == ["b"]
    assert runs["b"].at_hand()
    runs["c"].close()
    runs["b"].close()
    assert woken == ["b", "a"]
    runs["a"].close()
    assert devices._free == [0]


def test_a_slot_that_comes_after_the_end_goes_on_to_the_next() -> None:
    devices = Devices(1)
    first, second = RunSlots(devices, lambda: None), RunSlots(devices, lambda: None)
    assert first.at_hand()
    second.close()
    second.granted(0)
    first._spare = None
    assert devices._free == [0]


@pytest.mark.parametrize("end", ["fails", "is cancelled", "panics"])
@pytest.mark.parametrize("kind", ["async", "thread"])
def test_slots_come_back_however_a_run_ends(end: str, kind: str) -> None:
    devices, cancel = Devices(1), CancelToken()

    def act() -> None:
        if end == "is cancelled":
            cancel.cancel()
        else:
            raise ValueError("no") if end == "fails" else GeneratorExit

    @node("ends", resource="device")
    def ends(n: int, ctx: Context | None = None) -> int:
        act()
        return n

    @node("ends")
    async def ends_async(n: int) -> int:
        act()
        await asyncio.sleep(3600)
        return n

    ends_async.node_type.resource = "device"
    doc = document(a=("ends", {"n": 1}), b=("ends", {"n": 2}), c=("number", {}))
    with pytest.raises((RunFailed, Cancelled)):
        go(doc, ["a", "b", "c"], ends_async if kind == "async" else ends, cancel=cancel,
           settings=Settings(devices=devices))  # fmt: skip
    assert devices._free == [0]


def test_a_run_that_waits_for_a_device_can_be_cancelled() -> None:
    devices, cancel = Devices(1), CancelToken()
    other = RunSlots(devices, lambda: None)
    assert other.at_hand()
    asked = devices.ask

    def ask(run: RunSlots) -> int | None:
        threading.Timer(0, cancel.cancel).start()
        return asked(run)

    devices.ask = ask  # type: ignore[method-assign]

    @node("needs_device", resource="device")
    def needs_device() -> int:
        raise AssertionError("another has the device")

    with pytest.raises(Cancelled):
        go(document(a=("needs_device", {})), ["a"], needs_device, cancel=cancel, settings=Settings(devices=devices))
    other.close()
    assert devices._free == [0]


def test_other_nodes_go_on_while_a_device_is_waited_for() -> None:
    devices = Devices(1)
    other = RunSlots(devices, lambda: None)
    assert other.at_hand()

    @node("needs_device", resource="device")
    def needs_device() -> int:
        return 1

    @node("frees")
    def frees(n: int) -> int:
        if n == 3:
            other.close()
        return n

    doc = document(a=("needs_device", {}), **{f"f{n}": ("frees", {"n": n}) for n in range(4)})
    assert go(doc, list(doc["nodes"]), needs_device, frees, settings=Settings(devices=devices))["a"] == 1


def test_a_node_that_waits_for_a_lazy_input_lets_others_have_its_slot() -> None:
    """In two runs at once, each of whose outer nodes needs an inner one on the same device."""

    @node("inner", resource="device")
    def inner(n: int) -> int:
        return n

    @node("outer", resource="device")
    def outer(value: Lazy[int]) -> int:
        return value() + 1

    @node("outer_async", resource="device")
    async def outer_async(value: Lazy[int]) -> int:
        return await value + 1

    settings = Settings(devices=Devices(1))
    doc = document(i=("inner", {"n": 1}), o=("outer", {"value": link("i")}), p=("outer_async", {"value": link("i")}))
    results = at_once(*[lambda: go(doc, ["o", "p"], inner, outer, outer_async, settings=settings)["o"]] * 3)
    assert results == [2, 2, 2]


def test_a_run_within_a_device_node_does_not_wait_for_that_nodes_slot() -> None:
    @node("plain_device", resource="device")
    def plain_device(n: int) -> int:
        return n

    @node("runs_another", resource="device")
    def runs_another(n: int, ctx: Context | None = None) -> int:
        return int(go(document(a=("plain_device", {"n": n})), ["a"], plain_device)["a"])

    @node("runs_async", resource="device")
    async def runs_async(n: int) -> int:
        return int(go(document(a=("plain_device", {"n": n})), ["a"], plain_device)["a"])

    doc = document(r=("runs_another", {"n": 4}), s=("runs_async", {"n": 5}))
    result = go(doc, ["r", "s"], runs_another, runs_async)
    assert (result["r"], result["s"]) == (4, 5)


@pytest.mark.parametrize("kind", ["ordinary", "async"])
def test_a_node_can_let_others_have_its_device(kind: str) -> None:
    """Training, as it were: it goes on only after another run was on its device."""
    devices = Devices(1)
    order: list[str] = []
    between = threading.Event()
    training = threading.Event()

    @node("train", resource="device")
    def train(ctx: Context | None = None) -> int:
        assert ctx is not None
        order.append("train")
        training.set()
        with ctx.yield_device():
            assert between.wait(10)
        order.append("train again")
        assert devices._free == []
        return 1

    @node("train", resource="device")
    async def train_async(ctx: Context | None = None) -> int:
        assert ctx is not None
        order.append("train")
        training.set()
        async with ctx.yield_device():  # type: ignore[attr-defined]
            assert await asyncio.to_thread(between.wait, 10)
        order.append("train again")
        assert devices._free == []
        return 1

    @node("paint", resource="device")
    def paint() -> int:
        order.append("paint")
        between.set()
        return 2

    def second() -> Any:
        assert training.wait(10)
        return go(document(p=("paint", {})), ["p"], paint, settings=Settings(devices=devices))["p"]

    trainer = train if kind == "ordinary" else train_async
    first = lambda: go(document(t=("train", {})), ["t"], trainer, settings=Settings(devices=devices))["t"]  # noqa: E731
    assert at_once(first, second) == [1, 2]
    assert order == ["train", "paint", "train again"]
    assert devices._free == [0]


def test_the_same_run_may_use_what_was_let_go() -> None:
    between = threading.Event()

    @node("train", resource="device")
    def train(ctx: Context | None = None) -> int:
        assert ctx is not None
        with ctx.yield_device():
            assert between.wait(10)
        return 1

    @node("paint", resource="device")
    def paint() -> int:
        between.set()
        return 2

    assert go(document(t=("train", {}), p=("paint", {})), ["t", "p"], train, paint)["t"] == 1


def test_a_cancel_reaches_a_node_that_let_its_device_go() -> None:
    devices, cancel = Devices(1), CancelToken()
    seen: list[str] = []

    @node("train", resource="device")
    def train(ctx: Context | None = None) -> int:
        assert ctx is not None
        try:
            with ctx.yield_device():
                cancel.cancel()
                while not ctx.cancelled:
                    pass
        except Cancelled:
            seen.append("cancelled")
            raise
        return 1

    with pytest.raises(Cancelled):
        go(document(t=("train", {})), ["t"], train, cancel=cancel, settings=Settings(devices=devices))
    assert seen == ["cancelled"]
    assert devices._free == [0]


def test_elsewhere_it_does_nothing() -> None:
    with Context().yield_device():
        pass

    @node("no_device")
    def no_device(ctx: Context | None = None) -> int:
        assert ctx is not None
        with ctx.yield_device():
            return 1

    assert go(document(n=("no_device", {})), ["n"], no_device)["n"] == 1
