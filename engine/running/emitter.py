"""Takes what happens in a run to the listener: numbered, in order, one at a time.

The thread that calls `run` calls the listener itself while nothing waits before it. What nodes report goes into a queue
that a thread of its own works off: neither nodes on threads nor what watches worker processes ever wait for a listener.
When that falls behind, of the reports only the newest stay, and the run waits for it.
"""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from weft.engine.events import (
    Event,
    JobCancelled,
    JobFailed,
    JobFinished,
    NodePreview,
    NodeProgress,
    NodeReport,
    NodeResumed,
    OnEvent,
)

log = logging.getLogger("weft.events")

CAPACITY = 1000
"""How many events may wait for the listener before reports are thinned out, and the run waits."""
CAPACITY_BYTES = 16 << 20
"""How many bytes of pictures may wait."""

_REPORTS: dict[str, type[Event]] = {"progress": NodeProgress, "preview": NodePreview, "resumed": NodeResumed}
"""The event for each kind of report; those of other kinds are a `NodeReport`."""
_LAST = frozenset({JobFinished, JobFailed, JobCancelled})

_Entry = tuple[type[Event], str | None, dict[str, Any], float, int]
"""What event, of which node, its fields, when, and how many bytes its picture has."""


class Emitter:
    """Numbers a job's events and hands them to the listener; does nothing, cheaply, when there is none.

    Args:
        job: the id that events carry.
        on_event: the listener. One that raises an Exception is its own trouble, not the run's.
        first_seq: the number of the first event.
        on_failure: called when the listener raised what is no Exception, which ends the run.

    Attributes:
        failure: what that was.
    """

    def __init__(
        self,
        job: str,
        on_event: OnEvent | None,
        first_seq: int = 0,
        on_failure: Callable[[], object] = lambda: None,
    ) -> None:
        self.job = job
        self.on_event = on_event
        self.failure: BaseException | None = None
        self._on_failure = on_failure
        self._seq = first_seq
        self._time = 0.0
        self._queue: list[_Entry] = []
        self._bytes = 0
        self._owner = threading.get_ident()
        self._turn = threading.Lock()
        """Whose holder calls the listener."""
        self._lock = threading.Lock()
        self._wake = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._asleep = False
        self._closed = False
        self._thread: threading.Thread | None = None

    def emit(self, kind: type[Event], node: str | None = None, /, **fields: Any) -> None:
        """Say what happened. None of these events is left out; called by the thread that calls `run` alone."""
        if self.on_event is None:
            return
        if not self._queue and self._turn.acquire(False):
            try:
                self._tell(kind, node, fields, time.time())
            finally:
                self._turn.release()
            return
        with self._lock:
            while len(self._queue) >= CAPACITY and kind not in _LAST:
                self._room.wait()
            self._put((kind, node, fields, time.time(), 0))

    def report(self, node: str, kind: str, data: Mapping[str, Any], body: bytes = b"") -> None:
        """Say what a node said (`engine.declaring.following.Listener`); from any thread, of which none has to wait."""
        if self.on_event is None:
            return
        event = _REPORTS.get(kind, NodeReport)
        fields = {**data, "kind": kind} if event is NodeReport else dict(data)
        if event is NodePreview:
            fields["data"] = body
        if threading.get_ident() == self._owner and not self._queue and self._turn.acquire(False):
            try:
                self._tell(event, node, fields, time.time())
            finally:
                self._turn.release()
            return
        with self._lock:
            if len(self._queue) >= CAPACITY or self._bytes + len(body) > CAPACITY_BYTES:
                self._thin_out(event, node, fields.get("kind"))
                if len(self._queue) >= 2 * CAPACITY and event is not NodeResumed:
                    return
            self._put((event, node, fields, time.time(), len(body)))

    def close(self) -> None:
        """Wait until the listener was told everything."""
        with self._lock:
            self._closed = True
            thread = self._thread
            self._wake.notify()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _put(self, entry: _Entry) -> None:
        if self._thread is None:
            if self._closed:
                return
            context = contextvars.copy_context()
            self._thread = threading.Thread(target=context.run, args=(self._deliver,), name="weft-events", daemon=True)
            self._thread.start()
        self._queue.append(entry)
        self._bytes += entry[4]
        if self._asleep:
            self._asleep = False
            self._wake.notify()

    def _thin_out(self, event: type[Event], node: str, kind: Any) -> None:
        """Leave out the report that a newer one of the same node makes worthless."""
        for place in range(len(self._queue) - 1, -1, -1):
            other, name, fields, _, size = self._queue[place]
            if other is event and name == node and fields.get("kind") == kind:
                self._bytes -= size
                del self._queue[place]
                return

    # -- on a thread of its own

    def _deliver(self) -> None:
        while True:
            with self._lock:
                while not self._queue:
                    if self._closed:
                        return
                    self._asleep = True
                    self._wake.wait()
            with self._turn:
                with self._lock:
                    batch, self._queue, self._bytes = self._queue, [], 0
                    self._room.notify_all()
                for kind, node, fields, when, _ in batch:
                    self._tell(kind, node, fields, when)

    def _tell(self, kind: type[Event], node: str | None, fields: dict[str, Any], when: float) -> None:
        assert self.on_event is not None
        if when < self._time:
            when = self._time  # of two threads, or the clock was set back
        self._time = when
        fields.update(seq=self._seq, time=when, job=self.job, node=node)
        try:
            event = kind.__pydantic_validator__.validate_python(fields)  # what `kind(**fields)` does by a longer way
        except ValueError:
            log.exception("node %s of job %s said what makes no %s", node, self.job, kind.__name__)
            return
        self._seq += 1
        try:
            self.on_event(event)
        except Exception:
            log.exception("the listener of job %s failed at event %d", self.job, event.seq)
        except BaseException as error:
            if self.failure is None:
                self.failure = error
                self._on_failure()
