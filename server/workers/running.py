"""A job's events on their way out of its worker, and the note of which nodes run, which outlives the process."""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import mmap
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from weft.engine.events import Event, NodePreview

log = logging.getLogger("weft.server")

FLUSH_SECONDS = 0.01
"""How long events are gathered: a node that takes less is one of many, and nobody can follow them one by one."""
MARKER_BYTES = 4096
_ENDS = frozenset({"node_finished", "node_failed", "node_cached", "node_skipped"})
_LAST = frozenset({"job_finished", "job_failed", "job_cancelled"})

Relay = Callable[[str, Mapping[str, Any], bytes], object]
Mark = Callable[[list[str]], object]


class Running:
    """Gathers the events of one run and tells them in batches.

    Args:
        relay: takes a kind of report, its data and the bytes of a picture.
        mark: called with the ids of the nodes that run, whenever these change.
        settle: returns when the results so far are on disk. What is said to have finished is not computed again,
            whatever becomes of this process a moment later.

    Attributes:
        last: the last event of the run as JSON text; it is not told.
        rest: once the run has ended: the events before that one that were not told yet.
    """

    def __init__(self, relay: Relay, mark: Mark, settle: Callable[[], object] = lambda: None) -> None:
        self.last: str | None = None
        self.rest: list[str] = []
        self._relay = relay
        self._mark = mark
        self._settle = settle
        self._nodes: dict[str, None] = {}
        self._texts: list[str] = []
        self._lock = threading.Lock()
        self._ended = False

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._ended = True
            self.rest, self._texts = self._texts, []

    @property
    def over(self) -> bool:
        """Whether the run has ended: nothing more is told of it here."""
        return self._ended

    def take(self, event: Event) -> None:
        """Take an event of the run."""
        kind = event.event
        if isinstance(event, NodePreview):
            data = event.model_dump(mode="json")
            self._relay("weft.preview", data, event.data)
            return
        text = event.model_dump_json()
        if kind in _LAST:
            self.last = text
            return
        if event.node is not None and kind == "node_started":
            self._nodes[event.node] = None
            self._mark(list(self._nodes))
        elif event.node in self._nodes and kind in _ENDS:
            del self._nodes[event.node]
            self._mark(list(self._nodes))
        with self._lock:
            self._texts.append(text)
            if len(self._texts) == 1 and not self._ended:
                _teller()(self)

    def flush(self) -> None:
        """Tell what was gathered."""
        with self._lock:
            if self._texts and not self._ended:
                texts, self._texts = self._texts, []
                self._settle()
                self._relay("weft.events", {"events": texts}, b"")


@functools.cache
def _teller() -> Callable[[Running], object]:
    """Takes runs that have something to tell, of all runs of this process, and has each tell it in a while."""
    waiting: deque[tuple[float, Running]] = deque()
    any_waits = threading.Event()

    def tell() -> None:
        while True:
            any_waits.wait()
            any_waits.clear()
            while waiting:
                # Of many short runs most are over by then, and are passed over at once: they do not wake this thread.
                time.sleep(max(0.0, waiting[0][0] - time.monotonic()))
                now = time.monotonic()
                while waiting and (waiting[0][0] <= now or waiting[0][1].over):
                    try:
                        waiting.popleft()[1].flush()
                    except Exception:
                        log.exception("events could not be told")

    def take(run: Running) -> None:
        waiting.append((time.monotonic() + FLUSH_SECONDS, run))
        if not any_waits.is_set():
            any_waits.set()

    threading.Thread(target=tell, name="weft-tell", daemon=True).start()
    return take


@contextlib.contextmanager
def marking(path: str) -> Iterator[Mark]:
    """A note of the nodes that run, in a file that the server reads when this process is gone."""
    with open(path, "w+b") as file:
        file.truncate(MARKER_BYTES)
        with mmap.mmap(file.fileno(), MARKER_BYTES) as memory:

            def mark(nodes: list[str]) -> None:
                text = json.dumps(nodes).encode()
                while len(text) >= MARKER_BYTES:
                    nodes = nodes[: len(nodes) // 2]
                    text = json.dumps(nodes).encode()
                memory[: len(text) + 1] = text + b"\0"

            yield mark


def marked(path: str | Path) -> list[str]:
    """The nodes that ran when the process ended."""
    with contextlib.suppress(OSError, ValueError):
        nodes = json.loads(Path(path).read_bytes().partition(b"\0")[0])
        if isinstance(nodes, list):
            return [str(node) for node in nodes]
    return []
