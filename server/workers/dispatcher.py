"""Gives jobs to workers: what is queued is claimed, sent to a process, followed, and ended in the store."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from weft.server.store.protocol import Fenced, StoreError
from weft.server.store.records import Claim
from weft.server.workers.means import Means
from weft.server.workers.process import Start, WorkerProcess
from weft.server.workers.turn import Turn

log = logging.getLogger("weft.server")

BACKSTOP_SECONDS = 5.0
"""How often an idle worker looks into the queue though nobody said that anything is there."""
WATCH_SECONDS = 1.0


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
        self._changed = asyncio.Event()
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
        self._changed.set()

    def cancel(self, id: str) -> None:
        """End a job of which the store says so, if it runs here."""
        if (turn := self.turns.get(id)) is not None:
            turn.cancel()

    async def close(self, grace_seconds: float = 30.0) -> None:
        """Claim nothing more; what does not end by itself in this time goes back into the queue."""
        self._closing = True
        self._changed.set()
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
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- one worker

    async def _serve(self, slot: int) -> None:
        """A worker's life."""
        with contextlib.suppress(Exception):
            await self.processes[slot].ready()  # so that the first job need not wait for it
        while not self._closing:
            try:
                claim = await self._next(slot)
                if claim is not None:
                    await self._carry_out(slot, claim)
            except Exception:
                log.exception("worker %d: what it was to do could not be done", slot)
                await asyncio.sleep(1.0)  # a full disk, say

    async def _next(self, slot: int) -> Claim | None:
        """The next job, or None after a while without any."""
        self._changed.clear()
        models = [self.models[slot]] if self.models[slot] else []
        claim = await self.desk.claim(self.owner, self.clock(), models=models)
        if claim is None and not self._closing:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), BACKSTOP_SECONDS)
        return claim

    async def _carry_out(self, slot: int, claim: Claim) -> None:
        process = self.processes[slot]
        turn = Turn(claim, self.means, process, self.folder / f"worker-{slot}")
        self.turns[claim.job.id] = turn
        self.means.note_start(claim.job)
        self.audience.queue_changed()
        try:
            await turn.run()
            self.models[slot] = claim.job.model
        except Fenced:
            log.warning("job %s was taken from this server meanwhile", claim.job.id)
        except StoreError:
            log.exception("the end of job %s could not be kept; it is run again", claim.job.id)
        finally:
            del self.turns[claim.job.id]
            turn.ended.set()
            self.audience.queue_changed()
        if process.calls >= self.rules.jobs_per_worker or self._is_fat(process):
            log.info("worker %d is replaced after %d jobs", slot, process.calls)
            self.models[slot] = ""
            await process.close()
            await process.ready()
        elif not process.alive:
            self.models[slot] = ""
            if not self._closing:
                await process.ready()

    def _is_fat(self, process: WorkerProcess) -> bool:
        most, transport = self.rules.worker_bytes, process.transport
        return most is not None and transport is not None and getattr(transport, "bytes_taken", 0) > most

    async def _take_back(self) -> None:
        """Into the queue with what a server left that is gone. No worker died of it, so attempts stay as they are."""
        for claim in await self.desk.abandoned(self.owner):
            await self.desk.give_back(claim.job.id, claim.epoch, died=False, now=self.clock())
            self._changed.set()

    async def _heard(self) -> None:
        """Wait a moment for what other servers do."""
        assert self._hear is not None
        try:
            if await asyncio.to_thread(self._hear, WATCH_SECONDS):
                self._changed.set()
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
