"""`Guard`: the middleware that applies the rules to every request and handshake, and its headers to every answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from weft.server.guard.bodies import MIB, has_body
from weft.server.guard.headers import first, secured
from weft.server.guard.rules import Rules, too_large
from weft.server.logs import current
from weft.server.problems import ApiError, client_went, messages_of

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from weft.server.scrub import Scrubber

_log = logging.getLogger(__name__)
MIN_RATE = 1024
"""Bytes a second that a body must come with, in the long run."""
LINGER_BYTES = 64 * MIB
LINGER_SECONDS = 2.0
"""How much of a refused body is read and dropped: a client that still sends would lose the answer when we close."""


class Guard:
    """ASGI middleware before everything that an application does.

    What is refused never reaches the application. Other origins are never granted anything.

    Args:
        app: the application.
        rules: what is let in.
        scrub: for the words of answers.
    """

    def __init__(self, app: ASGIApp, rules: Rules, scrub: Scrubber) -> None:
        self._app = app
        self._rules = rules
        self._scrub = scrub

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._scrub, self._rules.body_seconds)
        try:
            exchange.most = self._check(scope)
        except ApiError as error:
            await exchange.refuse(error)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, exchange.send)
        else:
            await exchange.run(self._app)

    def _check(self, scope: Scope) -> int:
        server = scope.get("server") or ("", None)
        return self._rules.check(
            method=scope.get("method", "GET"),
            path=scope["path"],
            raw_path=scope.get("raw_path") or scope["path"].encode(),
            query=scope.get("query_string", b""),
            headers=scope["headers"],
            connected=str(server[0]),
        )


class _Exchange:
    """One request and its answer.

    Attributes:
        most: how many bytes the body may have.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, scrub: Scrubber, body_seconds: float) -> None:
        self.most = 0
        self._scope = scope
        self._receive = receive
        self._send = send
        self._scrub = scrub
        self._body_seconds = body_seconds
        self._began: float | None = None
        self._bytes = 0
        self._read = False
        self._started = False
        self._ended = False
        self._refusal: ApiError | None = None

    async def run(self, app: ASGIApp) -> None:
        """Let the application answer; answer in its place when its body is refused or when it fails."""
        try:
            await app(self._scope, self.receive, self.send)
        except Exception as error:
            if client_went(error):
                return
            if self._started and not self._ended:
                raise  # the server below ends the connection, so that nobody takes half an answer for a whole one
            if self._refusal is None and not self._started:
                _log.error("a request failed in a way that nobody expected", exc_info=error)
                self._refusal = ApiError("internal_error", f"The server's log says more ({current('request')}).")
        if self._refusal is not None and not self._started:
            await self.refuse(self._refusal)

    async def receive(self) -> Message:
        """The next message, as long as the body is within its limits."""
        if self._refusal is not None:
            raise self._refusal
        if self._read:
            return await self._receive()
        if self._began is None:
            self._began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(self._began + self._body_seconds + self._bytes / MIN_RATE):
                message = await self._receive()
        except TimeoutError:
            self._refusal = ApiError("slow_body", "The rest of the body did not come in time.")
            raise self._refusal from None
        self._bytes += len(message.get("body", b""))
        self._read = message["type"] != "http.request" or not message.get("more_body", False)
        if self._bytes > self.most:
            self._refusal = too_large(self.most)
            raise self._refusal
        return message

    async def send(self, message: Message) -> None:
        """Send on, with our headers; not what an application says to a body that was refused."""
        kind = message["type"]
        if self._refusal is not None and not self._started and kind.startswith("http.response."):
            return
        if kind in ("http.response.start", "websocket.http.response.start", "websocket.accept"):
            self._started = True
            store = kind == "http.response.start" and not self._scope["path"].startswith(("/api/", "/metrics"))
            message = {**message, "headers": secured(message.get("headers", ()), store=store)}
        elif kind == "http.response.body" and not message.get("more_body", False):
            self._ended = True
        await self._send(message)

    async def refuse(self, error: ApiError) -> None:
        """Answer without the application. The connection ends, since nobody reads what still comes."""
        websocket = self._scope["type"] == "websocket"
        if websocket and "websocket.http.response" not in (self._scope.get("extensions") or {}):
            await self._send({"type": "websocket.close", "code": 1008})  # before it is accepted: a bare 403
            return
        if not websocket and error.code != "slow_body":
            await self._linger()
        self._refusal = None
        start, body = messages_of(error, self._scrub)
        start["headers"].append((b"connection", b"close"))
        if websocket:
            start["type"], body["type"] = f"websocket.{start['type']}", f"websocket.{body['type']}"
        await self.send(start)
        await self.send(body)

    async def _linger(self) -> None:
        headers = self._scope["headers"]
        length = first(headers, b"content-length")
        announced = int(length) if length and length.isascii() and length.isdigit() and len(length) < 20 else 0
        if (
            self._read
            or not has_body(length, first(headers, b"transfer-encoding"))
            or first(headers, b"expect") is not None  # it asks before it sends
            or announced > LINGER_BYTES
        ):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while self._bytes <= LINGER_BYTES:
                    message = await self._receive()
                    self._bytes += len(message.get("body", b""))
                    if message["type"] != "http.request" or not message.get("more_body", False):
                        return
