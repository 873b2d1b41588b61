"""FastAPI told to answer as `problems` has it: what it raises itself, what it finds wrong, and what nobody expected."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import traceback
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from weft.graphs.jsontext import read_json
from weft.graphs.limits import LIMITS, Limits
from weft.graphs.problems import Code, Problem, WorkflowError, near, shown
from weft.server.logs import current
from weft.server.problems import MEDIA_TYPE, ApiError, body_of, client_went
from weft.server.scrub import Scrubber

_log = logging.getLogger(__name__)
_MAX_PROBLEMS = 100
_MOST_FIELDS = 1000
_LARGE = 64 << 10
"""Bytes of a body that is read in a thread."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_CODES: Mapping[str, Code] = {
    "missing": "missing_input",
    "extra_forbidden": "unknown_input",
    "literal_error": "not_a_choice",
    "enum": "not_a_choice",
    "greater_than": "out_of_range",
    "greater_than_equal": "out_of_range",
    "less_than": "out_of_range",
    "less_than_equal": "out_of_range",
    "finite_number": "out_of_range",
    "string_too_long": "too_large",
    "too_long": "too_large",
    "bytes_too_long": "too_large",
}
"""pydantic's names for what can be wrong, in ours; "bad_value" for any other."""
_ALLOWED = ("expected", "ge", "gt", "le", "lt", "min_length", "max_length", "pattern", "multiple_of")


def answer_problems(app: FastAPI, scrub: Scrubber, *, debug: bool = False) -> None:
    """Have an application answer with problem+json, whatever goes wrong in it.

    Args:
        debug: answers to what nobody expected say what it was and where in the code.
    """

    def answer(error: ApiError, **more: Any) -> Response:
        body = body_of(error, scrub, **more)
        return Response(body, error.status_code, dict(error.headers or {}), MEDIA_TYPE)

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if isinstance(error, ApiError):
            return answer(error)
        known = {404: f"There is no {request.method} {request.url.path[:200]}."}
        detail = known.get(error.status_code, str(error.detail)) if error.detail == "Not Found" else str(error.detail)
        return answer(ApiError.of_status(error.status_code, detail, error.headers))

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(of_validation(error, _fields(request)))

    async def wrong_workflow(request: Request, error: Exception) -> Response:
        assert isinstance(error, WorkflowError)
        return answer(ApiError.of_workflow(error))

    async def unexpected(request: Request, error: Exception) -> Response:
        if client_went(error):
            return answer(ApiError("bad_request", "The connection ended before the body did."))
        # Starlette raises it once more after the answer; the guard knows that it has been logged.
        _log.error("a request failed in a way that nobody expected", exc_info=error)
        id = current("request")
        hint = f" under the request {id}" if id else ""
        problem = ApiError("internal_error", f"The server's log says more{hint}.")
        if not debug:
            return answer(problem)
        text = "".join(traceback.format_exception(error))
        return answer(problem, exception=scrub.secrets(repr(error)), traceback=scrub.secrets(text))

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(WorkflowError, wrong_workflow)
    app.add_exception_handler(Exception, unexpected)


class StrictRequest(Request):
    """A request whose body is read as a document is: no NaN, no repeated keys, bounds on depth and on values.

    Others are answered while a large one is read.
    """

    limits: Limits = replace(LIMITS, max_values=150_000)

    async def json(self) -> Any:
        """The body as JSON data.

        Raises:
            ApiError: 400 with the line and the column, or 413.
        """
        if not hasattr(self, "_json"):
            body = await self.body()
            large = len(body) > _LARGE
            self._json = await asyncio.to_thread(self._read, body) if large else self._read(body)
        return self._json

    def _read(self, body: bytes) -> Any:
        try:
            data = read_json(body, self.limits)
        except WorkflowError as error:
            raise ApiError.of_json(error) from None
        if _SURROGATE.search(body) and not _is_text(data):
            raise ApiError("bad_json", "Half of a surrogate pair (\\ud800 to \\udfff) stands alone; it is not text.")
        if isinstance(data, dict) and len(data) > _MOST_FIELDS:
            # Each that is not known would be told, which takes longer than to read them all.
            raise ApiError("too_large", f"The body has {len(data):,} fields; at most {_MOST_FIELDS:,} are read.")
        return data


class StrictRoute(APIRoute):
    """A route whose JSON is read strictly: `APIRouter(route_class=StrictRoute)`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


def of_validation(error: RequestValidationError, fields: Iterable[str] = ()) -> ApiError:
    """What FastAPI found wrong with a request: 400 for what is not JSON, else 422 with every field.

    Args:
        fields: names that the route knows, from which a near match is suggested.
    """
    errors: Sequence[Any] = error.errors()
    for item in errors:
        if item.get("type") == "json_invalid":
            return _not_json(item, error.body)
    problems = list(_problems(errors[:_MAX_PROBLEMS], list(fields)))
    count = len(errors)
    says = "One field of the request is wrong." if count == 1 else f"{count} fields of the request are wrong."
    return ApiError("invalid_request", says, problems=problems)


def _not_json(item: Mapping[str, Any], body: Any) -> ApiError:
    text = body if isinstance(body, str) else ""
    place = item["loc"][-1] if item["loc"] and isinstance(item["loc"][-1], int) else 0
    said = json.JSONDecodeError(str(item.get("ctx", {}).get("error", "not JSON")), text, place)
    message = f"Line {said.lineno}, column {said.colno}: not JSON: {said.msg[:1].lower()}{said.msg[1:]}."
    return ApiError("bad_json", message, problems=[Problem(code="bad_document", message=message)])


def _problems(errors: Iterable[Mapping[str, Any]], fields: Sequence[str]) -> Iterator[Problem]:
    for item in errors:
        place, *path = item["loc"] or ("body",)
        field = ".".join(map(str, path))[:200]
        code = _CODES.get(item["type"], "bad_value")
        given = item.get("input")
        # What is missing is missing from all of the rest, which need not be said again.
        quotes = code != "missing_input" and (given is None or isinstance(given, (str, int, float, bool)))
        allowed = {name: _plain(item["ctx"][name]) for name in _ALLOWED if name in item.get("ctx", {})}
        where = f"The field {shown(field)} of the {place}" if field else f"The {place}"
        says = str(item["msg"])
        got = f", not {shown(given)}" if quotes and code != "unknown_input" else ""
        yield Problem(
            code=code,
            input=field or None,
            message=f"{where}: {says[:1].lower()}{says[1:]}{got}.",
            given=_short(given) if quotes else None,
            expected=next(iter(allowed.values())) if allowed.keys() == {"expected"} else allowed or None,
            suggestion=near(str(path[-1]), fields) if code == "unknown_input" and path else None,
        )


def _is_text(data: Any) -> bool:
    """Whether all texts in JSON data can be written as UTF-8: databases and answers need it."""
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)


def _short(value: Any) -> Any:
    if isinstance(value, float) and value - value != 0:  # NaN and infinity have no JSON
        return str(value)
    return value if not isinstance(value, str) or len(value) <= 200 else shown(value, 200)


def _fields(request: Request) -> list[str]:
    """The names that a route takes: its query, its headers, and the fields of its body."""
    dependant = getattr(request.scope.get("route"), "dependant", None)
    names: list[str] = []
    for parameter in getattr(dependant, "query_params", ()):
        names.append(parameter.alias)
    for parameter in getattr(dependant, "body_params", ()):
        kind = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += [field.alias or name for name, field in kind.model_fields.items()]
        else:
            names.append(parameter.alias)
    return names
