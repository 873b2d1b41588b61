"""Nodes that are called again when they fail, and nodes whose time is limited."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engine.flow import document, go, link
from weft.engine import Cache, Cancelled, CancelToken, Context, NodeError, RunFailed, Workers, node, run
from weft.engine.catalogue.catalogue import Catalogue
from weft.engine.events import Event
from weft.engine.running import retries
from weft.graphs import Graph, Workflow, WorkflowError

attempts: Counter[str] = Counter()
released = threading.Event()


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    attempts.clear()
    released.clear()
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.001)
    yield
    released.set()


@node("flaky", retry=2)
def flaky(name: str = "a", failures: int = 2) -> int:
    attempts[name] += 1
    if attempts[name] <= failures:
        raise ConnectionError(f"attempt {attempts[name]}")
    return attempts[name]


@node("flaky_async", retry=2)
async def flaky_async(failures: int = 2) -> int:
    attempts["async"] += 1
    if attempts["async"] <= failures:
        raise ConnectionError("not yet")
    return attempts["async"]


@node("stuck", timeout=0.05)
def stuck(ctx: Context, how: str = "looks") -> str:
    attempts["stuck"] += 1
    while not released.is_set():
        if how == "looks" and ctx.cancelled:
            attempts["saw it"] += 1
            return "half"
        released.wait(0.005)
    return "late"


@node("stuck_async", timeout=0.05)
async def stuck_async() -> str:
    try:
        await asyncio.sleep(60)
    finally:
        attempts["cleaned up"] += 1
    return "late"


@node("in_time", timeout=60)
def in_time() -> str:
    return "done"


@node("needs_it")
def needs_it(value: int) -> int:
    return value + 1


NODES = (flaky, flaky_async, stuck, stuck_async, in_time, needs_it)


def test_it_is_called_again_until_it_works() -> None:
    events: list[Event] = []
    doc = document(f=("flaky", {}), n=("needs_it", {"value": link("f")}))
    assert go(doc, ["n"], *NODES, on_event=events.append)["n"] == 4
    retried = [event for event in events if event.event == "node_retried"]
    assert [(event.node, event.attempt, event.of) for event in retried] == [("f", 1, 2), ("f", 2, 2)]
    assert "attempt 1" in retried[0].error.message
    assert [event.event for event in events].count("node_failed") == 0
    assert go(document(f=("flaky_async", {})), ["f"], *NODES)["f"] == 3


def test_and_no_more_often_than_is_said() -> None:
    with pytest.raises(RunFailed, match="attempt 3"):
        go(document(f=("flaky", {"failures": 9})), ["f"], *NODES)
    assert attempts["a"] == 3


def test_a_document_may_say_otherwise_and_the_key_stays() -> None:
    doc = document(f=("flaky", {"failures": 1}))
    doc["nodes"]["f"]["retry"] = 0
    with pytest.raises(RunFailed, match="attempt 1"):
        go(doc, ["f"], *NODES)
    cache = Cache()
    assert go(doc, ["f"], *NODES, cache=cache)["f"] == 2
    doc["nodes"]["f"]["retry"] = 5
    assert go(doc, ["f"], *NODES, cache=cache).ran == 0, "how often it was tried does not change the result"


def test_others_go_on_between_two_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE", 0.2)
    other_ran = threading.Event()

    @node("waits_for_other", retry=1)
    def waits_for_other() -> int:
        attempts["w"] += 1
        if attempts["w"] == 1:
            raise ValueError("once")
        assert other_ran.is_set()
        return 1

    @node("other")
    def other() -> int:
        other_ran.set()
        return 2

    doc = document(w=("waits_for_other", {}), o=("other", {}))
    assert go(doc, ["w", "o"], waits_for_other, other)["w"] == 1


def test_a_run_that_waits_for_an_attempt_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE", 600)
    monkeypatch.setattr(retries, "LONGEST_PAUSE", 600)
    cancel = CancelToken()

    def press(event: Event) -> None:
        if event.event == "node_retried":
            cancel.cancel()

    with pytest.raises(Cancelled):
        go(document(f=("flaky", {})), ["f"], *NODES, cancel=cancel, on_event=press)
    assert attempts["a"] == 1


def test_it_is_not_called_again_for_what_is_no_failure_of_its_own() -> None:
    @node("lazy_one", retry=3)
    def lazy_one(value: Any) -> Any:
        attempts["lazy"] += 1
        return value

    doc = document(f=("flaky", {"failures": 9}), n=("lazy_one", {"value": link("f")}))
    result = go(doc, ["n"], *NODES, lazy_one, keep_going=True)
    assert attempts == {"a": 3}
    with pytest.raises(NodeError, match="attempt 3"):
        result["n"]


@pytest.mark.parametrize("how", ["looks", "never looks"])
def test_a_function_that_takes_too_long_has_failed(how: str) -> None:
    cache = Cache()
    doc = document(s=("stuck", {"how": how}), n=("in_time", {}))
    result = go(doc, ["s", "n"], *NODES, keep_going=True, cache=cache)
    assert result["n"] == "done"
    with pytest.raises(NodeError, match=r"longer than its limit of 0\.05 seconds"):
        result["s"]
    released.set()
    released.clear()
    with pytest.raises(RunFailed):  # what it returned after all went nowhere
        go(doc, ["s"], *NODES, cache=cache)


def test_an_async_node_that_takes_too_long_is_cancelled() -> None:
    with pytest.raises(RunFailed, match="longer than its limit"):
        go(document(s=("stuck_async", {})), ["s"], *NODES)
    assert attempts["cleaned up"] == 1


def test_a_limit_and_attempts_together() -> None:
    doc = document(s=("stuck", {}))
    doc["nodes"]["s"] |= {"retry": 2, "timeout": 0.02}
    with pytest.raises(RunFailed, match=r"limit of 0\.02 seconds"):
        go(doc, ["s"], *NODES)
    assert attempts["stuck"] == 3


def test_in_workers(workers: Workers) -> None:
    doc = document(s=("stuck", {"how": "never looks"}), n=("in_time", {}))
    doc["nodes"]["s"]["timeout"] = 1
    result = go(doc, ["s", "n"], *NODES, keep_going=True, on=workers)
    assert result["n"] == "done"
    with pytest.raises(NodeError, match="longer than its limit of 1 seconds"):
        result["s"]


def test_written_in_python_and_in_documents() -> None:
    with Graph() as g:
        g.allow(flaky("b"), retry=3, timeout=2.5)
    doc = g.workflow().to_dict()
    assert doc["nodes"]["flaky"] == {"type": "flaky", "retry": 3, "timeout": 2.5, "inputs": {"name": "b"}}
    assert Workflow.parse(doc).to_dict() == doc
    assert run(g, ["flaky"], catalogue=Catalogue(NODES), cache=Cache())["flaky"] == 3
    for wrong in ({"retry": -1}, {"retry": 101}, {"timeout": 0}, {"timeout": float("nan")}):
        with pytest.raises(ValueError, match=next(iter(wrong))), Graph() as g:
            g.allow(flaky("b"), **wrong)  # type: ignore[arg-type]
    for fields in ({"retry": 1.5, "timeout": "soon"}, {"retry": True, "timeout": -1}):
        with pytest.raises(WorkflowError) as raised:
            Workflow.parse({"weft": 1, "nodes": {"f": {"type": "flaky", **fields}}})
        assert len(raised.value.problems) == 2, "both at once"


@pytest.mark.parametrize("wrong", [{"retry": -1}, {"timeout": 0}])
def test_declared_wrongly(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="node 'x'"):
        node("x", **wrong)


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    found = Workers()
    yield found
    found.close()
