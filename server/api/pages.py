"""Pages for people: that the server runs, and what its interface is. They need nothing from other machines."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from weft.server.answering import StrictRoute
from weft.server.problems import ApiError

router = APIRouter(route_class=StrictRoute, include_in_schema=False)

_FOLDER = Path(__file__).parent / "assets"
_TYPES = {".css": "text/css", ".js": "text/javascript"}
_METHODS = ("get", "post", "put", "patch", "delete")


@router.get("/")
async def front(request: Request) -> Response:
    """That the server runs, and where to go on."""
    return _page(
        "Weft",
        "<p>The server runs. The editor is not part of this version; programs use its interface:</p><ul>"
        '<li><a href="/api/v1/docs">what can be asked</a>, for people</li>'
        '<li><a href="/api/v1/openapi.json">the same for programs</a>, in OpenAPI 3.1</li>'
        '<li><a href="/healthz">whether it is well</a>, <a href="/readyz">whether it takes jobs</a>, '
        '<a href="/metrics">figures</a></li></ul><p id="login"></p>',
    )


@router.get("/api/v1/docs")
async def docs(request: Request) -> Response:
    """Every endpoint with what it takes and gives."""
    return _page("Weft: the interface", "\n".join(_described(request.app.openapi())))


@router.get("/assets/{name}")
async def asset(request: Request, name: str) -> Response:
    """A file of the pages."""
    known = _assets().get(name)
    if known is None:
        raise ApiError("not_found", "The pages have no such file.")
    data, kind, etag = known
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=kind, headers=headers)


@cache
def _assets() -> Mapping[str, tuple[bytes, str, str]]:
    found = {}
    for path in _FOLDER.iterdir():
        if path.suffix in _TYPES:
            data = path.read_bytes()
            found[path.name] = data, _TYPES[path.suffix], f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    return found


def _page(title: str, body: str) -> Response:
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/assets/page.css"><script src="/assets/login.js" defer></script></head>'
        f"<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )
    return Response(text, media_type="text/html", headers={"Cache-Control": "no-cache"})


# -- the interface in words


def _described(openapi: Mapping[str, Any]) -> Iterator[str]:
    yield f"<p>{escape(openapi['info']['description'])} Errors are <code>application/problem+json</code> with every "
    yield "problem at once. Events come by <code>GET /api/v1/ws</code>, a websocket.</p>"
    by_tag: dict[str, list[str]] = {}
    for path, item in openapi["paths"].items():
        for method in _METHODS:
            if method in item:
                tag = next(iter(item[method].get("tags", ["other"])))
                by_tag.setdefault(tag, []).append("\n".join(_endpoint(method, path, item[method])))
    for tag, texts in by_tag.items():
        yield f"<h2>{escape(tag)}</h2>"
        yield from texts
    yield "<h2>shapes</h2>"
    for name, schema in openapi.get("components", {}).get("schemas", {}).items():
        yield f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{escape(schema.get("description", ""))}</p>'
        yield "<table>"
        for field, about in schema.get("properties", {}).items():
            words = _words(about)
            yield f"<tr><td><code>{escape(field)}</code></td><td>{words}</td>"
            yield f"<td>{escape(_description(about))}</td></tr>"
        yield "</table>"


def _endpoint(method: str, path: str, about: Mapping[str, Any]) -> Iterator[str]:
    yield f"<section><h3><code>{method.upper()} {escape(path)}</code></h3>"
    yield f"<p>{escape(about.get('description', about.get('summary', '')))}</p><ul>"
    for item in about.get("parameters", ()):
        place = f"<code>{escape(item['name'])}</code> in the {escape(item['in'])}"
        yield f"<li>{place}: {_words(item['schema'])} {escape(item.get('description', ''))}</li>"
    for kind, content in about.get("requestBody", {}).get("content", {}).items():
        yield f"<li>takes {escape(kind)}: {_words(content.get('schema', {}))}</li>"
    for status, answer in about.get("responses", {}).items():
        kinds = [_words(content.get("schema", {})) for content in answer.get("content", {}).values()]
        yield f"<li>answers {escape(status)}{': ' if any(kinds) else ''}{', '.join(filter(None, kinds))}</li>"
    yield "</ul></section>"


def _description(schema: Mapping[str, Any] | bool) -> str:
    return "" if isinstance(schema, bool) else str(schema.get("description", ""))


def _words(schema: Mapping[str, Any] | bool) -> str:
    """A schema in a few words."""
    if isinstance(schema, bool):
        return "anything"
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(filter(None, map(_words, schema[key])))
    if "enum" in schema:
        return " or ".join(escape(str(item)) for item in schema["enum"])
    if "const" in schema:
        return escape(str(schema["const"]))
    kinds = schema.get("type", "")
    kind = kinds if isinstance(kinds, str) else " or ".join(kinds)
    if kind == "array":
        return f"array of {_words(schema.get('items', {})) or 'anything'}"
    bounds = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    return escape(" ".join([kind, *bounds]).strip())
