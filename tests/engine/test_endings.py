"""How runs end: with one last event whatever happens, and never because a value could not be kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.engine.flow import document, go, link
from weft.engine import Cache, Cancelled, CancelToken, Lazy, Node, RunFailed, node, value
from weft.engine.cache import codec
from weft.engine.events import Event
from weft.engine.plain import canonical, pack

LAST = {"job_finished", "job_failed", "job_cancelled"}


class Panic(BaseException):
    """What libraries written in other languages raise."""


class UnspeakableError(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def names(events: list[Event]) -> list[str]:
    return [event.event for event in events]


def one_end(events: list[Event], which: str) -> None:
    assert [name for name in names(events) if name in LAST] == [which]
    assert events[-1].event == which
    assert [event.seq for event in events] == list(range(len(events)))


def raising(error: Callable[[], BaseException], how: str) -> Node[..., Any]:
    """A node that raises, run in the way that is named."""
    if how == "async":

        @node("breaks")
        async def breaks_async(after: int = 0) -> int:
            await asyncio.sleep(0)
            raise error()

        return breaks_async

    @node("breaks", resource="io")
    def breaks(after: int = 0) -> int:
        raise error()

    return breaks


@pytest.mark.parametrize("how", ["async", "alone", "on a thread"])
@pytest.mark.parametrize("error", [Panic, GeneratorExit, asyncio.CancelledError, SystemExit, UnspeakableError])
def test_whatever_a_node_raises_is_its_failure(how: str, error: type[BaseException]) -> None:
    events: list[Event] = []
    nodes = {"b": ("breaks", {})} | ({"n": ("number", {})} if how == "on a thread" else {})
    with pytest.raises(RunFailed) as caught:
        go(document(**nodes), list(nodes), raising(error, how), on_event=events.append)
    assert (caught.value.error.node, caught.value.error.exception) == ("b", error.__name__)
    assert events[-2].event == "node_failed"
    one_end(events, "job_failed")


@pytest.mark.parametrize("how", ["async", "alone"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, Cancelled])
def test_an_interrupt_cancels_and_stays_what_it_is(how: str, error: type[BaseException]) -> None:
    events: list[Event] = []
    with pytest.raises(error):
        go(document(b=("breaks", {})), ["b"], raising(error, how), on_event=events.append)
    one_end(events, "job_cancelled")


class Broken(Cache):
    """A cache that fails where it is told to."""

    def __init__(self, where: str, error: BaseException) -> None:
        super().__init__()
        self.where = where
        self.error = error

    def find(self, key: bytes) -> Any:
        if self.where == "find":
            raise self.error
        return super().find(key)

    def put(self, key: bytes, outputs: Any, note: Any = None) -> None:
        if self.where == "put":
            raise self.error
        super().put(key, outputs, note)


def test_a_cache_that_cannot_keep_anything_costs_no_run(caplog: Any) -> None:
    events: list[Event] = []
    doc = document(n=("number", {"value": 3}), a=("add", {"a": link("n"), "b": 1}))
    assert go(doc, ["a"], cache=Broken("put", ZeroDivisionError()), on_event=events.append)["a"] == 4
    one_end(events, "job_finished")
    assert "the result of n (number) could not be kept" in caplog.messages


def test_a_cache_that_cannot_be_asked_ends_the_run_in_words() -> None:
    events: list[Event] = []
    with pytest.raises(RunFailed, match="ZeroDivisionError"):
        go(document(n=("number", {})), ["n"], cache=Broken("find", ZeroDivisionError("x")), on_event=events.append)
    one_end(events, "job_failed")


def test_what_is_no_exception_stays_what_it_is() -> None:
    events: list[Event] = []
    with pytest.raises(Panic):
        go(document(n=("number", {})), ["n"], cache=Broken("find", Panic()), on_event=events.append)
    one_end(events, "job_failed")


def test_an_engine_error_names_the_node_that_it_was_at(monkeypatch: pytest.MonkeyPatch) -> None:
    from weft.engine.running.intermediates import Intermediates

    put = Intermediates.put

    def broken(self: Intermediates, step: Any, outputs: Any) -> None:
        if step.id == "a":
            raise LookupError("inside the engine")
        put(self, step, outputs)

    monkeypatch.setattr(Intermediates, "put", broken)
    events: list[Event] = []
    doc = document(n=("number", {"value": 3}), a=("add", {"a": link("n"), "b": 1}))
    with pytest.raises(RunFailed, match=r"a \(add\): LookupError: inside the engine"):
        go(doc, ["a"], on_event=events.append)
    one_end(events, "job_failed")


@pytest.mark.parametrize(("error", "end"), [(Panic, "job_failed"), (KeyboardInterrupt, "job_cancelled")])
def test_a_listener_that_raises_no_exception_ends_the_run(error: type[BaseException], end: str) -> None:
    events: list[Event] = []

    def listen(event: Event) -> None:
        events.append(event)
        if event.event == "node_finished" and event.node == "n":
            raise error

    doc = document(n=("number", {"value": 3}), a=("add", {"a": link("n"), "b": 1}))
    with pytest.raises(error):
        go(doc, ["a"], on_event=listen)
    assert "a" not in {event.node for event in events}
    one_end(events, end)


def test_a_run_that_was_cancelled_before_it_began_says_so() -> None:
    cancel = CancelToken()
    cancel.cancel()
    events: list[Event] = []
    with pytest.raises(Cancelled):
        go(document(n=("number", {})), ["n"], cancel=cancel, on_event=events.append)
    assert names(events) == ["job_cancelled"]


# -- values that cannot be measured, keyed or written


@value("tests.unset")
@dataclass(frozen=True)
class Unset:
    """One whose field may be missing."""

    size: int


def odd_values() -> dict[str, Any]:
    import torch

    deep: list[Any] = []
    for _ in range(3000):
        deep = [deep]
    return {
        "sparse": torch.eye(3).to_sparse(),
        "compressed": torch.eye(3).to_sparse_csr(),
        "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        "long": 7**9000,
        "unset": object.__new__(Unset),
        "deep": deep,
        "mixed": {1: "a", "b": 2, None: 3},
        "bytes that are no text": "caf\udce9.png",
    }


ODD = ("sparse", "compressed", "nested", "long", "unset", "deep", "mixed", "bytes that are no text")


@pytest.mark.filterwarnings("ignore:.*(Sparse CSR|nested tensors)")
@pytest.mark.parametrize("name", ODD)
def test_an_odd_value_goes_through_a_run(name: str, tmp_path: Any) -> None:
    item = odd_values()[name]

    @node("gives_odd")
    def gives_odd() -> Any:
        return item

    @node("gives_odds")
    def gives_odds() -> list[Any]:
        return [item, item]

    @node("same_kind")
    def same_kind(value: Any) -> str:
        return type(value).__name__

    doc = document(
        one=("gives_odd", {}), kind=("same_kind", {"value": link("one")}), many=("gives_odds", {}),
        each=("map_over", {"items": link("many")}), part=("same_kind", {"value": link("each")}),
        all=("collect", {"item": link("part")}),
    )  # fmt: skip
    for cache in (Cache(tmp_path), Cache.none()):
        result = go(doc, ["kind", "all", "one"], gives_odd, gives_odds, same_kind, cache=cache)
        assert result["kind"] == type(item).__name__
        assert result["all"] == [type(item).__name__] * 2


def test_long_numbers_have_keys_and_come_back() -> None:
    assert len({pack(canonical(number)) for number in (7**9000, -(7**9000), 7**9001, 1 << 64, 1 << 65)}) == 5
    encoded = codec.encode([7**9000, -(7**9000), 1 << 70])
    assert codec.decode(encoded.structure, bytearray()) == [7**9000, -(7**9000), 1 << 70]


# -- lazy inputs that outlive their run


@pytest.mark.parametrize("asked", ["the run", "the node"])
def test_a_lazy_input_that_is_asked_for_too_late_says_so(asked: str) -> None:
    kept: list[Lazy[int]] = []
    said: list[BaseException] = []

    def ask() -> None:
        try:
            kept[0]()
        except BaseException as error:
            said.append(error)

    @node("keeps")
    def keeps(value: Lazy[int]) -> int:
        kept.append(value)
        return 0

    @node("asks")
    async def asks(after: int) -> int:
        await asyncio.to_thread(ask)
        return 1

    doc = document(n=("number", {"value": 3}), k=("keeps", {"value": link("n")}), a=("asks", {"after": link("k")}))
    go(doc, ["a"] if asked == "the node" else ["k"], keeps, asks)
    if asked == "the run":
        ask()
    assert [type(error) for error in said] == [RuntimeError]
    assert f"after its {asked.removeprefix('the ')} had ended" in str(said[0])
