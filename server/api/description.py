"""What the interface's description in OpenAPI says of refusals, which is the same of every endpoint."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from weft.graphs.problems import Problem
from weft.server.problems import MEDIA_TYPE

_REF = "#/components/schemas/{model}"


class Refusal(BaseModel):
    """How the server says no (RFC 9457). Programs branch on `code`."""

    type: str = Field(description="/problems/ and the code.")
    title: str
    status: int
    detail: str = Field(description="Full sentences for a person.")
    code: str
    problems: list[Problem] = Field(description="Each thing that is wrong.")


_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(model="Refusal")}}}
REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request is refused.", "content": _CONTENT},
    "5XX": {"description": "The server cannot do it, or not now.", "content": _CONTENT},
}
"""What every endpoint may answer, besides what it is for."""
IMAGE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/*", "application/octet-stream")
        },
    }
}
"""The body of a request that brings an image."""


def with_refusals(described: dict[str, Any]) -> dict[str, Any]:
    """The description with the schemas of refusals, which `REFUSALS` refers to."""
    schema = Refusal.model_json_schema(ref_template=_REF)
    schemas = described.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(schema.pop("$defs", {}))
    schemas["Refusal"] = schema
    return described
