"""A whole server without a socket: its parts as `weft serve` has them, called in this process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from tests.server.answer import Answer
from weft.server.problems import MEDIA_TYPE, TITLES
from weft.server.serving import Serving
from weft.server.settings import Settings, make_folders

PORT = 9338
HOST = f"127.0.0.1:{PORT}"
OWN = f"http://{HOST}"
TOKEN = "t0ken-" + "x" * 40
JSON = {"content-type": "application/json"}
ANSWER_SECONDS = 60.0
CHANGING = ("POST", "PUT", "PATCH", "DELETE")
_OTHER_CODES = {"worker_died": 503, "unavailable": 503}
"""Codes that are also those of jobs, or of stores, with a status of their own in answers."""

T = TypeVar("T")


@dataclass(frozen=True)
class Endpoint:
    """One operation of the interface, as OpenAPI describes it."""

    method: str
    path: str
    operation: Mapping[str, Any]
    schemas: Mapping[str, Any] = field(hash=False, compare=False, default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def address(self, **names: str) -> str:
        """The path with these in it, encoded; a name that is not given is `x`."""
        found = self.path
        for name in self.names("path"):
            found = found.replace(f"{{{name}}}", quote(names.get(name, "x"), safe="", errors="surrogatepass"))
        return found

    def names(self, place: str) -> list[str]:
        """Its parameters in `path`, `query` or `header`."""
        return [item["name"] for item in self.operation.get("parameters", []) if item["in"] == place]

    @property
    def body(self) -> Mapping[str, Any] | None:
        """The schema of its JSON body."""
        content = self.operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema")
        return None if schema is None else self.resolved(schema)

    def resolved(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """A schema with its reference followed."""
        while "$ref" in schema:
            schema = self.schemas[schema["$ref"].rpartition("/")[2]]
        return schema


class World:
    """A server on a folder of its own, in an event loop of its own.

    Args:
        folder: for everything.
        settings: as `Settings` has them.
    """

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.settings = Settings.model_construct(data=self.data, min_free_mib=0, **settings)
        make_folders(self.settings)
        self._stack = contextlib.AsyncExitStack()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._serving = Serving(self.settings)
        self.deck = self.run(self._stack.enter_async_context(self._serving._parts(*self._serving._open_store())))
        self.app = self._serving._app(self.deck, PORT)
        self.endpoints = self._endpoints()

    def other(self, *, token: str | None = None, **settings: Any) -> Any:
        """The same server's application for other settings, or as it is with a token."""
        scrub = self.deck.dispatcher.means.scrub
        try:
            return Serving(self.settings.model_copy(update=settings), token=token)._app(self.deck, PORT)
        finally:
            self.deck.dispatcher.means.scrub = scrub

    def close(self) -> None:
        """End it, with its workers."""
        self._serving._stops = 2  # nobody waits for what runs
        self.run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the server's loop."""
        return self.start(work).result(ANSWER_SECONDS)

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin something in the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, method: str, path: str, *arguments: Any, **keywords: Any) -> Answer:
        """One request; see `ask`."""
        app = keywords.pop("app", self.app)
        return self.run(ask(app, method, path, *arguments, **keywords))

    def post(self, path: str, data: Any, headers: Mapping[str, str] | None = None) -> Answer:
        """Post JSON."""
        return self.call("POST", path, {**JSON, **(headers or {})}, json.dumps(data).encode())

    def job(self, nodes: Mapping[str, Any], **said: Any) -> dict[str, Any]:
        """Run a job to its end."""
        answer = self.post("/api/v1/jobs", {"workflow": {"weft": 1, "nodes": nodes}, **said}, {"prefer": "wait=60"})
        assert answer.status == 200, answer.text
        ended: dict[str, Any] = answer.json
        return ended

    def _endpoints(self) -> list[Endpoint]:
        """Every operation that OpenAPI lists."""
        said = self.call("GET", "/api/v1/openapi.json").json
        schemas = said.get("components", {}).get("schemas", {})
        return [
            Endpoint(method.upper(), path, operation, schemas)
            for path, item in said["paths"].items()
            for method, operation in item.items()
        ]


async def ask(
    app: Any,
    method: str,
    path: str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    body: bytes | Iterable[bytes] | None = None,
    *,
    breaks_off: bool = False,
    length: bool = True,
) -> Answer:
    """One request as a server hands it on, whatever is in it.

    Args:
        path: encoded, with its query.
        body: in one piece, or in several.
        breaks_off: the client goes before the body's end.
        length: whether the size of the body is announced.
    """
    chunks = [body] if isinstance(body, bytes) else list(body or ())
    scope = {**scope_of("http", path, headers), "method": method}
    if body is not None:
        size = str(sum(map(len, chunks)) + breaks_off)
        scope["headers"].append((b"content-length", size.encode()) if length else (b"transfer-encoding", b"chunked"))
    if not chunks and not breaks_off:
        chunks = [b""]
    sent: list[dict[str, Any]] = []
    ended = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if chunks:
            piece = chunks.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(chunks) or breaks_off}
        if not breaks_off:
            await ended.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            ended.set()

    async with asyncio.timeout(ANSWER_SECONDS):
        await app(scope, receive, send)
    starts = [message for message in sent if message["type"] == "http.response.start"]
    if not starts and breaks_off:
        return Answer(0, [], b"")  # to nobody
    assert len(starts) == 1, f"{method} {path[:200]}: {sent}"
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in starts[0]["headers"]]
    return Answer(starts[0]["status"], pairs, b"".join(message.get("body", b"") for message in sent))


async def shake(app: Any, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> int:
    """The handshake of a websocket: 101, or with which status it was refused."""
    scope = {**scope_of("websocket", "/api/v1/ws", headers), "subprotocols": []}
    scope["extensions"] = {"websocket.http.response": {}}
    messages = [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async with asyncio.timeout(ANSWER_SECONDS):
        await app(scope, receive, send)
    first = sent[0]
    return 101 if first["type"] == "websocket.accept" else int(first.get("status", 403))


def scope_of(kind: str, path: str, headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> dict[str, Any]:
    """What ASGI says of a request."""
    pairs = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.insert(0, ("host", HOST))
    raw, _, query = path.partition("?")
    return {
        "type": kind,
        "path": unquote(raw, errors="replace"),
        "raw_path": raw.encode("utf-8", "surrogateescape"),
        "query_string": query.encode("utf-8", "surrogateescape"),
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs],
        "server": ("127.0.0.1", PORT),
        "client": ("127.0.0.1", 50000),
        "scheme": "http" if kind == "http" else "ws",
        "http_version": "1.1",
        "root_path": "",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
    }


def assert_refusal(answer: Answer, what: object = "") -> None:
    """It is a refusal in the form that the interface promises."""
    assert 400 <= answer.status < 500 or answer.status == 507, f"{what}: {answer.text[:2000]}"
    assert_problem(answer, what)


def assert_problem(answer: Answer, what: object = "") -> None:
    """It has the form of a problem, with a code that is known."""
    assert answer["content-type"] == MEDIA_TYPE, f"{what}: {answer.text[:2000]}"
    said = answer.json
    assert said["status"] == answer.status, f"{what}: {said}"
    assert said["type"] == f"/problems/{said['code']}", f"{what}: {said}"
    known = TITLES[said["code"]][0] if said["code"] in TITLES else _OTHER_CODES[said["code"]]
    assert known == answer.status, f"{what}: {said}"
    assert said["title"], f"{what}: {said}"
    assert said["detail"], f"{what}: {said}"
    assert isinstance(said["problems"], list), f"{what}: {said}"


def watched(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below a folder with what is in it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path.relative_to(folder).as_posix(), path.read_bytes()
