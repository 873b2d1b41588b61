"""Takes what happens to those who follow it. Nothing here waits: what a client has not taken is its own matter."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgpack

from weft.server.live.listener import Listener

PREVIEW_PIXELS = 512
PREVIEW_SECONDS = 0.1
"""Between two previews of one job."""


class Hub:
    """The listeners of one server.

    Args:
        clock: for what is not told too often, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._listeners: set[Listener] = set()
        self._previewed: dict[str, float] = {}
        self.queue_text: Callable[[], str] = lambda: '{"event": "queue"}'
        """Gives the event that says how the queue is."""

    def __len__(self) -> int:
        return len(self._listeners)

    def join(self, listener: Listener) -> None:
        """From now on this one is told."""
        self._listeners.add(listener)

    def leave(self, listener: Listener) -> None:
        """It is told nothing more."""
        self._listeners.discard(listener)

    # -- what happens (`server.workers.audience.Audience`)

    def states(self, job: str, first: int, texts: Sequence[str]) -> None:
        """See `Audience`."""
        for listener in self._listeners:
            if listener.follows(job):
                listener.put_states(job, first, texts)

    def ended(self, job: str) -> None:
        """Nothing more comes of a job."""
        self._previewed.pop(job, None)

    def passing(self, job: str, event: str, node: str, text: str) -> None:
        """See `Audience`."""
        for listener in self._listeners:
            if listener.follows(job):
                listener.put_passing((job, event, node), text)

    def preview(self, job: str, data: Mapping[str, Any], picture: bytes) -> None:
        """See `Audience`."""
        now = self._clock()
        if (
            now - self._previewed.get(job, -1.0) < PREVIEW_SECONDS
            or max(data["width"], data["height"]) > PREVIEW_PIXELS
        ):
            return
        if len(self._previewed) > 1000:
            self._previewed.clear()
        self._previewed[job] = now
        frame: bytes | None = None
        for listener in self._listeners:
            if listener.previews and listener.follows(job):
                if frame is None:  # once for all, and not at all where nobody looks
                    names = ("event", "job", "node", "seq", "mime", "width", "height")
                    frame = msgpack.packb({"v": 1, **{name: data[name] for name in names}, "data": picture})
                listener.put_passing((job, "node_preview", data["node"]), frame)

    def queue_changed(self) -> None:
        """See `Audience`."""
        self.tell("queue", self.queue_text())

    def catalogue_changed(self) -> None:
        """There are other nodes now."""
        self.tell("catalogue", '{"event": "catalogue"}')

    def workflow_changed(self, name: str, etag: str | None) -> None:
        """A saved workflow is another one now, or gone."""
        self.tell(f"workflow {name}", json.dumps({"event": "workflow", "name": name, "etag": etag}))

    def tell(self, about: str, text: str) -> None:
        """Tell those who follow what concerns no job; what was said about the same before need not be told any more."""
        for listener in self._listeners:
            if listener.queue:
                listener.put_passing(("", about, ""), text)
