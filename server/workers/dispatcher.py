"""Gives jobs to workers: what is queued is claimed, sent to a process, followed, and ended in the store."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from weft.server.store.protocol import Fenced, JobStore, StoreError
from weft.server.store.records import Claim
from weft.server.workers.means import Means
from weft.server.workers.process import Start, WorkerProcess
from weft.server.workers.turn import Turn

log = logging.getLogger("weft.server")

BACKSTOP_SECONDS = 5.0
"""How often an idle worker looks into the queue though nobody said that anything is there."""
WATCH_SECONDS = 1.0
AHEAD_SECONDS = 0.02
"""For how long a worker claims jobs ahead. What it did not come to in that time goes back to the queue, so that nobody
waits for a worker while another one is free, and nobody who is more urgent waits longer than that."""
MOST_AHEAD = 16
MOST_PUBLISHING = 64
"""Ends that are on their way to the disk while workers go on."""


class Pace:
    """How many jobs a worker claims at once: while they take no time, the claims should take none either.

    With each job claimed alone, a worker would wait for the disk before each of them.
    """

    def __init__(self) -> None:
        self._last = (AHEAD_SECONDS, AHEAD_SECONDS)

    def took(self, seconds: float) -> None:
        """A job took so long."""
        self._last = (self._last[1], seconds)

    def count(self) -> int:
        """So many as will be done in a moment, if the next ones are like the last two."""
        return max(1, min(MOST_AHEAD, int(AHEAD_SECONDS / max(*self._last, 1e-6))))


class Errand:
    """The way of a job to a worker that waits for one: it saves that worker a transaction of its own.

    Args:
        owner: in whose name it is claimed.
        models: those that the worker has.
        now: the time on the wall.
        waiting: what the worker waits for.
    """

    def __init__(self, owner: str, models: list[str], now: float, waiting: asyncio.Future[list[Claim]]) -> None:
        self._owner, self._models, self._now = owner, models, now
        self._waiting = waiting

    def claim(self, store: JobStore) -> Claim | None:
        """Claim the next job; in the thread that writes."""
        return store.claim(self._owner, self._now, models=self._models)

    def undo(self, store: JobStore, claim: Claim | None) -> None:
        """Nobody waits for the claim any more."""
        if claim is not None:
            store.give_back(claim.job.id, claim.epoch, died=False, now=self._now)

    def deliver(self, claim: Claim | None) -> None:
        """Let the worker go on, with what was claimed for it."""
        _settle(self._waiting, [] if claim is None else [claim])


def _settle(waiting: asyncio.Future[list[Claim]], claims: list[Claim]) -> None:
    if not waiting.done():
        waiting.set_result(claims)


class Dispatcher:
    """Runs queued jobs on a number of workers, in the event loop's thread.

    Args:
        owner: the name of this server's life, by which the store knows whose claims are whose.
        folder: where workers write files, each in a folder of its own.
        count: of workers.
        hear: waits so many seconds until something happens in a store that other servers use too, and says whether it
            did; None where nobody else uses it.
        start: starts the process of a slot; by default one of this system.
    """

    def __init__(
        self,
        means: Means,
        folder: Path,
        *,
        owner: str,
        count: int = 1,
        hear: Callable[[float], bool] | None = None,
        start: Callable[[int], Start] | None = None,
    ) -> None:
        self._hear = hear
        self.means = means
        self.desk = means.desk
        self.rules = means.rules
        self.clock = means.clock
        self.audience = means.audience
        self.folder = folder
        self.owner = owner
        self.processes = [
            WorkerProcess(self.rules.limits, slot, None if start is None else start(slot)) for slot in range(count)
        ]
        self.models: list[str] = [""] * count
        """What each worker was given last: it holds these."""
        self.turns: dict[str, Turn] = {}
        """The jobs that run here, by id."""
        self._ahead: list[deque[Turn]] = [deque() for _ in range(count)]
        """What each worker does next."""
        self._paces = [Pace() for _ in range(count)]
        self._publishing: set[asyncio.Task[None]] = set()
        self._idle: dict[int, tuple[asyncio.Future[list[Claim]], asyncio.TimerHandle]] = {}
        """The workers that wait for something to do."""
        self._news = 0
        self._closing = False
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take back what an earlier server of this store left, and begin to work."""
        await self._take_back()
        self._tasks = [
            asyncio.create_task(self._serve(slot), name=f"worker {slot}") for slot in range(len(self.processes))
        ]
        self._tasks.append(asyncio.create_task(self._watch(), name="watch"))

    def wake(self) -> None:
        """Something was queued, or the queue goes on."""
        self._news += 1
        for waiting, _ in self._idle.values():
            _settle(waiting, [])

    def lend(self) -> Errand | None:
        """A worker that waits for a job, to be given one in the transaction that queues it; to be handed back."""
        if self._closing or not self._idle:
            return None
        slot, (waiting, backstop) = self._idle.popitem()
        backstop.cancel()  # it waits for this and for nothing else now
        return Errand(self.owner, self._models_of(slot), self.clock(), waiting)

    def cancel(self, id: str) -> None:
        """End a job of which the store says so, if it runs here."""
        if (turn := self.turns.get(id)) is not None:
            turn.cancel()

    async def close(self, grace_seconds: float = 30.0) -> None:
        """Claim nothing more; what does not end by itself in this time goes back into the queue."""
        self._closing = True
        self.wake()
        for slot in range(len(self.processes)):
            self._return_ahead(slot)
        turns = [turn.ended.wait() for turn in self.turns.values()]
        if turns:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*turns), grace_seconds)
        for turn in self.turns.values():
            turn.give_back()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(turn.ended.wait() for turn in self.turns.values())), 2.0)
        for process in self.processes:
            await process.close()  # with it ends the call of a node that ignores all this
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._publishing, return_exceptions=True)

    # -- one worker

    async def _serve(self, slot: int) -> None:
        """A worker's life."""
        with contextlib.suppress(Exception):
            await self.processes[slot].ready()  # so that the first job need not wait for it
        while not self._closing:
            try:
                claims = await self._next(slot)
                for claim in claims:
                    turn = Turn(claim, self.means, self.processes[slot], self.folder / f"worker-{slot}")
                    self._ahead[slot].append(turn)
                    self.turns[claim.job.id] = turn
                if self._closing:
                    self._return_ahead(slot)
                while self._ahead[slot]:
                    await self._carry_out(slot, self._ahead[slot].popleft())
            except Exception:
                log.exception("worker %d: what it was to do could not be done", slot)
                await asyncio.sleep(1.0)  # a full disk, say

    async def _next(self, slot: int) -> list[Claim]:
        """The next jobs, or none after a while without any."""
        news = self._news
        claims = await self.desk.claim_some(
            self.owner, self.clock(), self._paces[slot].count(), models=self._models_of(slot)
        )
        if claims or self._closing or news != self._news:
            return claims
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[list[Claim]] = loop.create_future()
        backstop = loop.call_later(BACKSTOP_SECONDS, _settle, waiting, [])
        self._idle[slot] = waiting, backstop
        try:
            return await waiting
        finally:
            backstop.cancel()
            self._idle.pop(slot, None)

    def _models_of(self, slot: int) -> list[str]:
        return [self.models[slot]] if self.models[slot] else []

    async def _carry_out(self, slot: int, turn: Turn) -> None:
        """Have the worker do a job. Its end is published meanwhile it does the next one."""
        process, job, loop = self.processes[slot], turn.claim.job, asyncio.get_running_loop()
        self.means.note_start(job)
        self.audience.queue_changed()
        before = loop.time()
        late = loop.call_later(AHEAD_SECONDS, self._return_ahead, slot) if self._ahead[slot] else None
        try:
            await turn.work()
        except BaseException as error:
            self._over(turn, error)
            if not isinstance(error, (Fenced, StoreError)):
                raise
        else:
            self.models[slot] = job.model
            self._publish(turn)
        finally:
            if late is not None:
                late.cancel()
            self._paces[slot].took(loop.time() - before)
        if len(self._publishing) >= MOST_PUBLISHING:
            await asyncio.wait(self._publishing, return_when=asyncio.FIRST_COMPLETED)
        if process.calls >= self.rules.jobs_per_worker or self._is_fat(process):
            log.info("worker %d is replaced after %d jobs", slot, process.calls)
            self.models[slot] = ""
            await process.close()
            await process.ready()
        elif not process.alive:
            self.models[slot] = ""
            if not self._closing:
                await process.ready()

    def _publish(self, turn: Turn) -> None:
        """Publish an end, beside whatever the worker does next."""

        async def publish() -> None:
            try:
                await turn.publish()
            except BaseException as error:
                self._over(turn, error)
                if not isinstance(error, Exception):
                    raise
            else:
                self._over(turn)

        task = asyncio.create_task(publish(), name=f"end of {turn.claim.job.id}")
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    def _over(self, turn: Turn, error: BaseException | None = None) -> None:
        """An attempt is over, whatever came of it."""
        id = turn.claim.job.id
        if isinstance(error, Fenced):
            log.warning("job %s was taken from this server meanwhile", id)
        elif isinstance(error, Exception):
            log.error("the end of job %s could not be kept; it is run again", id, exc_info=error)
        if self.turns.get(id) is turn:
            del self.turns[id]
        turn.ended.set()
        self.audience.queue_changed()

    def _return_ahead(self, slot: int) -> None:
        """A job takes longer than those before it: what was claimed with it is for whoever is free first."""
        turns, self._ahead[slot] = list(self._ahead[slot]), deque()
        for turn in turns:
            turn.give_back()
            self._publish(turn)

    def _is_fat(self, process: WorkerProcess) -> bool:
        most, transport = self.rules.worker_bytes, process.transport
        return most is not None and transport is not None and getattr(transport, "bytes_taken", 0) > most

    async def _take_back(self) -> None:
        """Into the queue with what a server left that is gone. No worker died of it, so attempts stay as they are."""
        for claim in await self.desk.abandoned(self.owner):
            await self.desk.give_back(claim.job.id, claim.epoch, died=False, now=self.clock())
            self.wake()

    async def _heard(self) -> None:
        """Wait a moment for what other servers do."""
        assert self._hear is not None
        try:
            if await asyncio.to_thread(self._hear, WATCH_SECONDS):
                self.wake()
            await self._take_back()
        except StoreError as error:
            log.warning("the database: %s", error)
            await asyncio.sleep(WATCH_SECONDS)

    async def _watch(self) -> None:
        """End jobs whose end was asked for elsewhere: by a newer job of their slot, or at another server. Look for
        what other servers left, and for jobs that came in by them."""
        while True:
            if self._hear is None:
                await asyncio.sleep(WATCH_SECONDS)
            else:
                await self._heard()
            if self.turns:
                with contextlib.suppress(StoreError):
                    for id in await self.desk.cancelling(self.owner):
                        self.cancel(id)

    def status(self) -> list[dict[str, Any]]:
        """The workers, for who asks how things are."""
        jobs: Mapping[int, str] = {turn.process.slot: id for id, turn in self.turns.items()}
        return [
            {
                "worker": process.slot,
                "alive": process.alive,
                "job": jobs.get(process.slot),
                "jobs": process.calls,
                "deaths": process.deaths,
                "models": self.models[process.slot].split(),
            }
            for process in self.processes
        ]
