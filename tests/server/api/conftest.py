"""A server without a network: the application in this process, with its stores, and a worker process behind it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from weft.server.api.deck import Deck
from weft.server.live.listener import Listener
from weft.server.serving import Serving
from weft.server.settings import resolve

T = TypeVar("T")
TOYS = Path(__file__).parents[1] / "toys"
PORT = 9338
API = f"http://127.0.0.1:{PORT}/api/v1"
SECONDS = 120.0
"""What takes longer has stopped."""


class Server:
    """What runs in an event loop of its own, called from a test."""

    def __init__(self, loop: asyncio.AbstractEventLoop, deck: Deck, client: httpx.AsyncClient) -> None:
        self._loop = loop
        self._client = client
        self.deck = deck

    def do(self, action: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(action, self._loop).result(SECONDS)

    def __call__(self, method: str, path: str, *, status: int = 200, **more: Any) -> httpx.Response:
        """A request below /api/v1, to which such an answer comes."""
        answer = self.do(self._client.request(method, f"{API}{path}", **more))
        assert answer.status_code == status, (answer.status_code, answer.text)
        if status >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == status
        return answer

    def submit(self, nodes: dict[str, Any], *, wait: int | None = None, key: str | None = None, **more: Any) -> Any:
        """A job of a document; ended, where it is waited for."""
        headers = {} if wait is None else {"Prefer": f"wait={wait}"}
        headers |= {} if key is None else {"Idempotency-Key": key}
        status = 202 if wait is None else 200
        body = {"workflow": document(nodes), **more}
        return self("POST", "/jobs", json=body, headers=headers, status=status).json()

    def follow(self, action: Callable[[], object]) -> list[str]:
        """What a client is told of the queue and of workflows by something that is done."""

        async def fetch(id: str, since: int) -> list[str]:
            return []

        listener = Listener(fetch)
        listener.queue = True
        self.deck.hub.join(listener)
        try:
            action()
            return [text for text in self.do(listener.take()) if isinstance(text, str)]
        finally:
            self.deck.hub.leave(listener)


def document(nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A document of `{"a": ("toy_save", {"text": "b"})}`."""
    return {"weft": 1, "nodes": {id: {"type": type, "inputs": inputs} for id, (type, inputs) in nodes.items()}, **more}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the tests of a module."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "inputs").mkdir()
    (folder / "inputs" / "note.txt").write_text("from outside")
    options = {"data": folder / "data", "nodes": [TOYS], "inputs": [folder / "inputs"], "port": PORT}
    options["min_free_mib"] = 1
    settings = resolve(options, {}).settings
    loop = asyncio.new_event_loop()
    up, down = threading.Event(), asyncio.Event()
    made: list[Server] = []
    faults: list[BaseException] = []

    async def live() -> None:
        from weft.server.store.opening import open_folder

        serving = Serving(settings)
        opened = open_folder(settings.data, ballast_bytes=1 << 16)
        async with serving._parts(opened.lock, opened.store) as deck:
            app = serving._app(deck, PORT)
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport) as client:
                made.append(Server(loop, deck, client))
                up.set()
                await down.wait()
                serving._stops = 2  # nobody waits for what runs

    def turn() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(live())
        except BaseException as error:
            faults.append(error)
        finally:
            up.set()
            loop.close()

    thread = threading.Thread(target=turn)
    thread.start()
    assert up.wait(SECONDS)
    if made:
        try:
            yield made[0]
        finally:
            loop.call_soon_threadsafe(down.set)
            thread.join(SECONDS)
    if faults:
        raise faults[0]
