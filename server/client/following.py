"""The events of a job, to its end: over a websocket, or over plain HTTP where no websocket gets through.

However often the connection breaks or the server starts again, each state event comes once and in its order: what was
seen last is known here, and the server is asked for what comes after.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from weft.server.client.addresses import part
from weft.server.client.calling import Attempts, Calls
from weft.server.client.errors import RefusedError
from weft.server.client.records import ENDED

LAST = frozenset({"job_finished", "job_failed", "job_cancelled"})
QUIET_SECONDS = 20.0
"""After so long without an event the job itself is looked at: it may be gone."""
POLL_SECONDS = 0.5
_MOST_BYTES = 16 << 20
_MOST_FAILURES = 2
"""A websocket that could not be had so often, while HTTP could, is not tried again."""

Event = dict[str, Any]


class Following:
    """Follows one job.

    Args:
        since: the number of the first state event that is wanted.
        previews: whether pictures are wanted. They come over the websocket alone.
    """

    def __init__(self, calls: Calls, job: str, since: int = 0, *, previews: bool = False) -> None:
        self._calls = calls
        self._job = job
        self._path = f"jobs/{part(job)}"
        self._next = since
        self._previews = previews
        self._ended = False
        self._ways = [self._websocket, self._stream, self._poll]

    async def events(self) -> AsyncGenerator[Event, None]:
        """The events as the server sends them; a preview has its picture as `data`.

        Raises:
            NotFoundError: there is no such job, or not any more. NoServerError: the server stays away.
        """
        failures = 0
        attempt = Attempts(self._calls.patience)
        while True:
            # This waits for a server that is gone, and tells whether it knows the job.
            job = await self._calls.json("GET", self._path)
            if job["state"] in ENDED:
                for event in await self._stored():
                    yield event
                return
            way = self._ways[0]
            began = self._next
            try:
                async with contextlib.aclosing(way()) as events:
                    async for event in events:
                        failures = 0
                        yield event
                if self._ended:
                    return
            except _Quiet:
                continue
            except (httpx.TransportError, WebSocketException, RefusedError, OSError, ValueError):
                failures += 1
            if self._next > began:
                attempt = Attempts(self._calls.patience)
            if failures >= _MOST_FAILURES and len(self._ways) > 1:
                self._ways.pop(0)
                failures = 0
            elif not await attempt.pause():
                attempt = Attempts(self._calls.patience)  # the server is there, as the look at the job says

    async def _stored(self) -> list[Event]:
        told = await self._calls.json("GET", f"{self._path}/events", params={"since": self._next})
        return [event for event in told["events"] if self._is_new(event)]

    def _is_new(self, event: Event) -> bool:
        """Whether an event is to be told; takes down that it was.

        Raises:
            ValueError: one before it is missing.
        """
        state = event.get("state")
        if state is None:
            return True
        if state < self._next:
            return False
        if state > self._next:
            raise ValueError(f"state event {self._next} is missing before {state}")
        self._next += 1
        self._ended = event["event"] in LAST
        return True

    async def _websocket(self) -> AsyncGenerator[Event, None]:
        async with connect(
            self._calls.address.websocket,
            additional_headers=self._calls.headers,
            user_agent_header="weft",
            compression=None,
            max_size=_MOST_BYTES,
            open_timeout=10.0,
            close_timeout=1.0,
            proxy=None if self._calls.address.local else True,
        ) as socket:
            wanted = {"jobs": [self._job], "since": {self._job: self._next}, "previews": self._previews}
            await socket.send(json.dumps({"subscribe": wanted}))
            while not self._ended:
                frame = await _frame(socket)
                event = msgpack.unpackb(frame) if isinstance(frame, bytes) else json.loads(frame)
                if event.get("job") == self._job and self._is_new(event):
                    yield event

    async def _stream(self) -> AsyncGenerator[Event, None]:
        headers = {"Accept": "text/event-stream"}
        async with self._calls.stream(f"{self._path}/events?since={self._next}", headers) as answer:
            if not answer.headers.get("content-type", "").startswith("text/event-stream"):
                raise ValueError("no stream of events")
            async for line in answer.aiter_lines():
                name, _, text = line.partition(":")
                if name == "data":
                    event = json.loads(text)
                    if event.get("job") == self._job and self._is_new(event):
                        yield event

    async def _poll(self) -> AsyncGenerator[Event, None]:
        for event in await self._stored():
            yield event
        if not self._ended:
            await asyncio.sleep(POLL_SECONDS)
            raise _Quiet


class _Quiet(Exception):  # noqa: N818
    """There was no event for a while."""


async def _frame(socket: ClientConnection) -> str | bytes:
    try:
        async with asyncio.timeout(QUIET_SECONDS):
            return await socket.recv()
    except TimeoutError:
        raise _Quiet from None
