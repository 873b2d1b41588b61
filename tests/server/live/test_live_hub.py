"""What happens is told to those who follow it, previews and the queue not too often."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgpack

from tests.server.live.fakes import Events
from weft.server.live.hub import Hub
from weft.server.live.listener import Listener

PICTURE = {
    "event": "node_preview", "job": "a", "node": "n", "seq": 4, "mime": "image/jpeg", "width": 64, "height": 32,
}  # fmt: skip


class Clock:
    """Time that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def follower(hub: Hub, *jobs: str, **wanted: bool) -> Listener:
    listener = Listener(Events().fetch)
    listener.want(list(jobs) or None, {}, **wanted)
    hub.join(listener)
    return listener


def passing(listener: Listener) -> list[Any]:
    return list(listener._passing.values())


def test_previews_go_to_those_who_want_them_ten_times_a_second() -> None:
    clock = Clock()
    hub = Hub(clock)
    wants, other, none = follower(hub, previews=True), follower(hub, "b", previews=True), follower(hub)
    frames = []
    for number in range(10):
        clock.now = number / 16
        hub.preview("a", PICTURE | {"seq": number}, b"jpeg")
        frames += passing(wants)
        wants._passing.clear()
    assert passing(other) == passing(none) == []
    assert [msgpack.unpackb(frame)["seq"] for frame in frames] == [0, 2, 4, 6, 8]
    assert msgpack.unpackb(frames[0]) == {"v": 1, **PICTURE, "seq": 0, "data": b"jpeg"}


def test_a_preview_that_is_too_large_is_not_told() -> None:
    hub = Hub(Clock())
    listener = follower(hub, previews=True)
    hub.preview("a", PICTURE | {"height": 513}, b"jpeg")
    assert passing(listener) == []
    hub.preview("a", PICTURE | {"height": 512}, b"jpeg")
    assert len(passing(listener)) == 1


def test_a_job_that_ended_is_forgotten() -> None:
    hub = Hub(Clock())
    hub.preview("a", PICTURE, b"jpeg")
    assert hub._previewed
    hub.ended("a")
    assert not hub._previewed


def test_who_left_is_told_nothing() -> None:
    hub = Hub(Clock())
    listener = follower(hub, queue=True)
    hub.leave(listener)
    hub.states("a", 0, ["{}"])
    hub.passing("a", "node_progress", "n", "{}")
    hub.catalogue_changed()
    assert len(hub) == 0
    assert passing(listener) == []
    assert not listener._states


def test_saved_workflows_are_told_each() -> None:
    hub = Hub(Clock())
    listener = follower(hub, queue=True)
    hub.workflow_changed("a", "1")
    hub.workflow_changed("b", None)
    hub.workflow_changed("a", "2")
    told = [json.loads(text) for text in passing(listener)]
    assert told == [
        {"event": "workflow", "name": "b", "etag": None},
        {"event": "workflow", "name": "a", "etag": "2"},
    ]


def test_the_queue_is_read_once_for_many_changes_and_told_as_it_is_at_last() -> None:
    async def go() -> tuple[list[Any], int]:
        hub, reads, queued = Hub(), 0, 0

        async def state() -> dict[str, Any]:
            nonlocal reads
            reads += 1
            return {"paused": False, "queued": queued, "running": 0}

        hub.queue_state = state
        hub.queue_changed()
        await asyncio.sleep(0)
        assert reads == 0  # nobody follows it
        listener = follower(hub, queue=True)
        for _ in range(100):
            queued += 1
            hub.queue_changed()
            await asyncio.sleep(0)
        while hub._telling is not None:
            await asyncio.sleep(0.01)
        return [json.loads(text) for text in passing(listener)], reads

    told, reads = asyncio.run(go())
    assert told == [{"event": "queue", "paused": False, "queued": 100, "running": 0}]
    assert reads <= 3


def test_a_queue_that_cannot_be_read_is_asked_again_with_the_next_change() -> None:
    async def go() -> list[Any]:
        hub, fails = Hub(), True

        async def state() -> dict[str, Any]:
            if fails:
                raise OSError("no disk")
            return {"paused": True, "queued": 1, "running": 0}

        hub.queue_state = state
        listener = follower(hub, queue=True)
        hub.queue_changed()
        while hub._telling is not None:
            await asyncio.sleep(0.001)
        fails = False
        hub.queue_changed()
        while not passing(listener):
            await asyncio.sleep(0.001)
        return passing(listener)

    assert json.loads(asyncio.run(go())[0])["paused"]
