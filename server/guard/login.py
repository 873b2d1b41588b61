"""The routes by which a page of ours changes the token for a cookie, and gives it back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response

from weft.server.answering import StrictRoute
from weft.server.guard.session import PATH, cookie_for, let_in
from weft.server.problems import ApiError
from weft.server.tokens import same_token


def session_routes(token: str | None) -> APIRouter:
    """`POST /api/v1/session` with the token, in the body or as `Authorization: Bearer`; `DELETE` logs out.

    Args:
        token: the server's; None when none is needed, and then nothing is set.
    """
    router = APIRouter(tags=["session"], route_class=StrictRoute)

    @router.post(PATH, status_code=204, response_class=Response)
    async def log_in(request: Request, body: Annotated[dict[str, Any] | None, Body()] = None) -> Response:
        """Set the cookie that lets a browser in."""
        if token is None:
            return Response(status_code=204)
        told = (body or {}).get("token")
        if not let_in(request.scope["headers"], token) and not (isinstance(told, str) and same_token(told, token)):
            raise ApiError("no_token", "The token is missing, or not this server's.")
        return _with_cookie(request, token)

    @router.delete(PATH, status_code=204, response_class=Response)
    async def log_out(request: Request) -> Response:
        """Remove the cookie."""
        return _with_cookie(request, "")

    return router


def _with_cookie(request: Request, token: str) -> Response:
    schemes = request.url.scheme, request.headers.get("origin", "").partition(":")[0]
    return Response(status_code=204, headers={"Set-Cookie": cookie_for(token, secure="https" in schemes)})
