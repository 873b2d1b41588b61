"""The application: every endpoint behind the guard."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, WebSocket
from starlette.types import ASGIApp

from weft.server.access import Access
from weft.server.answering import answer_problems
from weft.server.api import documents, files, jobs, pages, queue, system
from weft.server.api.deck import Deck
from weft.server.api.description import REFUSALS, completed
from weft.server.api.shortcut import Shortcut
from weft.server.guard.guard import Guard
from weft.server.guard.login import session_routes
from weft.server.guard.rules import Rules
from weft.server.live.sockets import follow
from weft.server.scrub import Scrubber

VERSION = "1"


def build(deck: Deck, rules: Rules, scrub: Scrubber, *, debug: bool = False) -> ASGIApp:
    """The server as an ASGI application.

    Args:
        rules: what the guard lets in.
        scrub: takes paths and secrets out of answers.
        debug: answers to what nobody expected say where in the code it was.
    """
    app = interface(rules.token)
    app.state.deck = deck
    answer_problems(app, scrub, debug=debug)

    @app.websocket("/api/v1/ws")
    async def events(socket: WebSocket) -> None:
        deck.metrics.client_came()
        try:
            await follow(socket, deck.hub, deck.fetch)
        finally:
            deck.metrics.client_left()

    guarded: ASGIApp = Guard(Shortcut(app), rules, scrub)
    return Access(guarded, deck.metrics)


def interface(token: str | None = None) -> FastAPI:
    """Every endpoint, without a server behind it.

    Args:
        token: what callers need.
    """
    app = _Application(
        title="Weft",
        version=VERSION,
        description="Workflows that make images with diffusion models: queued, run, followed.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # FastAPI's pages come from other machines
        redoc_url=None,
        responses=REFUSALS,
        redirect_slashes=False,  # what is not there is refused as everything is
    )
    rooms = (jobs, queue, documents, files, system, pages)
    for router in (*(room.router for room in rooms), session_routes(token)):
        app.include_router(router)
    return app


class _Application(FastAPI):
    """One whose description says how it refuses."""

    def openapi(self) -> dict[str, Any]:
        """The interface in OpenAPI's form."""
        if self.openapi_schema is None:
            self.openapi_schema = completed(super().openapi())
        return self.openapi_schema
