"""Bodies of requests: JSON of one shape, or a refusal that says where it is wrong."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from weft.server.problems import ApiError

M = TypeVar("M", bound=BaseModel)
_MOST_PROBLEMS = 100


async def read_body(request: Request, model: type[M]) -> tuple[bytes, M]:
    """The body of a request and what it says.

    Raises:
        ApiError: 400 where it is no JSON, 422 where it has another shape; all that is wrong at once.
    """
    raw = await request.body()
    try:
        data = json.loads(raw, parse_constant=_constant)
    except json.JSONDecodeError as error:
        detail = f"Line {error.lineno}, column {error.colno}: {error.msg}."
        raise ApiError(400, "not_json", "The body is no JSON", detail) from None
    except (ValueError, RecursionError) as error:
        detail = "It nests too deep." if isinstance(error, RecursionError) else str(error)
        raise ApiError(400, "not_json", "The body is no JSON", detail) from None
    try:
        return raw, model.model_validate(data)
    except ValidationError as error:
        raise ApiError(422, "bad_request", "The body has another shape", problems=_problems(error)) from None


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI is told of a body that is read by `read_body`."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _problems(error: ValidationError) -> list[dict[str, Any]]:
    found = []
    for item in error.errors(include_url=False, include_context=False)[:_MOST_PROBLEMS]:
        given = repr(item["input"])
        found.append(
            {
                "severity": "error",
                "code": "bad_request",
                "input": ".".join(map(str, item["loc"])),
                "message": f"{item['msg']}.",
                "given": given if len(given) <= 200 else given[:200] + " ...",
            }
        )
    return found
