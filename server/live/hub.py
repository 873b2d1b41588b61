"""Takes what happens to those who follow it. Nothing here waits: what a client has not taken is its own matter."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgpack

from weft.server.live.listener import Listener

PREVIEW_PIXELS = 512
PREVIEW_SECONDS = 0.1
"""Between two previews of one job."""
QUEUE_SECONDS = 0.1
"""Between two events that say how the queue is."""

log = logging.getLogger("weft.server")


class Hub:
    """The listeners of one server.

    Args:
        clock: for what is not told too often, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._listeners: set[Listener] = set()
        self.sockets = 0
        """How many of these are clients at a websocket."""
        self._previewed: dict[str, float] = {}
        self.queue_state: Callable[[], Awaitable[Mapping[str, Any]]] | None = None
        """Tells how the queue is: `{"paused", "queued", "running"}`."""
        self._telling: asyncio.Task[None] | None = None
        self._changed = False

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
        """See `Audience`."""
        self._previewed.pop(job, None)
        for listener in self._listeners:
            listener.put_end(job)

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
        """See `Audience`. However many changes there are, the queue is looked at a few times a second, and not at all
        where nobody follows it."""
        self._changed = True
        if self._telling is None and any(listener.queue for listener in self._listeners):
            self._telling = asyncio.get_running_loop().create_task(self._tell_queue(), name="queue")

    async def _tell_queue(self) -> None:
        try:
            while self._changed and self.queue_state is not None:
                self._changed = False
                state = await self.queue_state()
                self.tell("queue", json.dumps({"event": "queue", **state}))
                await asyncio.sleep(QUEUE_SECONDS)
        except Exception as error:  # the database cannot be read; the next change asks it again
            log.warning("how the queue is cannot be told: %s", error)
        finally:
            self._telling = None

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
