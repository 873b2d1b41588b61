"""One attempt at a job: sent to a worker, its events kept in order, its end published once."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from weft.engine.declaring.following import CancelToken
from weft.engine.errors import Cancelled, Elsewhere
from weft.server.files.errors import FilesError, NoSpace
from weft.server.store.desk import Desk
from weft.server.store.records import Claim, Ending, Output
from weft.server.workers.inside import EVENTS, PREVIEW
from weft.server.workers.means import Means
from weft.server.workers.process import WorkerProcess
from weft.server.workers.running import marked
from weft.server.workers.together import Carry, NotBegun

log = logging.getLogger("weft.server")

PASSING = frozenset({"node_progress"})
"""Events that are not kept: the next one of their kind says more."""
_COUNTED = frozenset({"node_finished", "node_cached", "node_failed", "node_retried", "node_resumed"})
"""Events that metrics are made of."""
_DIED = "WorkerDied"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


async def next_seq(desk: Desk, claim: Claim) -> int:
    """The `seq` of a job's next event: after those of earlier attempts, which clients may have seen."""
    number, last = max(claim.events - 1, 0), ""
    while texts := await desk.events(claim.job.id, number):
        number, last = number + len(texts), texts[-1]
    return int(json.loads(last)["seq"]) + 1 if last else claim.events


class Turn:
    """An attempt at a job.

    Args:
        folder: where the worker writes files; `out` is the one in it for those that are results.

    Attributes:
        ended: set when it is over, whatever came of it.
        returned: whether the job went back into the queue.
    """

    def __init__(self, claim: Claim, means: Means, process: WorkerProcess, folder: Path, out: str = "out") -> None:
        self.claim = claim
        self.process = process
        self.ended = asyncio.Event()
        self.returned = False
        self._out = folder / out
        self._means = means
        self._desk = means.desk
        self._folder = folder
        self._id = claim.job.id
        self._state = claim.events
        self._next_seq = claim.events
        self._done = self._cached = self._of = 0
        self._token = CancelToken()
        self._returns = False
        self._reports: asyncio.Queue[list[str] | None] = asyncio.Queue()
        self._keeper: asyncio.Task[None] | None = None
        self._outputs: list[Output] = []
        self._fault: BaseException | None = None
        self._unsaved: list[str] = []
        """State events that the store does not have yet: the last ones of a run go there with its end."""
        self._publishing = ""
        """The node whose file is taken over."""
        nodes = json.loads(claim.document).get("nodes", {})
        self._types: dict[str, str] = {id: node["type"] for id, node in nodes.items()}

    @property
    def files(self) -> list[str]:
        """Content ids of the files that it made so far."""
        return [output.file for output in self._outputs if output.file is not None]

    def cancel(self) -> None:
        """End it."""
        self._token.cancel()

    def give_back(self) -> None:
        """End it, and let it be done later."""
        self._returns = True
        self._token.cancel()

    async def run(self, carry: Carry) -> None:
        """Bring the job to an end, or back into the queue.

        Args:
            carry: has the worker do it.

        Raises:
            Fenced: somebody else has the job now.
            StoreError: the store cannot keep what came of it.
        """
        if self.claim.epoch > 1:
            self._next_seq = await next_seq(self._desk, self.claim)
        await self.process.ready()
        if self.process.awaited:
            self.process.awaited = False
            await self._say({"event": "worker_started", "worker": self.process.slot, "seconds": self.process.seconds})
        if self._token.cancelled:
            await self._lost(Cancelled("the job was cancelled before it began"), [])
            return
        try:
            await self._make_ready()
        except (OSError, FilesError) as fault:
            await self._close("failed", {"error": self._not_kept(fault, "A file that it reads or writes")}, None)
            return
        marker = self._folder / "running"
        order = {
            "home": {**self._means.home_data, "out": str(self._out)},
            "job": self._id,
            "document": self.claim.document,
            "targets": list(self.claim.job.targets),
            "first_seq": self._next_seq,
            "marker": str(marker),
        }
        summary: dict[str, Any] | None = None
        error: BaseException | None = None
        try:
            summary = json.loads(await carry(order, self._token, self._take))
        except (Exception, Cancelled) as raised:  # the latter is no Exception
            error = raised
        finally:
            if self._keeper is not None:
                self._reports.put_nowait(None)
                await self._keeper
        if summary is not None and self._fault is None:
            await self._note(summary.get("events", ()))
        if isinstance(self._fault, (OSError, FilesError)):
            await self._close("failed", {"error": self._not_kept(self._fault, "A file that it wrote")}, None)
        elif self._fault is not None:
            raise self._fault
        elif summary is not None:
            await self._end(summary)
        elif isinstance(error, NotBegun):
            await (self._close("cancelled", {}, None) if self._is_unwanted else self._back(died=False))
        else:
            assert error is not None
            self._means.quick.note(self.claim.document, None)
            await self._lost(error, marked(marker))
            # What it says is about this job alone.
            await asyncio.to_thread(marker.unlink, missing_ok=True)

    @property
    def _is_unwanted(self) -> bool:
        """Whether somebody wants its end, and not that it is done later."""
        return self._token.cancelled and not self._returns

    async def _make_ready(self) -> None:
        if not self._out.is_dir():
            await asyncio.to_thread(self._out.mkdir, parents=True, exist_ok=True)
        document = self.claim.document
        if "sha256" in document or "\\u" in document:  # it may name files
            await asyncio.to_thread(self._means.files.bring, document)

    # -- while it runs

    def _take(self, kind: str, data: Mapping[str, Any], body: bytes) -> None:
        """What the worker reports, in the event loop's thread."""
        if kind == EVENTS:
            if self._keeper is None:
                self._keeper = asyncio.create_task(self._keep())
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

    async def _note(self, texts: Sequence[str]) -> None:
        """Take the last events, which came with the end."""
        try:
            await self._number(texts)
        except Exception as error:
            self._fault = error

    async def _keep_texts(self, texts: Sequence[str]) -> None:
        await self._number(texts)
        await self._record()

    async def _number(self, texts: Sequence[str]) -> None:
        """Give state events their numbers; tell everything else that the run told."""
        any_suspect = self._means.suspects("\n".join(texts))
        for text in texts:
            event = json.loads(text)
            kind = event["event"]
            suspect = any_suspect and self._means.suspects(text)
            self._next_seq = max(self._next_seq, event["seq"] + 1)
            if kind in PASSING:
                told = json.dumps(self._means.scrub(event), ensure_ascii=False) if suspect else text
                self._means.audience.passing(self._id, kind, event["node"] or "", told)
                continue
            if kind == "job_started":
                self._of = event["nodes"]
            self._done += kind == "node_finished"
            self._cached += kind == "node_cached"
            if kind in _COUNTED:
                self._means.note_event(event, self._types.get(event["node"] or "", ""))
            if kind != "output" and not suspect and "error" not in event:
                self._unsaved.append(f'{text[:-1]},"state":{self._state}}}')  # it is JSON of an object already
                self._state += 1
                continue
            if kind == "output":
                event = await self._published(event)
            self._add(self._means.scrub(event) if suspect else event)

    def _add(self, event: dict[str, Any]) -> None:
        """Number a state event."""
        if "error" in event:
            event["error"] = self._told(event["error"])
        event["state"] = self._state
        self._state += 1
        self._unsaved.append(json.dumps(event, ensure_ascii=False))

    async def _record(self) -> None:
        texts, self._unsaved = self._unsaved, []
        if texts:
            progress = (self._done, self._cached, self._of)
            await self._desk.record(self._id, self.claim.epoch, texts, progress)
            self._means.audience.states(self._id, self._state - len(texts), texts)

    async def _say(self, event: dict[str, Any]) -> None:
        """Tell something of our own."""
        about = {"seq": self._next_seq, "time": self._means.clock(), "job": self._id, "node": None}
        self._next_seq += 1
        self._add({**event, **about})
        await self._record()

    async def _published(self, event: dict[str, Any]) -> dict[str, Any]:
        """An `output` event, with the content id of a file in place of its path; the file is kept."""
        node, kind = event["node"], event["kind"]
        path = Path(event["ref"])
        if kind == "file" or path.is_absolute():
            self._publishing = node
            stored = await asyncio.to_thread(self._means.files.take, path)
            what = "image" if stored.width is not None else "file"
            self._outputs.append(
                Output(node, what, path.name, stored.file, stored.mime, stored.bytes, stored.width, stored.height)
            )
            return {**event, "ref": stored.file, "name": path.name}
        self._outputs.append(
            Output(node, "value", event["ref"].partition(".")[2], value=self._means.scrub(event.get("value")))
        )
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
        if summary["state"] != "cancelled":
            self._means.quick.note(self.claim.document, summary.get("took"))
        last = json.loads(summary["last"]) if summary["last"] else None
        values: dict[str, Any] = self._means.scrub(summary["values"])
        self._outputs = [
            replace(output, value=values.get(f"{output.node}.{output.name}")) if output.kind == "value" else output
            for output in self._outputs
        ]
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
        kind = self._types.get(nodes[0], "") if len(nodes) == 1 else ""
        detail = {
            "node": ", ".join(nodes),
            "type": kind,
            "exception": exception,
            "message": str(error),
            "traceback": "",
        }
        log.warning("job %s: %s", self._id, error)
        if exception == _DIED:
            await self._back(died=True, error=self._told({**detail, "code": "worker_died"}))
        else:
            await self._close("failed", {"error": detail}, None)

    async def _back(self, *, died: bool, error: Mapping[str, Any] | None = None) -> None:
        """Into the queue again, or to its end after too many deaths."""
        await self._record()
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
        await self._remove_files()
        self.returned = job.state == "queued"
        if not self.returned:
            texts = await self._desk.events(self._id, self._state)
            self._means.audience.states(self._id, self._state, texts)
            self._means.audience.ended(self._id)

    async def _close(self, state: Any, summary: Mapping[str, Any], last: dict[str, Any] | None) -> None:
        error = summary.get("error")
        error = None if error is None else self._told(error)
        texts = (*self._unsaved, self._last_event(state, error, self._state, last))
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
        self._means.audience.ended(self._id)
        await self._remove_files()

    async def _remove_files(self) -> None:
        """What is a result is in the file store. What a later job of the same names writes is not to be called
        otherwise because of it."""
        with contextlib.suppress(OSError):
            if os.listdir(self._out):
                await asyncio.to_thread(shutil.rmtree, self._out, ignore_errors=True)

    def _not_kept(self, error: BaseException, what: str) -> dict[str, Any]:
        """The failure of a job whose file could not be taken over."""
        full = isinstance(error, NoSpace) or (isinstance(error, OSError) and error.errno in _FULL)
        code = "no_space" if full else "output_lost"
        why = "the disk is full" if full else str(error)
        message = f"{what} could not be kept: {why}."
        node, exception = self._publishing, type(error).__name__
        kind = self._types.get(node, "")
        return {
            "node": node, "type": kind, "exception": exception, "message": message, "traceback": "", "code": code,
        }  # fmt: skip

    def _last_event(
        self, state: str, error: Mapping[str, Any] | None, number: int, last: dict[str, Any] | None = None
    ) -> str:
        """The event that says how the job ended: what the run said, or one of our own where it could not."""
        kind = {"done": "job_finished", "failed": "job_failed"}.get(state, "job_cancelled")
        event = last if last is not None and last["event"] == kind else None
        if event is None:
            event = {"event": kind, "seq": self._next_seq, "time": self._means.clock(), "job": self._id, "node": None}
        if error is not None and kind == "job_failed":
            event["error"] = self._told(error)
        return json.dumps({**event, "state": number}, ensure_ascii=False)
