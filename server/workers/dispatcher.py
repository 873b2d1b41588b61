"""Gives jobs to workers: what is queued is claimed, sent to a process, followed, and ended in the store."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from weft.engine.declaring.following import CancelToken
from weft.engine.errors import Cancelled
from weft.server.store.protocol import Fenced, Missing, StoreError
from weft.server.store.records import ENDED, Claim, Job
from weft.server.workers.inside import job as run_job
from weft.server.workers.means import Means
from weft.server.workers.process import OnReport, Start, WorkerProcess
from weft.server.workers.quick import MOST_TOGETHER
from weft.server.workers.together import Carry, Together, all_of
from weft.server.workers.turn import Turn, next_seq

log = logging.getLogger("weft.server")

BACKSTOP_SECONDS = 5.0
"""How often an idle worker looks into the queue though nobody said that anything is there."""
WATCH_SECONDS = 1.0
LAST_SECONDS = 2.0
"""What a job has to end, once it was told to, before its process is ended."""
MOST_MODELS = 8
"""How many jobs' models a worker is taken to hold."""


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
            WorkerProcess(
                self.rules.limits,
                slot,
                None if start is None else start(slot),
                env=means.home.environment(),
            )
            for slot in range(count)
        ]
        self.models: list[dict[str, None]] = [{} for _ in range(count)]
        """What the jobs needed that each worker had, the last one last: it holds these, where memory allows."""
        self.turns: dict[str, Turn] = {}
        """The jobs that run here, by id."""
        self._changed = [asyncio.Event() for _ in range(count)]
        self._ahead: list[asyncio.Task[Claim | None] | None] = [None] * count
        """What each worker has asked for to do next."""
        self._closing = False
        self._hurry = asyncio.Event()
        self._owed: list[tuple[Claim, dict[str, Any] | None]] = []
        """Jobs that are to return to the queue as soon as the store can be written, each with what went wrong."""
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Take back what an earlier server of this store left, and begin to work."""
        await asyncio.to_thread(self._clear)
        await self._take_back()
        self._tasks = [
            asyncio.create_task(self._serve(slot), name=f"worker {slot}") for slot in range(len(self.processes))
        ]
        self._tasks.append(asyncio.create_task(self._watch(), name="watch"))

    def wake(self) -> None:
        """Something was queued, or the queue goes on."""
        for changed in self._changed:
            changed.set()

    def cancel(self, id: str) -> None:
        """End a job of which the store says so, if it runs here."""
        if (turn := self.turns.get(id)) is not None:
            turn.cancel()

    async def close(self, grace_seconds: float = 30.0) -> None:
        """Claim nothing more; what does not end by itself in this time goes back into the queue."""
        self._closing = True
        self.wake()
        await self._ends(grace_seconds)
        for turn in list(self.turns.values()):
            turn.give_back()
        await self._ends(LAST_SECONDS)
        # With its process ends the call of a node that ignores all this, and then its job goes back too.
        await asyncio.gather(*(process.close() for process in self.processes))
        await self._ends(LAST_SECONDS, hurried=False)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._settle()

    def hurry(self) -> None:
        """Have `close` wait for no job."""
        self._hurry.set()

    async def _ends(self, seconds: float, *, hurried: bool = True) -> None:
        """Wait until nothing runs, for some time at most, or until somebody is in a hurry."""
        waits = [asyncio.create_task(turn.ended.wait()) for turn in self.turns.values()]
        every = asyncio.gather(*waits)
        hurry = asyncio.create_task(self._hurry.wait())
        try:
            if waits:
                first: list[asyncio.Future[Any]] = [every, hurry] if hurried else [every]
                await asyncio.wait(first, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            hurry.cancel()
            every.cancel()
            await asyncio.gather(hurry, *waits, return_exceptions=True)

    def _clear(self) -> None:
        """Remove what jobs of an earlier server wrote that ended without a word."""
        for folder in self.folder.glob("worker-*"):
            shutil.rmtree(folder, ignore_errors=True)

    # -- one worker

    async def _serve(self, slot: int) -> None:
        """A worker's life."""
        with contextlib.suppress(Exception):
            await self.processes[slot].ready()  # so that the first job need not wait for it
        try:
            while not self._closing or self._ahead[slot] is not None:
                try:
                    claim = await self._next(slot)
                    claims = () if claim is None else (claim, *claim.more)
                    if self._closing:
                        await self._return(*claims)
                    elif claims:
                        await self._carry_out(slot, claims)
                    else:
                        await self.processes[slot].ready()  # it may have ended while it had nothing to do
                except (Exception, Cancelled):
                    log.exception("worker %d: what it was to do could not be done", slot)
                    await asyncio.sleep(1.0)  # a full disk, say
        finally:
            if (claiming := self._ahead[slot]) is not None:
                claiming.cancel()  # what it claims returns to the queue

    async def _next(self, slot: int) -> Claim | None:
        """The next job, perhaps with others that it is done with; or None after a while without any."""
        claiming, self._ahead[slot] = self._ahead[slot] or self._claim(slot), None
        claim = await claiming
        if claim is None and not self._closing:
            self.processes[slot].awaited = False  # its start held up nobody
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BACKSTOP_SECONDS):  # a task more would come too late to share a commit
                    await self._changed[slot].wait()
        return claim

    def _claim(self, slot: int) -> asyncio.Task[Claim | None]:
        """Ask for a job. What comes after that wakes the worker once more."""
        self._changed[slot].clear()
        most = self.rules.jobs_per_worker - self.processes[slot].calls
        also = self.means.quick.together(min(MOST_TOGETHER, most))
        claim = self.desk.claim(self.owner, self.clock(), models=list(self.models[slot]), also=also)
        return asyncio.create_task(claim)

    async def _carry_out(self, slot: int, claims: Sequence[Claim]) -> None:
        process, folder, turns = self.processes[slot], self.folder / f"worker-{slot}", list[Turn]()
        for claim in claims:
            try:
                out = f"out-{len(turns)}" if turns else "out"
                turns.append(Turn(claim, self.means, process, folder, out))
            except Exception as error:  # a document that another version of Weft took for sound
                log.exception("job %s cannot be begun", claim.job.id)
                await self._return(claim, error=_fault(error))
        for turn in turns:
            self.turns[turn.claim.job.id] = turn
            self.means.note_start(turn.claim.job)
        self.audience.queue_changed()

        def free() -> None:
            # The claim of what comes next shares the commit of what has ended.
            self._note_models(slot, turns)
            if not self._closing and not self._is_spent(process):
                self._ahead[slot] = self._claim(slot)

        async def alone(order: Mapping[str, Any], token: CancelToken, report: OnReport) -> str:
            summary = await process.call(run_job, {"order": json.dumps(order)}, token, report)
            free()
            return summary

        try:
            if len(turns) == 1:
                await self._follow(turns[0], alone)
            elif turns:
                together = Together(process, folder, [turn.claim.job.id for turn in turns], free)
                await all_of([self._follow(turn, together.carry) for turn in turns], together)
        finally:
            for turn in turns:
                self._part_with(turn)
        self._note_models(slot, turns)
        if self._closing:
            return
        if self._is_spent(process):
            log.info("worker %d is replaced after %d jobs", slot, process.calls)
            self.models[slot].clear()
            await process.close()
        await process.ready()

    async def _follow(self, turn: Turn, carry: Carry) -> None:
        """Bring a job to an end, or back into the queue."""
        claim, job = turn.claim, turn.claim.job
        try:
            await turn.run(carry)
        except Fenced:
            log.warning("job %s was taken from this server meanwhile", claim.job.id)
        except StoreError:
            log.exception("what came of job %s could not be kept; it is run again", job.id)
            self._owed.append((claim, None))
        except (Exception, Cancelled) as error:
            log.exception("job %s could not be followed; it is run again", job.id)
            self._owed.append((claim, _fault(error)))
        finally:
            self._part_with(turn)
            if turn.returned:
                self.wake()

    def _part_with(self, turn: Turn) -> None:
        """A job runs here no more."""
        if not turn.ended.is_set():
            del self.turns[turn.claim.job.id]
            turn.ended.set()
            self.means.files.ended(turn.files)
            self.audience.queue_changed()

    def _note_models(self, slot: int, turns: Sequence[Turn]) -> None:
        """Note what a worker has in memory after some jobs."""
        models = self.models[slot]
        if not self.processes[slot].alive:
            models.clear()
            return
        for model in [turn.claim.job.model for turn in turns if turn.claim.job.model]:
            models.pop(model, None)
            models[model] = None
            while len(models) > MOST_MODELS:
                del models[next(iter(models))]

    def _is_spent(self, process: WorkerProcess) -> bool:
        """Whether a worker that is alive is to be replaced."""
        most, transport = self.rules.worker_bytes, process.transport
        fat = most is not None and transport is not None and transport.bytes_taken > most
        return process.alive and (process.calls >= self.rules.jobs_per_worker or fat)

    # -- back into the queue

    async def _return(self, *claims: Claim, error: dict[str, Any] | None = None) -> None:
        """The same as `_give_back`, at a better time where the store cannot be written now."""
        self._owed += [(claim, error) for claim in claims]
        await self._settle()

    async def _give_back(self, claim: Claim, error: dict[str, Any] | None) -> None:
        """Return a job whose attempt ended otherwise than by its worker; with an error it is one of its attempts.

        Raises:
            StoreError: the store cannot be written now.
        """
        id, seq = claim.job.id, await next_seq(self.desk, claim)

        def event(job: Job, state: int) -> str:
            kind = "job_failed" if job.state == "failed" else "job_cancelled"
            said = {"event": kind, "seq": max(seq, state), "time": self.clock(), "job": id, "node": None}
            return json.dumps({**said, **({"error": error} if job.state == "failed" else {}), "state": state})

        with contextlib.suppress(Fenced, Missing):
            job = await self.desk.give_back(
                id, claim.epoch, died=error is not None, now=self.clock(), most=self.rules.deaths, error=error,
                event=event,
            )  # fmt: skip
            if job.state in ENDED:
                self.means.note_end(job)
                texts = await self.desk.events(id, claim.events)
                self.audience.states(id, claim.events, texts)
                self.audience.ended(id)

    async def _settle(self) -> None:
        """Give back what could not be given back before."""
        owed, self._owed = self._owed, []
        for claim, error in owed:
            try:
                await self._give_back(claim, error)
                self.wake()
            except StoreError:
                log.warning("job %s cannot be given back yet", claim.job.id)
                self._owed.append((claim, error))

    async def _take_back(self) -> None:
        """Into the queue with what a server left that is gone. No worker died of it, so attempts stay as they are."""
        for claim in await self.desk.abandoned(self.owner):
            await self._give_back(claim, None)
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
            if self._owed:
                await self._settle()
            if self.turns:
                with contextlib.suppress(StoreError):
                    for id in await self.desk.cancelling(self.owner):
                        self.cancel(id)

    def status(self) -> list[dict[str, Any]]:
        """The workers, for who asks how things are."""
        jobs: Mapping[int, str] = {turn.process.slot: id for id, turn in reversed(self.turns.items())}
        return [
            {
                "worker": process.slot,
                "alive": process.alive,
                "job": jobs.get(process.slot),
                "jobs": process.calls,
                "deaths": process.deaths,
                "models": sorted({name for names in self.models[process.slot] for name in names.split()}),
            }
            for process in self.processes
        ]


def _fault(error: BaseException) -> dict[str, Any]:
    """A failure of the server itself, as clients are told of it; the log says more."""
    message = "The server could not follow it; its log says why."
    name = type(error).__name__
    return {
        "node": "", "type": "", "exception": name, "message": message, "traceback": "", "code": "internal_error",
    }  # fmt: skip
