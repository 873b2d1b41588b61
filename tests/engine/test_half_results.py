"""What is not whole is kept by nobody: half a result of a cancelled node, and what can be gone through once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engine.flow import document, go, link
from weft.engine import Cache, Cancelled, CancelToken, Context, RunFailed, node


@pytest.mark.parametrize("other", ["cancel", "failure"])
@pytest.mark.parametrize("looks", ["cancelled", "check_cancelled", "async"])
def test_nothing_is_kept_of_a_node_that_saw_its_cancel(other: str, looks: str) -> None:
    begun = threading.Event()
    cancel = CancelToken()

    @node("counts")
    def counts(ctx: Context, whole: bool = False) -> list[int]:
        made = []
        for number in range(100):
            made.append(number)
            if number == 20 and not done:
                begun.set()
                while not ctx.cancelled:
                    threading.Event().wait(0.001)
            if looks == "cancelled" and ctx.cancelled:
                break
            if looks == "check_cancelled":
                try:
                    ctx.check_cancelled()
                except Cancelled:
                    break
        return made

    @node("counts")
    async def counts_async(ctx: Context, whole: bool = False) -> list[int]:
        made = []
        try:
            for number in range(100):
                made.append(number)
                if number == 20 and not done:
                    begun.set()
                    await asyncio.sleep(60)
        except asyncio.CancelledError:
            assert ctx.cancelled
        return made

    @node("ends_it", cache="never")
    def ends_it() -> int:
        assert begun.wait(10)
        if other == "failure":
            raise ValueError("broke")
        cancel.cancel()
        return 1

    done: list[int] = []
    used = counts_async if looks == "async" else counts
    cache = Cache()
    doc = document(a=("counts", {}), b=("ends_it", {}))
    with pytest.raises((RunFailed, Cancelled)):
        go(doc, ["a", "b"], used, ends_it, cache=cache, cancel=cancel)
    done.append(1)
    result = go(doc, ["a"], used, ends_it, cache=cache)
    assert (result["a"], result.ran) == (list(range(100)), 1)


def test_what_was_whole_before_the_cancel_is_kept() -> None:
    """A node that never looks gives all of its result."""
    begun, go_on = threading.Event(), threading.Event()
    cancel = CancelToken()

    @node("works")
    def works() -> int:
        begun.set()
        assert go_on.wait(10)
        return 7

    @node("ends_it", cache="never")
    def ends_it() -> int:
        assert begun.wait(10)
        cancel.cancel()
        go_on.set()
        return 1

    cache = Cache()
    doc = document(a=("works", {}), b=("ends_it", {}))
    with pytest.raises(Cancelled):
        go(doc, ["a", "b"], works, ends_it, cache=cache, cancel=cancel)
    assert go(doc, ["a"], works, ends_it, cache=cache).ran == 0


@pytest.mark.parametrize("kind", ["generator", "map", "iterator"])
def test_an_iterator_is_no_result(kind: str) -> None:
    @node("gives")
    def gives() -> Any:
        numbers: Iterator[int] = iter([1, 2, 3])
        return {"generator": (n for n in numbers), "map": map(abs, numbers), "iterator": numbers}[kind]

    @node("takes")
    def takes(items: Any) -> int:
        return sum(items)

    doc = document(g=("gives", {}), a=("takes", {"items": link("g")}), b=("takes", {"items": link("g")}))
    with pytest.raises(RunFailed, match="only the first of its users could go through: return a list") as raised:
        go(doc, ["a", "b"], gives, takes)
    assert raised.value.error.node == "g"
