"""One client that follows jobs: what it wants, and what it is still to be sent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

MOST_STATES = 10_000
"""A client that has so many state events before it has lost touch: it is to come back and say what it has seen."""

MOST_JOBS = 100_000
"""A client may name so many ids without coming again."""

_END = -1
"""In place of the number of an event: there are no more of the job."""

Fetch = Callable[[str, int], Awaitable[list[str]]]
"""State events of a job from a number on, from the store."""


class Behind(Exception):  # noqa: N818
    """The client does not keep up."""


class Listener:
    """What one client is to be told, in the event loop's thread.

    State events of a job are sent each once, in their order and without a gap, whatever came live meanwhile. Of other
    events the latest about a thing is sent, so that a slow client sees fewer of them.

    Args:
        fetch: gives state events that are in the store.
    """

    def __init__(self, fetch: Fetch) -> None:
        self.previews = False
        self.queue = False
        self._fetch = fetch
        self._jobs: frozenset[str] | None = frozenset()
        """None: all."""
        self._next: dict[str, int] = {}
        """The number of the state event that each job's next one has to be."""
        self._states: deque[tuple[str, int, Sequence[str]]] = deque()
        self._waiting = 0
        self._passing: dict[tuple[str, str, str], str | bytes] = {}
        self._replay: list[str] = []
        self._wake = asyncio.Event()

    def want(
        self, jobs: Sequence[str] | None, since: Mapping[str, int], *, previews: bool = False, queue: bool = False
    ) -> None:
        """Say what it wants from now on.

        Args:
            jobs: ids; None for all there are and will be.
            since: the state event from which a job is to be told again, by its id.

        Raises:
            ValueError: it has named more jobs than anybody follows; each is remembered.
        """
        if len(self._next) + len(since) > MOST_JOBS:
            raise ValueError(f"a client may name {MOST_JOBS:,} jobs")
        self.previews, self.queue = previews, queue
        self._jobs = None if jobs is None else frozenset(jobs)
        self._next.update(since)
        self._replay += since
        self._wake.set()

    def follows(self, job: str) -> bool:
        """Whether it wants to be told of a job."""
        return self._jobs is None or job in self._jobs

    def known(self) -> dict[str, int | None]:
        """The jobs that it named or was told of, each with the number of the state event that comes next for it; None
        where none was told of a job that it wants from now on."""
        named: dict[str, int | None] = dict.fromkeys(self._jobs or ())
        return {**named, **self._next}

    def put_states(self, job: str, first: int, texts: Sequence[str]) -> None:
        """Take state events that were stored just now."""
        if self._waiting > MOST_STATES:  # it is left as soon as it is seen to, and nothing more is kept for it
            return
        self._states.append((job, first, texts))
        self._waiting += len(texts)
        self._wake.set()

    def put_end(self, job: str) -> None:
        """Take that a job has no more events, so that it can be forgotten after those that wait."""
        if self._states or self._replay:
            self._states.append((job, _END, ()))
        else:
            self._next.pop(job, None)

    def put_passing(self, about: tuple[str, str, str], text: str | bytes) -> None:
        """Take what is worth telling until something newer about the same comes."""
        self._passing.pop(about, None)  # to the end
        self._passing[about] = text
        self._wake.set()

    async def take(self) -> list[str | bytes]:
        """What to send next; waits until there is something.

        Raises:
            Behind: too much is waiting.
        """
        while True:
            if self._waiting > MOST_STATES:
                raise Behind(f"{self._waiting} events wait to be read")
            found: list[str | bytes] = []
            while self._replay:
                found += await self._stored(self._replay.pop(0))
            while self._states:
                job, first, texts = self._states.popleft()
                self._waiting -= len(texts)
                if first == _END:
                    self._next.pop(job, None)
                    continue
                found += await self._in_turn(job, first, texts)
            passing, self._passing = self._passing, {}
            found += passing.values()
            if found:
                return found
            self._wake.clear()
            await self._wake.wait()

    async def _in_turn(self, job: str, first: int, texts: Sequence[str]) -> Sequence[str]:
        """Those of some events that come next; with those between that it has not seen."""
        expected = self._next.get(job, first)
        if first > expected:
            return await self._stored(job)
        new = texts[expected - first :]
        self._next[job] = max(expected, first + len(texts))
        return new

    async def _stored(self, job: str) -> list[str]:
        expected = self._next.get(job, 0)
        texts: list[str] = []
        while more := await self._fetch(job, expected + len(texts)):
            texts += more
        self._next[job] = expected + len(texts)
        return texts
