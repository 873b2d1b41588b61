"""A call of a type that was quick, and takes long for once, holds up nobody: another thread goes on with the run."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.engine.flow import document, go, link
from weft.engine import Cancelled, CancelToken, Context, RunFailed, node
from weft.engine.events import Event

meeting = threading.Barrier(2)
go_on = threading.Event()


@pytest.fixture(autouse=True)
def fresh() -> None:
    meeting.reset()
    go_on.clear()


@node("usually_quick")
def usually_quick(n: int, how: str = "") -> int:
    if how == "meets":
        meeting.wait(20)
    if how == "waits":
        assert go_on.wait(20)
    if how == "fails":
        assert go_on.wait(20)
        raise ValueError("late")
    return n


@node("async_step")
async def async_step(n: int, last: bool = False) -> int:
    await asyncio.sleep(0)
    if last:
        go_on.set()
    return n + 1


@node("sum_of")
def sum_of(items: list[int]) -> int:
    return sum(items)


@node("other_quick")
def other_quick(n: int, last: bool = False) -> int:
    if last:
        go_on.set()
    return n


@node("ends_all")
def ends_all(n: int, fails: bool = True) -> int:
    try:
        if fails:
            raise ValueError("broken")
        return n
    finally:
        go_on.set()


NODES = (usually_quick, async_step, sum_of, other_quick, ends_all)


def quick_ones(count: int = 60) -> dict[str, Any]:
    """So many quick calls first, which the node `q` waits for."""
    nodes = {f"q{n}": ("usually_quick", {"n": n}) for n in range(count)}
    return document(**nodes, q=("sum_of", {"items": [link(f"q{n}") for n in range(count)]}))


def with_more(**more: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    doc = quick_ones()
    doc["nodes"] |= document(**more)["nodes"]
    return doc


def test_two_slow_calls_run_at_the_same_time() -> None:
    doc = with_more(
        more=("other_quick", {"n": link("q")}),
        a=("usually_quick", {"n": link("more"), "how": "meets"}),
        s=("sum_of", {"items": [link("more"), 1]}),
        b=("usually_quick", {"n": link("s"), "how": "meets"}),
    )
    result = go(doc, ["a", "b"], *NODES)
    assert (result["a"], result["b"]) == (1770, 1771)


def test_a_chain_of_others_goes_on_beside_it() -> None:
    chain: dict[str, Any] = {f"s{n}": ("async_step", {"n": link(f"s{n - 1}" if n else "q")}) for n in range(4)}
    chain["s3"][1]["last"] = True
    doc = with_more(slow=("usually_quick", {"n": link("q"), "how": "waits"}), **chain)
    events: list[Event] = []
    result = go(doc, ["slow", "s3"], *NODES, on_event=events.append)
    assert (result["slow"], result["s3"]) == (1770, 1774)
    ended = [event.node for event in events if event.event == "node_finished"]
    assert ended.index("s2") < ended.index("slow")
    assert [event.seq for event in events] == list(range(len(events)))


def test_its_failure_and_that_of_a_neighbour_end_the_run() -> None:
    chain = {"s0": ("async_step", {"n": link("q"), "last": True})}
    doc = with_more(slow=("usually_quick", {"n": link("q"), "how": "fails"}), **chain)
    with pytest.raises(RunFailed, match="late"):
        go(doc, ["slow", "s0"], *NODES)
    go_on.clear()
    doc = with_more(
        slow=("usually_quick", {"n": link("q"), "how": "waits"}),
        s=("async_step", {"n": link("q")}),
        e=("ends_all", {"n": link("s")}),
    )
    with pytest.raises(RunFailed, match="broken"):
        go(doc, ["slow", "e"], *NODES)


def test_a_run_that_keeps_going_does_so() -> None:
    doc = with_more(
        slow=("usually_quick", {"n": link("q"), "how": "waits"}),
        s=("async_step", {"n": link("q")}),
        e=("ends_all", {"n": link("s")}),
        z=("async_step", {"n": link("slow")}),
    )
    result = go(doc, ["z", "e"], *NODES, keep_going=True)
    assert result["z"] == 1771
    assert [failure.node for failure in result.failures] == ["e"]


def test_it_can_be_cancelled_meanwhile() -> None:
    cancel = CancelToken()

    @node("patient")
    def patient(ctx: Context, n: int, slow: bool = False) -> int:
        while slow:
            ctx.check_cancelled()
            threading.Event().wait(0.002)
        return n

    @node("presses")
    async def presses(n: int) -> int:
        await asyncio.sleep(0.05)
        cancel.cancel()
        return n

    doc = quick_ones()
    doc["nodes"] |= document(
        **{f"p{n}": ("patient", {"n": n}) for n in range(40)},
        p=("sum_of", {"items": [link(f"p{n}") for n in range(40)]}),
        slow=("patient", {"n": link("p"), "slow": True}),
        x=("presses", {"n": link("p")}),
    )["nodes"]
    events: list[Event] = []
    with pytest.raises(Cancelled):
        go(doc, ["slow", "x"], *NODES, patient, presses, cancel=cancel, on_event=events.append)
    assert events[-1].event == "job_cancelled"


def test_an_interrupt_in_it_ends_the_run() -> None:
    @node("interrupted")
    def interrupted(n: int, slow: bool = False) -> int:
        if slow:
            assert go_on.wait(20)
            raise KeyboardInterrupt
        return n

    doc = document(
        **{f"p{n}": ("interrupted", {"n": n}) for n in range(40)},
        p=("sum_of", {"items": [link(f"p{n}") for n in range(40)]}),
        slow=("interrupted", {"n": link("p"), "slow": True}),
        s=("async_step", {"n": link("p"), "last": True}),
    )
    with pytest.raises(KeyboardInterrupt):
        go(doc, ["slow", "s"], *NODES, interrupted)


def test_a_call_that_was_refused_while_the_machine_stood_still_is_made_elsewhere() -> None:
    """The deputy took over from a call that never began: somebody has to make it."""
    import time

    from weft.engine.running.deputy import SECONDS
    from weft.engine.running.executor import Done, Task
    from weft.engine.running.in_process import InProcess

    refused = []

    class Standing(InProcess):
        def __init__(self) -> None:
            super().__init__()
            before = self.call

            def call(task: Task) -> Done | None:
                if task.type.name == "usually_quick" and task.inputs["n"] >= 1000:
                    refused.append(task.number)
                    time.sleep(20 * SECONDS)
                    return None
                return before(task)

            self.call = call

    class Here:
        def lease(self, cache: Any = None, cancel: Any = None) -> InProcess:
            return Standing()

        def cache(self, cache: Any) -> Any:
            return cache

    doc = with_more(
        a=("usually_quick", {"n": link("q")}),
        o=("other_quick", {"n": link("q")}),
        s=("sum_of", {"items": [link("o"), 1]}),
        b=("usually_quick", {"n": link("s")}),
    )
    result = go(doc, ["a", "b"], *NODES, on=Here())
    assert (result["a"], result["b"]) == (1770, 1771)
    assert refused
