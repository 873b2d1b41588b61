"""All that the endpoints work with, in one place."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import shutil
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.requests import Request as HttpRequest

from weft.engine.errors import Cancelled, Elsewhere
from weft.graphs.problems import Problem, WorkflowError
from weft.server.api.refusing import answered
from weft.server.documents.saved import SavedWorkflows
from weft.server.files.blobs import DAY, BlobStore
from weft.server.files.collect import Patient, collect_these
from weft.server.files.errors import NoSpace as NoRoom
from weft.server.files.naming import named_in_text
from weft.server.files.thumbnails import Thumbnails
from weft.server.keeping import Keeper
from weft.server.live.hub import Hub
from weft.server.live.listener import Listener
from weft.server.metrics import Metrics
from weft.server.problems import ApiError
from weft.server.scrub import Scrubber
from weft.server.store.desk import Desk
from weft.server.store.protocol import Conflict, Missing, NoSpace, QueueFull, Unavailable
from weft.server.store.records import ENDED, Job, Request
from weft.server.workers.dispatcher import Dispatcher
from weft.server.workers.process import Questions

log = logging.getLogger("weft.server")

FREE_BYTES = 512 << 20
"""So much of the disk has to be free for a job to be accepted."""
RESERVED_SECONDS = 60.0
"""For so long a file is there that a job or a workflow is about to name."""
_LARGE = 64 << 10
"""Bytes of a document that is looked through in a thread."""
_CHECKED = 500
"""How many documents that were found right are remembered, so that one that comes again is not checked again."""


@dataclass(slots=True)
class Deck:
    """What one server consists of.

    Attributes:
        blobs: uploaded files and what jobs made; thumbnails: small pictures of these; keeper: takes those of jobs.
        workflows: those that are saved.
        kept: answers that stay the same while the server runs, each with its etag.
        checked: what `prepare` said of documents without errors, the least recently used first.
        draining: it ends soon and takes no jobs.
        patient: the time by which files are old.
        scrub: takes paths and secrets out of answers.
    """

    desk: Desk
    hub: Hub
    dispatcher: Dispatcher
    questions: Questions
    folder: Path
    blobs: BlobStore
    thumbnails: Thumbnails
    keeper: Keeper
    workflows: SavedWorkflows
    metrics: Metrics
    free_bytes: int = FREE_BYTES
    kept: dict[str, tuple[str, str]] = field(default_factory=dict)
    checked: OrderedDict[bytes, dict[str, Any]] = field(default_factory=OrderedDict)
    draining: bool = False
    patient: Patient = field(default_factory=Patient)
    scrub: Scrubber = field(default_factory=Scrubber)

    async def prepared(self, about: Mapping[str, Any]) -> dict[str, Any]:
        """A workflow with its settings as a job will run it.

        Raises:
            ApiError: 422, with all that is wrong with it.
        """
        text = json.dumps({name: about[name] for name in ("workflow", "set", "targets")})
        name = hashlib.blake2b(text.encode(), digest_size=20).digest()
        known = self.checked.get(name)
        if known is None:
            known = await self._answer("prepare", text)
            wrong = [problem for problem in known["problems"] if problem.get("severity", "error") == "error"]
            if wrong:
                found = [Problem.model_validate(problem) for problem in known["problems"]]
                raise ApiError.of_workflow(WorkflowError(found))
            self.checked[name] = known
            if len(self.checked) > _CHECKED:
                self.checked.popitem(last=False)
        else:
            self.checked.move_to_end(name)
        return known

    async def ask(self, question: str, about: Any = None) -> Any:
        """See `Questions.ask`.

        Raises:
            ApiError: 503 where the worker that was to answer ended.
        """
        return await self._answer(question, json.dumps(about))

    async def _answer(self, question: str, text: str) -> Any:
        """The same, about JSON text. Where the worker died it is asked once more: another question may have done it."""
        for again in (True, False):
            try:
                return await self.questions.ask(question, text)
            except (Exception, Cancelled) as error:
                log.warning("the question %s has no answer: %s", question, error)
                if not again or not isinstance(error, Elsewhere) or error.exception != "WorkerDied":
                    break
        detail = "The process that looks at workflows ended while it did so: a check of a node may have ended it."
        raise ApiError("worker_died", detail, title="No answer", status=503, retry_after=1)

    async def submit(self, request: Request) -> tuple[Job, bool]:
        """Queue a job: it is on disk when this returns. Also whether it is new.

        Raises:
            ApiError: it cannot be accepted.
        """
        if self.draining:
            raise ApiError("draining", "It takes no more jobs.", retry_after=10)
        if shutil.disk_usage(self.folder).free < self.free_bytes:
            detail = f"{self.free_bytes >> 20} MiB have to be free for a job to be accepted."
            raise ApiError("no_space", detail)
        await self._reserve(request.document)
        told: list[tuple[str, int, str]] = []

        def queued(job: Job, state: int) -> str:
            return self._event("job_queued", job.id, state, told)

        def cancelled(job: Job, state: int) -> str:
            return self._event("job_cancelled", job.id, state, told)

        submitting = asyncio.ensure_future(self.desk.submit([request], time.time(), queued=queued, cancelled=cancelled))
        # A worker that waits asks for a job now, right behind this one, and so in the same transaction.
        self.dispatcher.wake()
        try:
            [(job, is_new)] = await submitting
        except Conflict as error:
            raise ApiError("conflict", str(error)) from None
        except QueueFull as error:
            raise ApiError("queue_full", str(error), retry_after=30) from None
        except NoSpace as error:
            raise ApiError("no_space", str(error)) from None
        except Unavailable as error:
            title = "The database cannot be used now"
            raise ApiError("unavailable", str(error), title=title, status=503, retry_after=5) from None
        self._tell(told)
        # A worker that has the job now sends it off first: it works while the answer is made.
        await asyncio.sleep(0)
        if request.slot is not None and is_new:
            for turn in list(self.dispatcher.turns.values()):
                # Ids sort by time: one that came after this job may run already.
                if turn.claim.job.slot == request.slot and turn.claim.job.id < job.id:
                    turn.cancel()
        if is_new:
            self.hub.queue_changed()
        return job, is_new

    async def cancel(self, id: str) -> Job:
        """End a job, or see to it that it ends. Raises ApiError: 404."""
        told: list[tuple[str, int, str]] = []
        with missing(id):
            job = await self.desk.cancel(
                id, time.time(), lambda job, state: self._event("job_cancelled", job.id, state, told)
            )
        self._tell(told)
        self.dispatcher.cancel(id)
        self.hub.queue_changed()
        return job

    async def ended(self, id: str, seconds: float) -> Job | None:
        """The job once it has ended, or None after so many seconds."""
        listener = Listener(self.fetch)
        listener.want([id], {})
        self.hub.join(listener)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while (job := await self.desk.get(id)).state not in ENDED:
                        # Most events are of its nodes: the store need not be asked after each of them.
                        while not any(_is_of_job(text) for text in await listener.take()):
                            pass
                    return job
            return None
        finally:
            self.hub.leave(listener)

    async def saved(self, name: str) -> dict[str, Any]:
        """The document of a saved workflow.

        Raises:
            ApiError: there is none of this name, or it cannot be read.
        """
        with answered():
            found = await asyncio.to_thread(self.workflows.read, name)
        return found.workflow.to_dict()

    async def reserve(self, files: Iterable[str]) -> set[str]:
        """Have nobody remove files that are about to be named, for a moment; returns those that are not there."""

        # Other servers cannot ask what is saved here: there a reservation has to do until the next hour, and longer.
        seconds = DAY if self.keeper.shared else RESERVED_SECONDS

        def reserve() -> set[str]:
            return {file for file in files if not self.blobs.reserve(file, seconds)}

        try:
            return await asyncio.to_thread(reserve)
        except NoRoom as error:
            raise ApiError("no_space", str(error)) from None

    async def renew(self) -> None:
        """Have other servers of the same store of files spare what is saved here, for another day."""
        if self.keeper.shared:
            texts = await asyncio.to_thread(lambda: list(map(named_in_text, self.workflows.texts())))
            await self.reserve(set().union(*texts))

    async def _reserve(self, document: str) -> None:
        text = document.encode()
        files = await asyncio.to_thread(named_in_text, text) if len(text) > _LARGE else named_in_text(text)
        gone = await self.reserve(files) if files else set()
        if gone and (problems := list(_inputs_with(json.loads(document), gone))):
            raise ApiError.of_workflow(WorkflowError(problems))

    async def named_files(self) -> set[str]:
        """The files that jobs and saved workflows name, and those of jobs that run. Uploads reserve themselves."""
        return await asyncio.to_thread(self._named, asyncio.get_running_loop())

    def _named(self, loop: asyncio.AbstractEventLoop) -> set[str]:
        """The same, in a thread that may wait."""
        unnamed = self.keeper.unnamed()  # first: a job that ends now is in one of both
        named = asyncio.run_coroutine_threadsafe(self.desk.named_files(), loop).result()
        return unnamed.union(named, *map(named_in_text, self.workflows.texts()))

    async def release(self, files: Sequence[str]) -> None:
        """Remove files that a deleted job named and that nothing else names."""
        loop = asyncio.get_running_loop()

        def remove() -> None:
            with self.keeper.waiting():
                collect_these(self.blobs, files, lambda: self._named(loop), self.thumbnails, self.patient)

        if files:
            await asyncio.to_thread(remove)

    async def fetch(self, id: str, since: int) -> list[str]:
        """State events of a job; none of one that is not there."""
        try:
            return await self.desk.events(id, since)
        except Missing:
            return []

    def _tell(self, told: Sequence[tuple[str, int, str]]) -> None:
        """Tell of jobs that were queued or ended in the store."""
        for id, state, text in told:
            self.hub.states(id, state, [text])
            if '"job_cancelled"' in text[:30]:
                self.hub.ended(id)

    def _event(self, kind: str, job: str, state: int, told: list[tuple[str, int, str]]) -> str:
        event = {"event": kind, "seq": state, "time": time.time(), "job": job, "node": None, "state": state}
        text = json.dumps(event)
        told.append((job, state, text))
        return text


def _inputs_with(document: Mapping[str, Any], gone: set[str]) -> Iterator[Problem]:
    """A problem for each input that is a file which is not there."""
    for id, node in document.get("nodes", {}).items():
        for name, value in node.get("inputs", {}).items():
            for file in sorted(gone.intersection(item for item in _texts(value))):
                message = f"The file {file} is not there: nobody uploaded it, or nothing has named it since."
                yield Problem(code="bad_value", node=id, input=name, message=message, given=file)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, Mapping)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(item)


def _is_of_job(text: str | bytes) -> bool:
    """Whether an event is about a job as a whole and not about one of its nodes."""
    return isinstance(text, str) and '"job_' in text[:30]


@contextlib.contextmanager
def missing(id: str) -> Any:
    """Answer 404 for a job that is not there."""
    try:
        yield
    except Missing:
        raise ApiError("not_found", f"No job has the id {id[:64]!r}.") from None


def deck_of(request: HttpRequest) -> Deck:
    """The server that a request came to."""
    deck = request.app.state.deck
    assert isinstance(deck, Deck)
    return deck
