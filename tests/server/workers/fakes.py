"""A dispatcher on a real store, whose workers are played by the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from weft.engine.declaring.following import CancelToken
from weft.engine.errors import Cancelled, Elsewhere
from weft.engine.isolation import Limits
from weft.server.store.desk import Desk
from weft.server.store.records import ENDED, Job, Request
from weft.server.store.sqlite import SqliteStore
from weft.server.workers.audience import Stored
from weft.server.workers.dispatcher import Dispatcher
from weft.server.workers.home import Home
from weft.server.workers.inside import EVENTS
from weft.server.workers.means import Means, Rules

DOCUMENT = json.dumps({"weft": 1, "nodes": {"n": {"type": "kind", "inputs": {}}}})


class Work:
    """One call as the worker sees it."""

    def __init__(self, order: dict[str, Any], cancel: CancelToken, report: Callable[..., object]) -> None:
        self.order = order
        self.cancel = cancel
        self._report = report
        self._seq = order["first_seq"]

    def tell(self, *events: Mapping[str, Any]) -> None:
        """Report events, numbered as the engine numbers them."""
        texts = []
        for event in events:
            texts.append(json.dumps({"seq": self._seq, "time": 0.0, "job": self.order["job"], "node": None, **event}))
            self._seq += 1
        self._report(EVENTS, {"events": texts}, b"")

    def mark(self, *nodes: str) -> None:
        """Note which nodes run."""
        Path(self.order["marker"]).write_bytes(json.dumps(nodes).encode() + b"\0")

    def end(self, state: str = "done", **more: Any) -> str:
        """The summary of a run."""
        kind = {"done": "job_finished", "failed": "job_failed"}.get(state, "job_cancelled")
        last = {"event": kind, "seq": self._seq, "time": 0.0, "job": self.order["job"], "node": None}
        summary = {"state": state, "error": None, "seconds": 1.0, "ran": 1, "cached": 0, "values": {}}
        return json.dumps({**summary, "last": json.dumps(last), **more})


Play = Callable[[Work], Awaitable[str]]


async def does_nothing(work: Work) -> str:
    """A job that is done at once."""
    return work.end()


async def waits(work: Work) -> str:
    """A job that runs until it is told to end."""
    while not work.cancel.cancelled:
        await asyncio.sleep(0.001)
    return work.end("cancelled")


async def dies(work: Work) -> str:
    """The end of the process."""
    raise Elsewhere("WorkerDied", "it was killed")


class Process:
    """In place of a `WorkerProcess`."""

    def __init__(self, slot: int, stage: Stage) -> None:
        self.slot = slot
        self.stage = stage
        self.calls = self.deaths = self.starts = 0
        self.seconds = 0.0
        self.awaited = False
        self.alive = False
        self.bytes_taken = 0
        self.stopped = asyncio.Event()

    @property
    def transport(self) -> Process:
        """Tells its memory."""
        return self

    async def ready(self) -> bool:
        """See `WorkerProcess`."""
        started, self.alive = not self.alive, True
        if started:
            self.starts += 1
            self.calls = self.bytes_taken = 0
            self.awaited = True
        return started

    async def call(self, node: Any, inputs: dict[str, str], cancel: CancelToken, report: Any) -> str:
        """See `WorkerProcess`."""
        self.calls += 1
        self.awaited = False
        work = Work(json.loads(inputs["order"]), cancel, report)
        self.stage.works.append(work)
        play = asyncio.ensure_future(self.stage.play(work))
        closed = asyncio.create_task(self.stopped.wait())
        await asyncio.wait([play, closed], return_when=asyncio.FIRST_COMPLETED)
        closed.cancel()
        if not play.done():
            play.cancel()
            raise Cancelled("the worker was closed")
        if isinstance(play.exception(), Elsewhere):
            self.alive = False
        return play.result()

    async def close(self) -> None:
        """See `WorkerProcess`."""
        self.alive = False
        self.stopped.set()


class Hall:
    """An audience.

    Attributes:
        told: what it was told, in order.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.told: list[tuple[str, str, Any]] = []

    def states(self, job: str, first: int, texts: Sequence[str]) -> None:
        """See `Audience`: what it is told is in the store."""
        assert self._store.events(job, first)[: len(texts)] == list(texts)
        self.told += [("state", job, json.loads(text)) for text in texts]

    def passing(self, job: str, event: str, node: str, text: str) -> None:
        """See `Audience`."""
        self.told.append((event, job, json.loads(text)))

    def ended(self, job: str) -> None:
        """See `Audience`."""
        self.told.append(("ended", job, None))

    def preview(self, job: str, data: Mapping[str, Any], picture: bytes) -> None:
        """See `Audience`."""

    def queue_changed(self) -> None:
        """See `Audience`."""


class Shelf:
    """Where files go.

    Attributes:
        fault: what happens in place of it.
    """

    fault: Exception | None = None

    def bring(self, document: str) -> None:
        """See `Files`."""

    def ended(self, files: Iterable[str]) -> None:
        """See `Files`."""

    def take(self, path: Path) -> Stored:
        """See `Files`."""
        if self.fault is not None:
            raise self.fault
        return Stored(f"sha256:{path.name}", "text/plain", path.stat().st_size)


class Stage:
    """A server without a web, in which `play` is what workers do.

    Attributes:
        hall: the audience. shelf: takes the files of jobs.
    """

    def __init__(self, folder: Path, workers: int = 1, **rules: Any) -> None:
        self.folder = folder
        self.play: Play = does_nothing
        self.works: list[Work] = []
        self.store = SqliteStore(folder / "weft.sqlite")
        self.desk = Desk(self.store)
        self.hall, self.shelf = Hall(self.store), Shelf()
        said = Rules(limits=Limits(grace_seconds=0.1), **rules)
        self.means = Means(self.desk, self.shelf, self.hall, Home(cache=None, out=str(folder)), said)
        self._count = workers
        self.dispatcher = self._new("first")

    def _new(self, owner: str) -> Dispatcher:
        dispatcher = Dispatcher(self.means, self.folder / "work", owner=owner, count=self._count)
        dispatcher.processes = [Process(slot, self) for slot in range(self._count)]  # type: ignore[misc]
        return dispatcher

    def another_server(self, owner: str) -> None:
        """Forget the dispatcher, as a power cut does, and have a new one."""
        for task in self.dispatcher._tasks:
            task.cancel()
        self.dispatcher = self._new(owner)

    async def submit(self, **fields: Any) -> str:
        """Queue a job; its id."""

        def queued(job: Job, state: int) -> str:
            return json.dumps({"event": "job_queued", "seq": state, "job": job.id, "node": None, "state": state})

        [(job, _)] = await self.desk.submit([Request(DOCUMENT, **fields)], 1.0, queued=queued)
        self.dispatcher.wake()
        return job.id

    async def ended(self, id: str) -> Job:
        """A job once it has ended."""
        return await self.comes_to(id, *ENDED)

    async def comes_to(self, id: str, *states: str) -> Job:
        """A job once it is in one of these states."""
        async with asyncio.timeout(30):
            while (job := await self.desk.get(id)).state not in states:
                await asyncio.sleep(0.001)
        return job

    async def events(self, id: str) -> list[dict[str, Any]]:
        """A job's state events."""
        return [json.loads(text) for text in await self.desk.events(id)]


@contextlib.asynccontextmanager
async def stage(folder: Path, workers: int = 1, *, starts: bool = True, **rules: Any) -> AsyncIterator[Stage]:
    """A stage whose dispatcher runs while the block does."""
    made = Stage(folder, workers, **rules)
    try:
        if starts:
            await made.dispatcher.start()
            while not all(process.alive and not process.awaited for process in made.dispatcher.processes):
                await asyncio.sleep(0.001)  # until its workers are there and have nothing to do
        yield made
    finally:
        await made.dispatcher.close(0.0)
        await made.desk.close()
