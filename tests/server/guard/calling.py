"""An application as others would write it, behind the guard, and calls of it without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from tests.server.answer import Answer
from weft.server.answering import StrictRoute, answer_problems
from weft.server.guard.guard import Guard
from weft.server.guard.hosts import Hosts
from weft.server.guard.login import session_routes
from weft.server.guard.rules import Rules
from weft.server.scrub import Scrubber

PORT = 9338
HOST = f"127.0.0.1:{PORT}"
TOKEN = "t0ken-" + "x" * 40
JSON = {"content-type": "application/json"}


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = Field("", max_length=20)
    priority: int = Field(0, ge=-100, le=100)


def application(token: str | None = None, *, debug: bool = False) -> tuple[FastAPI, list[str]]:
    """A server of one of each, and what reached it."""
    app = FastAPI()
    reached: list[str] = []
    router = APIRouter(route_class=StrictRoute)

    @router.get("/api/v1/jobs/{id}")
    async def job(id: str, limit: Annotated[int, Query(ge=1, le=500)] = 50) -> dict[str, Any]:
        reached.append(f"GET {id} {limit}")
        return {"id": id}

    @router.post("/api/v1/jobs", status_code=202)
    async def post(order: Order) -> dict[str, Any]:
        reached.append(f"POST {order.title}")
        return {"title": order.title}

    @router.post("/api/v1/jobs/{id}/cancel")
    async def cancel(id: str) -> dict[str, Any]:
        reached.append(f"cancel {id}")
        return {"id": id}

    @router.delete("/api/v1/jobs/{id}", status_code=204)
    async def delete(id: str) -> None:
        reached.append(f"DELETE {id}")

    @router.post("/api/v1/files", status_code=201)
    async def upload(request: Request) -> dict[str, int]:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        reached.append(f"upload {size}")
        return {"bytes": size}

    @router.get("/api/v1/files/{id}")
    async def file(id: str) -> Response:
        headers = {"Content-Security-Policy": "sandbox", "Cache-Control": "private, max-age=60"}
        return Response(b"<svg/>", headers=headers | {"Access-Control-Allow-Origin": "*"})

    @router.get("/api/v1/stream")
    async def stream() -> StreamingResponse:
        async def parts() -> Any:
            yield b"one"
            raise OSError(5, "the disk is broken", "/etc/weft/secret.db")

        return StreamingResponse(parts())

    @router.get("/api/v1/broken")
    async def broken() -> None:
        raise ValueError("could not open /etc/weft/secret.db")

    @router.get("/")
    async def page() -> Response:
        return Response("<html>", media_type="text/html")

    @app.websocket("/api/v1/ws")
    async def live(websocket: WebSocket) -> None:
        reached.append("ws")
        await websocket.accept()
        await websocket.send_text("secret")
        await websocket.close()

    app.include_router(router)
    app.include_router(session_routes(token))
    answer_problems(app, Scrubber.of_machine(), debug=debug)
    return app, reached


@dataclass
class Guarded:
    """The application behind the guard."""

    rules: Rules = field(default_factory=lambda: Rules(Hosts.of("127.0.0.1", PORT)))
    debug: bool = False

    def __post_init__(self) -> None:
        app, self.reached = application(self.rules.token, debug=self.debug)
        self.app = Guard(app, self.rules, Scrubber.of_machine())

    def call(self, *arguments: Any, **keywords: Any) -> Answer:
        return call(self.app, *arguments, **keywords)

    def handshake(self, *arguments: Any, **keywords: Any) -> list[dict[str, Any]]:
        return handshake(self.app, *arguments, **keywords)


def scope_of(kind: str, path: str, headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, Any]:
    from urllib.parse import unquote

    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.insert(0, ("host", HOST))
    raw, _, query = path.partition("?")
    return {
        "type": kind,
        "path": unquote(raw),
        "raw_path": raw.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs if value is not None],
        "server": ("127.0.0.1", PORT),
        "client": ("127.0.0.1", 50000),
        "scheme": "http" if kind == "http" else "ws",
        "http_version": "1.1",
        "root_path": "",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
    }


def call(
    app: Any,
    method: str,
    path: str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes | Iterable[bytes] | None = None,
    *,
    ends: bool = True,
    length: bool = True,
) -> Answer:
    """One request; `ends` says whether its body ever does, `length` whether it announces how long it is."""
    chunks = [body] if isinstance(body, bytes) else list(body or ())
    scope = {**scope_of("http", path, headers), "method": method}
    if body is not None:
        size = str(sum(map(len, chunks)))
        scope["headers"].append((b"content-length", size.encode()) if length else (b"transfer-encoding", b"chunked"))
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if chunks:
            chunk = chunks.pop(0)
            return {"type": "http.request", "body": chunk, "more_body": bool(chunks) or not ends}
        if not ends:
            await asyncio.Event().wait()
        if body is None and not ended:
            ended.append(True)
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.disconnect"}

    ended: list[bool] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert len(starts) == 1, sent
    assert not sent[-1].get("more_body"), "the answer has an end"
    pairs = [(name.decode(), value.decode("latin-1")) for name, value in starts[0]["headers"]]
    data = b"".join(message.get("body", b"") for message in sent[sent.index(starts[0]) :])
    return Answer(starts[0]["status"], pairs, data)


def handshake(
    app: Any,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    *,
    path: str = "/api/v1/ws",
    denial: bool = True,
) -> list[dict[str, Any]]:
    """A websocket's handshake: what the server says to it."""
    scope = {**scope_of("websocket", path, headers), "subprotocols": []}
    if denial:
        scope["extensions"] = {"websocket.http.response": {}}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent
