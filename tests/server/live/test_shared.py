"""Followers at a server whose store others use too: told in its order, each event once, after a gap too."""

from __future__ import annotations

import asyncio
import json
import queue
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from weft.server.live.listener import Listener
from weft.server.live.shared import SharedHub
from weft.server.store.desk import Desk
from weft.server.store.protocol import Unavailable
from weft.server.store.records import Ending, Heard, Request
from weft.server.store.sqlite import SqliteStore


class World:
    """A store that several servers write, and one of these servers.

    Attributes:
        said: what the store says next, as soon as it is asked.
    """

    def __init__(self, folder: Path) -> None:
        self.store = SqliteStore(folder / "weft.sqlite")
        self.desk = Desk(self.store)
        self.said: queue.Queue[Heard | Exception] = queue.Queue()
        self.hub = SharedHub(self._hear, self.desk)

    def _hear(self, seconds: float) -> Heard:
        try:
            heard = self.said.get(timeout=0.01)
        except queue.Empty:
            return Heard()
        if isinstance(heard, Exception):
            raise heard
        return heard

    def stored(self, job: str, first: int, end: int) -> None:
        """Have the store say that events are there."""
        self.said.put(Heard(queue=True, events=[(job, first, end)]))

    def follower(self, *jobs: str, **since: int) -> Listener:
        """One that follows these, or all."""
        listener = Listener(self.desk.events)
        listener.want(list(jobs) or None, since, queue=True)
        self.hub.join(listener)
        return listener

    def queued(self) -> tuple[str, int]:
        """A job of another server that runs there: its id and epoch. It has one event."""
        [(job, _)] = self.store.submit([Request("{}")], 1.0, queued=lambda job, state: event("job_queued", state))
        claim = self.store.claim("other", 1.0)
        assert claim is not None
        return job.id, claim.epoch

    def ends(self, id: str, epoch: int, number: int) -> None:
        """That job is done."""
        self.store.end(id, epoch, Ending("done", events=(event("job_finished", number),)), 2.0)


def event(kind: str, state: int) -> str:
    return json.dumps({"event": kind, "state": state})


async def told(listener: Listener) -> list[Any]:
    """The state events that it is told within a moment."""
    found: list[Any] = []
    while True:
        try:
            async with asyncio.timeout(0.2):
                found += [json.loads(text) for text in await listener.take()]
        except TimeoutError:
            return [item["state"] for item in found if "state" in item]


def run(folder: Path, script: Callable[[World], Awaitable[None]]) -> None:
    async def go() -> None:
        world = World(folder)
        listening = asyncio.create_task(world.hub.listen())
        try:
            await script(world)
            assert not listening.done()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await world.desk.close()

    asyncio.run(go())


def test_what_another_server_stores_is_told_and_the_end_forgotten(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        id, epoch = world.queued()
        every, named, other = world.follower(), world.follower(id), world.follower("none")
        world.stored(id, 0, 1)
        world.store.record(id, epoch, [event("node_started", 1), event("node_finished", 2)], (1, 0, 1))
        world.ends(id, epoch, 3)
        world.stored(id, 1, 3)
        world.stored(id, 3, 4)
        assert await told(every) == await told(named) == [0, 1, 2, 3]
        assert await told(other) == []
        assert every.known() == {}

    run(tmp_path, script)


def test_what_this_server_stores_is_told_in_the_stores_order(tmp_path: Path) -> None:
    """The job was queued at another server, whose word of it comes later than this server's own events."""

    async def script(world: World) -> None:
        id, epoch = world.queued()
        listener = world.follower()
        world.store.record(id, epoch, [event("job_started", 1)], (0, 0, 1))
        world.hub.states(id, 1, [event("job_started", 1)])
        world.ends(id, epoch, 2)
        world.hub.states(id, 2, [event("job_finished", 2)])
        world.hub.ended(id)
        for number in range(3):
            world.stored(id, number, number + 1)
        assert await told(listener) == [0, 1, 2]

    run(tmp_path, script)


def test_after_a_gap_what_was_missed_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.server.live.shared.HEAR_SECONDS", 0.01)

    async def script(world: World) -> None:
        (first, epoch), (second, later) = world.queued(), world.queued()
        every, named = world.follower(**{first: 0}), world.follower(second)
        assert await told(every) == [0]
        world.said.put(Unavailable("the connection broke"))
        world.store.record(first, epoch, [event("job_started", 1)], (0, 0, 1))
        world.ends(first, epoch, 2)
        world.ends(second, later, 1)
        world.said.put(Heard(anew=True, events=[(first, 2, 3)]))  # the last one is heard all the same
        while not world.said.empty():
            await asyncio.sleep(0.01)
        # The end of the second job too, which nobody may wait for in vain.
        assert sorted(await told(every)) == [1, 1, 2]
        assert await told(named) == [1]

    run(tmp_path, script)


def test_a_job_that_is_gone_holds_up_no_other(tmp_path: Path) -> None:
    async def script(world: World) -> None:
        id, _ = world.queued()
        listener = world.follower()
        world.said.put(Heard(events=[("deleted since", 0, 3), (id, 0, 1)]))
        assert await told(listener) == [0]

    run(tmp_path, script)
