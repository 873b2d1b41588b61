from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.engine.test_run import chain, diamond, link
from weft.engine import Result, RunFailed
from weft.engine.events import AnyEvent, Event, NodePreview

Run = Callable[..., Result]


def names(events: list[Event]) -> list[str]:
    return [event.event if event.node is None else f"{event.event} {event.node}" for event in events]


def test_a_jobs_events_are_numbered_without_a_gap(run_toys: Run) -> None:
    events: list[Event] = []
    result = run_toys(diamond(), on_event=events.append)
    assert [event.seq for event in events] == list(range(len(events)))
    assert {event.job for event in events} == {result.job}
    assert [event.time for event in events] == sorted(event.time for event in events)
    assert names(events) == [
        "job_started", "node_started n", "node_finished n", "node_started left", "node_finished left",
        "node_started right", "node_finished right", "node_started top", "node_finished top", "output top",
        "job_finished",
    ]  # fmt: skip


def test_steps_and_previews_show_on_the_node(run_toys: Run, document: Callable[..., Any]) -> None:
    events: list[Event] = []
    run_toys(document(s=("steps", {"count": 3})), ["s"], on_event=events.append)
    assert names(events)[1:-3] == ["node_started s", "node_preview s", *["node_progress s"] * 3]
    preview = next(event for event in events if isinstance(event, NodePreview))
    assert (preview.mime, preview.width, preview.height, preview.data) == ("image/png", 8, 4, b"picture")
    progress = [event.model_dump(include={"step", "total", "message"}) for event in events[3:6]]
    assert progress[-1] == {"step": 3, "total": 3, "message": "going"}


def test_a_failure_says_what_and_where(run_toys: Run, document: Callable[..., Any]) -> None:
    events: list[Event] = []
    with pytest.raises(RunFailed):
        run_toys(document(b=("boom", {})), on_event=events.append)
    assert names(events) == ["job_started", "node_started b", "node_failed b", "job_failed"]
    assert events[-1].model_dump()["error"]["message"] == "it broke"


def test_equal_nodes_are_all_accounted_for(run_toys: Run, document: Callable[..., Any]) -> None:
    events: list[Event] = []
    doc = document(a=("number", {}), b=("number", {}), t=("total", {"items": [link("a"), link("b")]}))
    result = run_toys(doc, on_event=events.append)
    assert "node_cached b" in names(events)
    last = events[-1].model_dump()
    assert (last["ran"], last["cached"]) == (result.ran, result.cached) == (2, 1)


def test_events_survive_json(run_toys: Run, document: Callable[..., Any]) -> None:
    events: list[Event] = []
    run_toys(document(s=("steps", {}), e=("show", {"value": link("s")})), on_event=events.append)
    adapter: TypeAdapter[Any] = TypeAdapter(AnyEvent)
    for event in events:
        data = json.loads(event.model_dump_json())
        if isinstance(event, NodePreview):
            assert "data" not in data
            data["data"] = ""
        back = adapter.validate_python(data)
        assert type(back) is type(event)
        assert back.model_dump() == event.model_dump()


def test_bytes_of_events_do_not_grow_with_the_graph(run_toys: Run) -> None:
    def largest(length: int) -> int:
        sizes: list[int] = []
        run_toys(chain(length), on_event=lambda event: sizes.append(len(event.model_dump_json())))
        assert sum(sizes) < 1000 * length
        return max(sizes)

    assert largest(1000) < largest(10) + 20
