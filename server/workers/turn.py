"""One attempt at a job: sent to a worker, its events kept in order, its end published once.

It has two parts, since a worker need not wait for the disk: while the end of one job goes there, the worker has the
next one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from weft.engine.declaring.context import CancelToken
from weft.engine.errors import Cancelled, Elsewhere
from weft.server.store.records import Claim, Ending, Output
from weft.server.workers.inside import EVENTS, PREVIEW, job
from weft.server.workers.means import Means
from weft.server.workers.process import WorkerProcess
from weft.server.workers.running import marked

log = logging.getLogger("weft.server")

PASSING = frozenset({"node_progress", "node_report"})
"""Events that are not kept: the next one of their kind says more."""
_DIED = "WorkerDied"


class Turn:
    """An attempt at a job.

    Args:
        folder: where the worker writes files.

    Attributes:
        ended: set when it is over, whatever came of it.
    """

    def __init__(self, claim: Claim, means: Means, process: WorkerProcess, folder: Path) -> None:
        self.claim = claim
        self.process = process
        self.ended = asyncio.Event()
        self._means = means
        self._desk = means.desk
        self._folder = folder
        self._id = claim.job.id
        self._state = claim.events
        self._done = self._cached = self._of = 0
        self._token = CancelToken()
        self._returns = False
        self._reports: asyncio.Queue[list[str] | None] = asyncio.Queue()
        self._outputs: list[Output] = []
        self._fault: BaseException | None = None
        self._publish: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._last_texts: list[str] = []
        """State events that go into the store with the end."""
        nodes = json.loads(claim.document).get("nodes", {})
        self._types: dict[str, str] = {id: node["type"] for id, node in nodes.items()}

    def cancel(self) -> None:
        """End it."""
        self._token.cancel()

    def give_back(self) -> None:
        """End it, and let it be done later."""
        self._returns = True
        self._token.cancel()

    async def work(self) -> None:
        """Have the worker do it, until that is free for another job; what came of it is told by `publish`.

        Raises:
            Fenced: somebody else has the job now.
            StoreError: the store cannot keep what came of it.
        """
        if await self.process.ready():
            await self._say({"event": "worker_started", "worker": self.process.slot, "seconds": self.process.seconds})
        if self._token.cancelled:  # while it waited for others that were claimed with it
            return
        out = self._folder / "out"
        out.mkdir(parents=True, exist_ok=True)
        if "sha256:" in self.claim.document:
            await asyncio.to_thread(self._means.files.bring, self.claim.document)
        marker = self._folder / "running"
        order = {
            "home": {**self._means.home_data, "out": str(out)},
            "job": self._id,
            "document": self.claim.document,
            "targets": list(self.claim.job.targets),
            "first_seq": self._state,
            "marker": str(marker),
        }
        keeper = asyncio.create_task(self._keep())
        summary: dict[str, Any] | None = None
        error: BaseException | None = None
        try:
            summary = json.loads(await self.process.call(job, {"order": json.dumps(order)}, self._token, self._take))
        except Exception as raised:
            error = raised
        finally:
            self._reports.put_nowait(None)
            await keeper
        if self._fault is not None:
            raise self._fault
        if summary is not None:
            self._last_texts = await self._noted(summary["events"])
            self._publish = partial(self._end, summary)
        else:
            assert error is not None
            self._publish = partial(self._lost, error, marked(marker))
        if any(out.iterdir()):
            # Files are kept by content now. What a later job of the same names writes is not to be called otherwise.
            await asyncio.to_thread(shutil.rmtree, out, ignore_errors=True)

    async def publish(self) -> None:
        """Bring the job to the end that `work` came to; where no work was done, it is cancelled or goes back.

        Raises:
            Fenced: somebody else has the job now.
            StoreError: the store cannot keep what came of it.
        """
        if self._publish is None:
            await self._lost(Cancelled("nobody had begun with it"), [])
        else:
            await self._publish()

    # -- while it runs

    def _take(self, kind: str, data: Mapping[str, Any], body: bytes) -> None:
        """What the worker reports, in the event loop's thread."""
        if kind == EVENTS:
            self._reports.put_nowait(data["events"])
        elif kind == PREVIEW:
            self._means.audience.preview(self._id, data, body)

    async def _keep(self) -> None:
        """Put events into the store as they come, then tell them."""
        try:
            while (texts := await self._reports.get()) is not None:
                while not self._reports.empty():
                    more = self._reports.get_nowait()
                    if more is None:
                        self._reports.put_nowait(None)
                        break
                    texts = [*texts, *more]
                await self._keep_texts(texts)
        except Exception as error:
            self._fault = error
            self._token.cancel()

    async def _keep_texts(self, texts: list[str]) -> None:
        await self._record(await self._noted(texts))

    async def _noted(self, texts: list[str]) -> list[str]:
        """State events of what the run told, with their numbers; everything else of it is told."""
        kept = []
        for text in texts:
            event = json.loads(text)
            kind = event["event"]
            if kind in PASSING:
                self._means.audience.passing(self._id, kind, event["node"] or "", text)
                continue
            if kind == "job_started":
                self._of = event["nodes"]
            self._done += kind == "node_finished"
            self._cached += kind == "node_cached"
            self._means.note_event(event, self._types.get(event["node"] or "", ""))
            if kind == "output":
                kept.append(self._numbered(await self._published(event)))
            elif "error" in event:
                kept.append(self._numbered(event))
            else:  # as it is: to write it again would take as long as to read it
                kept.append(f'{text[:-1]},"state":{self._state}}}')
                self._state += 1
        return kept

    def _numbered(self, event: dict[str, Any]) -> str:
        """A state event with its number."""
        if "error" in event:
            event["error"] = self._told(event["error"])
        event["state"] = self._state
        self._state += 1
        return json.dumps(event, ensure_ascii=False)

    async def _record(self, texts: list[str]) -> None:
        if texts:
            progress = (self._done, self._cached, self._of)
            await self._desk.record(self._id, self.claim.epoch, texts, progress)
            self._means.audience.states(self._id, self._state - len(texts), texts)

    async def _say(self, event: dict[str, Any]) -> None:
        """Tell something of our own."""
        about = {"seq": self._state, "time": self._means.clock(), "job": self._id, "node": None}
        await self._record([self._numbered({**event, **about})])

    async def _published(self, event: dict[str, Any]) -> dict[str, Any]:
        """An `output` event, with the content id of a file in place of its path; the file is kept."""
        node, kind = event["node"], event["kind"]
        path = Path(event["ref"])
        if kind == "file" or path.is_absolute():
            stored = await asyncio.to_thread(self._means.files.take, path)
            what = "image" if stored.width is not None else "file"
            self._outputs.append(
                Output(node, what, path.name, stored.file, stored.mime, stored.bytes, stored.width, stored.height)
            )
            return {**event, "ref": stored.file, "name": path.name}
        self._outputs.append(Output(node, "value", event["ref"].partition(".")[2], value=event.get("value")))
        return event

    def _told(self, error: Mapping[str, Any]) -> dict[str, Any]:
        """A failure as clients are told of it."""
        told: dict[str, Any] = self._means.scrub({**error, "traceback": ""})
        return told

    # -- when it is over

    async def _end(self, summary: dict[str, Any]) -> None:
        """The run came to its end in the worker."""
        if summary["state"] == "cancelled" and self._returns:
            await self._back(died=False)
            return
        last = json.loads(summary["last"]) if summary["last"] else None
        await self._close(summary["state"], summary, last)

    async def _lost(self, error: BaseException, nodes: list[str]) -> None:
        """The worker did not come back with an end."""
        if self._token.cancelled or isinstance(error, Cancelled):
            if self._returns:
                await self._back(died=False)
            else:
                await self._close("cancelled", {}, None)
            return
        exception = error.exception if isinstance(error, Elsewhere) else type(error).__name__
        detail = {"node": ", ".join(nodes), "type": "", "exception": exception, "message": str(error), "traceback": ""}
        log.warning("job %s: %s", self._id, error)
        if exception == _DIED:
            await self._back(died=True, error=self._told({**detail, "code": "worker_died"}))
        else:
            await self._close("failed", {"error": detail}, None)

    async def _back(self, *, died: bool, error: Mapping[str, Any] | None = None) -> None:
        """Into the queue again, or to its end after too many deaths."""
        texts, self._last_texts = self._last_texts, []
        await self._record(texts)
        job = await self._desk.give_back(
            self._id,
            self.claim.epoch,
            died=died,
            now=self._means.clock(),
            most=self._means.rules.deaths,
            error=error,
            event=lambda job, state: self._last_event(job.state, error, state),
        )
        if died:
            self._means.note_death(job)
        if job.state != "queued":
            texts = await self._desk.events(self._id, self._state)
            self._means.audience.states(self._id, self._state, texts)

    async def _close(self, state: Any, summary: Mapping[str, Any], last: dict[str, Any] | None) -> None:
        error = summary.get("error")
        error = None if error is None else self._told(error)
        texts = (*self._last_texts, self._last_event(state, error, self._state, last))
        ending = Ending(
            state,
            tuple(self._outputs),
            error,
            summary.get("seconds"),
            summary.get("ran"),
            summary.get("cached") or self._cached,
            self._of,
            texts,
        )
        ended = await self._desk.end(self._id, self.claim.epoch, ending, self._means.clock())
        self._means.note_end(ended)
        self._means.audience.states(self._id, self._state + 1 - len(texts), texts)

    def _last_event(
        self, state: str, error: Mapping[str, Any] | None, number: int, last: dict[str, Any] | None = None
    ) -> str:
        """The event that says how the job ended: what the run said, or one of our own where it could not."""
        kind = {"done": "job_finished", "failed": "job_failed"}.get(state, "job_cancelled")
        event = last if last is not None and last["event"] == kind else None
        if event is None:
            event = {"event": kind, "seq": number, "time": self._means.clock(), "job": self._id, "node": None}
        if error is not None and kind == "job_failed":
            event["error"] = self._told(error)
        return json.dumps({**event, "state": number}, ensure_ascii=False)
