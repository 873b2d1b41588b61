"""How events reach the listener: in order, without a gap, and without holding up who reports."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.flow import document, go
from weft.engine import Context, node
from weft.engine.events import Event, JobFinished, JobStarted, NodeReport, NodeStarted
from weft.engine.running import emitter
from weft.engine.running.emitter import Emitter


def on_a_thread(work: Callable[[], Any]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it had to wait for the listener"


class Slow:
    """A listener that takes its time at one event."""

    def __init__(self, at: int) -> None:
        self.events: list[Event] = []
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.at = at

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if event.seq == self.at:
            self.reached.set()
            assert self.go_on.wait(10)


def test_a_slow_listener_holds_up_nobody_who_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emitter, "CAPACITY", 10)
    slow = Slow(1)
    out = Emitter("j", slow)
    out.emit(JobStarted, nodes=1)
    on_a_thread(lambda: out.report("n", "progress", {"step": 0, "total": 99, "message": ""}))
    assert slow.reached.wait(10)

    def report() -> None:
        for step in range(100):
            for name in "nm":
                out.report(name, "progress", {"step": step, "total": 99, "message": ""})
            out.report("n", "preview", {"mime": "image/png", "width": 1, "height": 1}, b"p%d" % step)
            out.report("n", "mine", {"data": step})
            out.report("n", "other", {"data": step})

    on_a_thread(report)
    slow.go_on.set()
    out.close()
    events: list[Any] = slow.events
    assert [event.seq for event in events] == list(range(len(events)))
    assert 2 < len(events) < 30
    last = {(event.event, event.node, getattr(event, "kind", "")): event for event in events}
    assert last["node_progress", "n", ""].step == last["node_progress", "m", ""].step == 99
    assert last["node_preview", "n", ""].data == b"p99"
    assert last["node_report", "n", "mine"].data == last["node_report", "n", "other"].data == 99


def test_pictures_that_wait_are_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emitter, "CAPACITY_BYTES", 1000)
    slow = Slow(0)
    out = Emitter("j", slow)
    picture = {"mime": "image/png", "width": 1, "height": 1}
    on_a_thread(lambda: [out.report("n", "preview", picture, bytes(400)) for _ in range(2)])
    assert slow.reached.wait(10)
    on_a_thread(lambda: [out.report("n", "preview", picture, bytes(400)) for _ in range(50)])
    slow.go_on.set()
    out.close()
    assert len(slow.events) <= 4


def test_what_happens_is_never_left_out_and_waits_for_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emitter, "CAPACITY", 5)
    slow = Slow(0)
    out = Emitter("j", slow)
    on_a_thread(lambda: out.report("n", "progress", {"step": 0, "total": 1, "message": ""}))
    assert slow.reached.wait(10)
    said = 0

    def say() -> None:
        nonlocal said
        for number in range(50):
            out.emit(NodeStarted, f"n{number}")
            said += 1

    thread = threading.Thread(target=say)
    thread.start()
    while len(out._queue) < 5:
        assert thread.is_alive()
    assert said <= 5
    slow.go_on.set()
    thread.join(10)
    out.emit(JobFinished, seconds=0, ran=0, cached=0)
    out.close()
    assert [event.node for event in slow.events[1:-1]] == [f"n{number}" for number in range(50)]
    assert [event.seq for event in slow.events] == list(range(52))


def test_numbers_go_on_from_where_a_queue_left_off() -> None:
    events: list[Event] = []
    go(document(n=("number", {})), ["n"], on_event=events.append, first_seq=1)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))


def test_everything_was_delivered_when_run_returns() -> None:
    events: list[Event] = []

    @node("reports", resource="io")
    def reports(count: int, ctx: Context | None = None) -> int:
        assert ctx is not None
        for step in range(count):
            ctx.report("tests.loss", {"step": step, "loss": 1 / (step + 1)})
        return count

    doc = document(**{f"r{n}": ("reports", {"count": 20 + n}) for n in range(4)})
    go(doc, list(doc["nodes"]), reports, on_event=events.append)
    assert [event.seq for event in events] == list(range(len(events)))
    assert events[-1].event == "job_finished"
    said = [event for event in events if isinstance(event, NodeReport)]
    assert len(said) == 20 + 21 + 22 + 23
    for name in doc["nodes"]:
        mine = [event.event for event in events if event.node == name]
        assert (mine[0], mine[-2], mine[-1]) == ("node_started", "node_finished", "output") or mine[-1] == (
            "node_finished"
        )


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("progress", {}, "cannot be the kind"),
        ("two words", {}, "cannot be the kind"),
        ("x" * 65, {}, "cannot be the kind"),
        ("mine", object(), "no JSON data"),
        ("mine", float("nan"), "no JSON data"),
        ("mine", "x" * 20_000, "at most 16,384"),
    ],
)
def test_a_report_that_cannot_be_is_the_nodes_own_mistake(kind: str, data: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Context("n").report(kind, data)


def test_a_report_is_a_copy() -> None:
    events: list[Any] = []
    out = Emitter("j", events.append)
    data = {"loss": [1]}
    Context("n", listener=out).report("mine", data)
    data["loss"].append(2)
    out.close()
    assert (events[0].kind, events[0].data) == ("mine", {"loss": [1]})
