"""The way of the requests that come most often: right ones go to their function at once, others through FastAPI.

FastAPI looks for the route, solves what the function depends on and checks the body in rounds that take half of the
time of a `POST /api/v1/jobs`. What is refused is refused by FastAPI alone, in one place.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send

from weft.graphs.problems import WorkflowError
from weft.server.answering import StrictRequest
from weft.server.api import jobs
from weft.server.api.shapes import JobRequest

PATH = "/api/v1/jobs"


class Shortcut:
    """ASGI in front of an application that has the route `POST /api/v1/jobs`."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._route = next(
            route
            for router in (app, jobs.router)
            for route in router.routes
            if isinstance(route, APIRoute) and route.path == PATH and "POST" in (route.methods or ())
        )

    @property
    def routes(self) -> list[Any]:
        """Those of the application."""
        return list(self._app.routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        taken: list[Message] = []

        async def noting() -> Message:
            message = await receive()
            taken.append(message)
            return message

        request = StrictRequest(scope, noting)
        scope["app"], scope["route"] = self._app, self._route
        try:
            said = JobRequest.model_validate(await request.json())
        except (HTTPException, ValidationError):
            await self._app(scope, _again(taken, receive), send)
            return
        answer = await self._answer(request, said)
        await answer(scope, receive, send)

    async def _answer(self, request: Request, said: JobRequest) -> Any:
        try:
            return await jobs.submit(request, said)
        except Exception as error:
            kind = next(kind for kind in (HTTPException, WorkflowError, Exception) if isinstance(error, kind))
            return await self._app.exception_handlers[kind](request, error)  # type: ignore[misc]


def _again(taken: list[Message], receive: Receive) -> Receive:
    """Gives what was taken once more, and then what comes after it."""
    left = iter(taken)

    async def again() -> Message:
        message = next(left, None)
        return await receive() if message is None else message

    return again
