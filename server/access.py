"""What is taken down about each request: its id for the log's lines, its route, status and duration for the metrics."""

from __future__ import annotations

import logging
import secrets
import time
from typing import TYPE_CHECKING, Any

from weft.server.logs import log_context
from weft.server.metrics import Metrics

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_log = logging.getLogger(__name__)
REQUEST_ID = b"x-request-id"


class Access:
    """ASGI middleware around everything else: requests that are refused count too.

    The server draws each request's id. One that a client sends means nothing, or it could write others' lines.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        id = secrets.token_hex(8)
        status = 0
        started = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), (REQUEST_ID, id.encode())]}
            elif message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.close" and not status:
                status = 403
            await send(message)

        with log_context(request=id):
            try:
                await self._app(scope, receive, noting)
            finally:
                seconds = time.perf_counter() - started
                method = scope.get("method", "GET")
                self._metrics.http(method, route_of(scope), status, None if status == 101 else seconds)
                _log.debug(
                    "request",
                    extra={
                        "method": method,
                        "route": route_of(scope),
                        "status": status,
                        "ms": round(seconds * 1000, 1),
                    },
                )


def route_of(scope: Any) -> str:
    """The template of the route that a request was for, such as `/api/v1/jobs/{id}`; "" when no route has it."""
    return str(getattr(scope.get("route"), "path", ""))
