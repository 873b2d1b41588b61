"""Followers of jobs that any of several servers may run: what they are told comes by way of the store they share."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Sequence

from weft.server.live.hub import Hub
from weft.server.store.desk import Desk
from weft.server.store.protocol import JobStore, Missing, StoreError
from weft.server.store.records import Heard

log = logging.getLogger("weft.server")

HEAR_SECONDS = 1.0
_ENDS = frozenset({"job_finished", "job_failed", "job_cancelled"})


class SharedHub(Hub):
    """A hub whose state events are told when the store says that they are stored, whichever server stored them.

    Those of this server take the same way. Were they told at once, the events of a job that was queued at one server
    and runs at another could overtake each other. Progress and previews are told by the server that runs the job alone.

    Args:
        hear: waits so many seconds for what happens in the store; it is called in a thread. It raises StoreError where
            the store cannot be reached.
        desk: the store.
    """

    def __init__(self, hear: Callable[[float], Heard], desk: Desk) -> None:
        super().__init__()
        self._hear = hear
        self._desk = desk
        self._missed = False
        """Whether something may have happened that nobody here was told of."""

    def states(self, job: str, first: int, texts: Sequence[str]) -> None:
        """Nothing: the store tells of them."""

    def ended(self, job: str) -> None:
        """No more previews come; that it has ended the store tells."""
        self._previewed.pop(job, None)

    async def listen(self) -> None:
        """Tell what happens in the store, until the task is cancelled."""
        while True:
            try:
                heard = await asyncio.to_thread(self._hear, HEAR_SECONDS)
                self._missed = self._missed or heard.anew
                if self._missed:
                    await self._catch_up()
                await self._pass_on(heard.events)
                if heard.queue or self._missed:
                    self.queue_changed()
                self._missed = False
            except StoreError as error:
                self._missed = True
                log.warning("what other servers do is not heard now: %s", error)
                await asyncio.sleep(HEAR_SECONDS)

    async def _pass_on(self, stored: Sequence[tuple[str, int, int]]) -> None:
        wanted = [item for item in stored if any(listener.follows(item[0]) for listener in self._listeners)]
        if not wanted:
            return
        found = await self._desk.read(lambda store: [_events(store, *item) for item in wanted])
        for (id, first, _), texts in zip(wanted, found, strict=True):
            super().states(id, first, texts)
            if texts and _is_end(texts[-1]):
                super().ended(id)

    async def _catch_up(self) -> None:
        """Tell what was missed of the jobs that somebody follows by name, or has been told of."""
        known: dict[str, int | None] = {}
        for listener in self._listeners:
            for id, number in listener.known().items():
                before = known.get(id)
                known[id] = before if number is None else number if before is None else min(number, before)
        for id, number in known.items():
            texts = await self._desk.read(lambda store, id=id, number=number: _events(store, id, number or 0))  # type: ignore[misc]
            first = number or 0
            if number is None:  # from now on was asked for: that it is over is all that matters now
                first, texts = len(texts) - 1, texts[-1:] if texts and _is_end(texts[-1]) else []
            # It is not forgotten after its end: the same may be heard once more in a moment.
            super().states(id, first, texts)


def _events(store: JobStore, id: str, first: int, end: int | None = None) -> list[str]:
    """State events of a job by their numbers; none of one that is not there."""
    texts: list[str] = []
    try:
        if end is not None:
            return store.events(id, first, end - first)
        while more := store.events(id, first + len(texts)):
            texts += more
    except Missing:
        pass
    return texts


def _is_end(text: str) -> bool:
    return json.loads(text)["event"] in _ENDS
