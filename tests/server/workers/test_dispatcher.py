"""Quick jobs are claimed several at once; none of them is lost, passed over or run twice by that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from weft.engine.declaring.context import CancelToken
from weft.server.store.desk import Desk
from weft.server.store.records import Job, Request
from weft.server.store.sqlite import SqliteStore
from weft.server.workers.dispatcher import MOST_AHEAD, Dispatcher
from weft.server.workers.home import Home
from weft.server.workers.means import Means

DOCUMENT = '{"weft": 1, "nodes": {}}'


class Nobody:
    """An audience that only takes down which state events it was told."""

    def __init__(self) -> None:
        self.told: dict[str, list[int]] = {}

    def states(self, job: str, first: int, texts: Sequence[str]) -> None:
        self.told.setdefault(job, []).extend(range(first, first + len(texts)))

    def passing(self, job: str, event: str, node: str, text: str) -> None: ...

    def preview(self, job: str, data: Mapping[str, Any], picture: bytes) -> None: ...

    def queue_changed(self) -> None: ...

    def bring(self, document: str) -> None: ...

    def take(self, path: Path) -> Any: ...


class Process:
    """A worker process, as it were: each job is over at once, but those that `slow` names wait for `go`."""

    alive, slot, calls, deaths, seconds, transport = True, 0, 0, 0, 0.0, None

    def __init__(self) -> None:
        self.had: list[str] = []
        self.slow: set[str] = set()
        self.go = asyncio.Event()
        self.began = asyncio.Event()

    async def ready(self) -> bool:
        return False

    async def close(self) -> None: ...

    async def call(self, function: Any, inputs: dict[str, str], cancel: CancelToken, report: Any) -> str:
        order = json.loads(inputs["order"])
        self.had.append(order["job"])
        self.calls += 1
        state = "done"
        if order["job"] in self.slow:
            self.began.set()
            while not self.go.is_set() and not cancel.cancelled:
                await asyncio.sleep(0.001)
            state = "cancelled" if cancel.cancelled else "done"
        first = order["first_seq"]
        texts = [json.dumps({"event": "job_started", "seq": first, "job": order["job"], "node": None, "nodes": 0})]
        summary = {"state": state, "error": None, "seconds": 0.0, "ran": 0, "cached": 0, "events": texts, "last": None}
        return json.dumps(summary)


class Place:
    """A store with a dispatcher of one worker."""

    def __init__(self, folder: Path) -> None:
        self.desk = Desk(SqliteStore(folder / "weft.sqlite"))
        self.audience = Nobody()
        means = Means(self.desk, self.audience, self.audience, Home(cache=None, out=str(folder)))
        self.dispatcher = Dispatcher(means, folder, owner="test", count=1)
        self.process = Process()
        self.dispatcher.processes[0] = self.process  # type: ignore[call-overload]

    async def submit(self, count: int) -> list[str]:
        """Queue jobs; their ids."""
        found = await self.desk.submit([Request(document=DOCUMENT)] * count, 1.0, queued=lambda job, state: "{}")
        return [job.id for job, _ in found]

    async def until(self, ids: Sequence[str], *states: str) -> list[Job]:
        """The jobs, once all of them are in one of these states."""
        while True:
            jobs = [await self.desk.get(id) for id in ids]
            if all(job.state in states for job in jobs):
                return jobs
            await asyncio.sleep(0.002)


def run(folder: Path, test: Callable[[Place], Awaitable[None]]) -> None:
    """A test on a place of its own, which is closed after it."""

    async def body() -> None:
        place = Place(folder)
        try:
            async with asyncio.timeout(60):
                await test(place)
                await place.dispatcher.close(0.0)
        finally:
            await place.desk.close()

    asyncio.run(body())


async def warmed(place: Place) -> list[str]:
    """Let the worker have some quick jobs, then a slow one with quick ones behind it; their ids, the slow one's first.

    They are queued together before the worker looks for more, so it claims several of them at once.
    """
    await place.dispatcher.start()
    place.dispatcher.wake()
    await place.until(await place.submit(1), "done", "queued")
    for _ in range(3):
        ids = await place.submit(1)
        place.dispatcher.wake()
        await place.until(ids, "done")
    place.dispatcher._paces[0]._last = (0.0, 0.0)  # however busy this machine is
    ids = await place.submit(6)
    place.process.slow.add(ids[0])
    place.dispatcher.wake()
    await place.process.began.wait()
    return ids


def test_each_of_many_quick_jobs_ends_once_in_its_turn_with_events_without_gaps(tmp_path: Path) -> None:
    async def test(place: Place) -> None:
        ids = await place.submit(5 * MOST_AHEAD)
        await place.dispatcher.start()
        jobs = await place.until(ids, "done")
        assert place.process.had == ids
        assert {job.attempts for job in jobs} == {jobs[0].attempts}
        for id in ids:
            stored = [json.loads(text) for text in await place.desk.events(id)]
            assert [event.get("event") for event in stored] == [None, "job_started", "job_finished"]
            assert [event["state"] for event in stored[1:]] == [1, 2] == place.audience.told[id]

    run(tmp_path, test)


def test_what_was_claimed_with_a_job_that_takes_long_goes_back_to_the_queue(tmp_path: Path) -> None:
    async def test(place: Place) -> None:
        slow, *others = await warmed(place)
        waiting = await place.until(others, "queued")
        assert [job.attempts for job in waiting] == [0] * len(others)
        place.process.go.set()
        await place.until([slow, *others], "done")
        assert place.process.had[-6:] == [slow, *others], "each once, in the order in which they came"

    run(tmp_path, test)


def test_a_job_that_is_cancelled_behind_another_one_never_begins(tmp_path: Path) -> None:
    async def test(place: Place) -> None:
        slow, *others = await warmed(place)
        await place.desk.cancel(others[2], 2.0, lambda job, state: '{"event": "job_cancelled"}')
        place.dispatcher.cancel(others[2])
        place.process.go.set()
        await place.until([others[2]], "cancelled")
        rest = [slow, *others[:2], *others[3:]]
        await place.until(rest, "done")
        assert place.process.had[-5:] == rest

    run(tmp_path, test)


def test_a_server_that_ends_leaves_what_it_claimed_to_the_next_one(tmp_path: Path) -> None:
    async def test(place: Place) -> None:
        ids = await warmed(place)
        await place.dispatcher.close(0.0)
        jobs = await place.until(ids, "queued")
        assert [job.attempts for job in jobs] == [0] * len(ids)

    run(tmp_path, test)
