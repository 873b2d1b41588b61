"""What the interface's description in OpenAPI says beside what the endpoints' signatures do.

Schemas of answers are made when somebody asks for the description, so that a start of the server does not pay for them.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from weft.graphs.problems import Problem
from weft.server.problems import MEDIA_TYPE

_REF = "#/components/schemas/{model}"
_DOCUMENT = "Document"


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


def answers(
    schema: str, *, status: int = 200, listed: bool = False, kinds: tuple[str, ...] = ("application/json",)
) -> dict[int | str, dict[str, Any]]:
    """What an endpoint answers, for its `responses`.

    Args:
        schema: the name of a schema; "" for bytes.
        listed: a list of these.
        kinds: media types.
    """
    one: dict[str, Any] = {"$ref": _REF.format(model=schema)} if schema else {"type": "string", "format": "binary"}
    content = {kind: {"schema": {"type": "array", "items": one} if listed else one} for kind in kinds}
    return {status: {"description": "Successful Response", "content": content}}


def completed(described: dict[str, Any]) -> dict[str, Any]:
    """The description with all schemas that `answers` and `REFUSALS` refer to, and those of the websocket."""
    from pydantic.json_schema import models_json_schema

    from weft.server.api.answers import ANSWERS
    from weft.server.api.shapes import DOCUMENT
    from weft.server.api.streams import OTHERS, event_schemas

    schemas: dict[str, Any] = described.setdefault("components", {}).setdefault("schemas", {})
    models = [(model, "validation") for model in (*ANSWERS, *OTHERS, Refusal)]
    _, made = models_json_schema(models, ref_template=_REF)  # type: ignore[arg-type]
    schemas.update(made["$defs"])
    schemas.update(event_schemas(_REF))
    schemas.update(_document_schemas())
    problem = schemas["Problem"]
    problem["required"] = list(problem["properties"])  # answers leave nothing of it out
    described["components"]["schemas"] = dict(sorted(schemas.items()))
    filled: dict[str, Any] = _filled(described, DOCUMENT)
    return filled


def _document_schemas() -> dict[str, Any]:
    """The form of a document: `Document`, and its parts as `DocumentNode` and so on."""
    from weft.graphs.schema import document_schema

    schema = document_schema()
    del schema["$schema"]
    parts = schema.pop("$defs")
    named = {_DOCUMENT: schema} | {f"{_DOCUMENT}{name.capitalize()}": part for name, part in parts.items()}

    def placed(item: Any) -> Any:
        if isinstance(item, dict):
            if isinstance(place := item.get("$ref"), str):
                return {"$ref": _REF.format(model=f"{_DOCUMENT}{place.rpartition('/')[2].capitalize()}")}
            return {name: placed(part) for name, part in item.items()}
        return [placed(part) for part in item] if isinstance(item, list) else item

    found: dict[str, Any] = placed(named)
    return found


def _filled(item: Any, document: str) -> Any:
    """The same with `Document` where a body or a field is one, and without defaults that are no value of their type.

    pydantic gives a field that may be absent, and never is null, null as its default.
    """
    if isinstance(item, list):
        return [_filled(part, document) for part in item]
    if not isinstance(item, dict):
        return item
    if item.get("format") == document:
        about = {"description": item["description"]} if "description" in item else {}
        return {"$ref": _REF.format(model=_DOCUMENT), **about}
    return {name: _filled(part, document) for name, part in item.items() if not (name == "default" and part is None)}
