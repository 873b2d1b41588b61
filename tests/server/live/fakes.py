"""A store of state events and a websocket, for tests of who is told what."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any


class Events:
    """State events of jobs, as the store would give them.

    Attributes:
        asked: what was asked for.
        meanwhile: is called while an answer is on its way.
    """

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}
        self.asked: list[tuple[str, int]] = []
        self.meanwhile: Callable[[], object] = lambda: None

    def add(self, job: str, count: int = 1) -> tuple[str, int, list[str]]:
        """Put more events of a job; gives what listeners are told of them."""
        texts = self.texts.setdefault(job, [])
        first = len(texts)
        new = [json.dumps({"event": "e", "job": job, "state": first + number}) for number in range(count)]
        texts += new
        return job, first, new

    async def fetch(self, job: str, since: int) -> list[str]:
        """At most three at once."""
        self.asked.append((job, since))
        found = self.texts.get(job, [])[since : since + 3]
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        await asyncio.sleep(0)
        return found


class Socket:
    """A client's end of a websocket, as Starlette has it."""

    def __init__(self) -> None:
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[str | bytes] = []
        self.closed: tuple[int, str] | None = None
        self.reads = asyncio.Event()
        self.reads.set()

    def say(self, data: Any) -> None:
        """Send a message to the server; text as it is."""
        text = data if isinstance(data, str) else json.dumps(data)
        self.said.put_nowait({"type": "websocket.receive", "text": text})

    async def accept(self) -> None:
        """See Starlette."""

    async def receive(self) -> dict[str, Any]:
        """See Starlette."""
        return await self.said.get()

    async def send_text(self, text: str) -> None:
        """See Starlette."""
        await self.reads.wait()
        self.sent.append(text)

    async def send_bytes(self, data: bytes) -> None:
        """See Starlette."""
        await self.reads.wait()
        self.sent.append(data)

    async def close(self, code: int, reason: str = "") -> None:
        """See Starlette."""
        self.closed = (code, reason)
