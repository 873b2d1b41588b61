"""Documents: the examples, saved workflows with their versions, and workflows out of pictures and documents."""

from __future__ import annotations

import asyncio
import json
from email.utils import formatdate
from typing import Annotated, Any

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import JSONResponse

from weft.server.answering import StrictRoute
from weft.server.api.deck import deck_of
from weft.server.api.description import answers
from weft.server.api.jobs import queue
from weft.server.api.refusing import answered, quoted
from weft.server.api.shapes import Document, Example, Imported, Job, Listed, RunRequest, Version
from weft.server.documents import saved
from weft.server.documents.etags import etag_of, matches
from weft.server.documents.examples import all_examples, example, example_image
from weft.server.documents.importing import ImportedDocument, import_document
from weft.server.documents.names import checked
from weft.server.documents.reading import read_document
from weft.server.files.naming import named_in
from weft.server.guard.bodies import JSON, media_type

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["documents"])

_REVALIDATE = {"Cache-Control": "no-cache"}
_ANY_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/*", "application/octet-stream")
        }
        | {JSON: {"schema": {"$ref": "#/components/schemas/Document"}}},
    }
}


def _document(request: Request, data: bytes, etag: str, headers: dict[str, str]) -> Response:
    """A document, or 304 for who has it."""
    headers = {"ETag": quoted(etag), **_REVALIDATE, **headers}
    if matches(request.headers.get("if-none-match", "").replace("W/", ""), etag):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=JSON, headers=headers)


# -- examples


@router.get("/examples", response_model=list[Example])
async def examples() -> Response:
    """The workflows that come with Weft."""
    found = await asyncio.to_thread(all_examples)
    names = ("name", "title", "description", "image")
    return JSONResponse([{name: getattr(item, name) for name in names} for item in found])


@router.get("/examples/{name}", responses=answers("Document"))
async def one_example(request: Request, name: str) -> Response:
    """The document of an example."""
    with answered():
        data = await asyncio.to_thread(example, name)
    return _document(request, data, etag_of(data), {})


@router.get(
    "/examples/{name}/image",
    response_class=Response,
    responses={200: {"content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def example_picture(request: Request, name: str) -> Response:
    """A small picture of what an example makes."""
    with answered():
        data = await asyncio.to_thread(example_image, name)
    headers = {"ETag": quoted(etag_of(data)), **_REVALIDATE}
    if matches(request.headers.get("if-none-match", "").replace("W/", ""), etag_of(data)):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="image/webp", headers=headers)


# -- saved workflows


@router.get("/workflows", response_model=list[Listed])
async def workflows(request: Request) -> Response:
    """The saved workflows, by name. One that was edited by hand and cannot be read has a `problem`."""
    found = await asyncio.to_thread(deck_of(request).workflows.listing)
    return JSONResponse([_listed(item) for item in found])


@router.get("/workflows/{name}", responses=answers("Document"))
async def workflow(
    request: Request,
    name: str,
    version: Annotated[str | None, Query(max_length=12, description="An earlier one, by its number.")] = None,
) -> Response:
    """A saved workflow, or an earlier version of one."""
    with answered():
        found = await asyncio.to_thread(deck_of(request).workflows.read, name, version)
    headers = {"Last-Modified": formatdate(found.modified, usegmt=True)}
    return _document(request, found.data, found.etag, headers)


@router.get("/workflows/{name}/versions", response_model=list[Version])
async def versions(request: Request, name: str) -> Response:
    """The earlier versions, the latest first. They outlive the workflow."""
    with answered():
        found = await asyncio.to_thread(deck_of(request).workflows.versions, name)
    return JSONResponse([{**_listed(item), "version": item.version} for item in found])


@router.put("/workflows/{name}", response_model=Listed, responses={201: {"model": Listed}})
async def save(request: Request, name: str, document: Annotated[Document, Body()]) -> Response:
    """Save a workflow. `If-Match` names the one that was read; it is needed where there is one."""
    deck, headers = deck_of(request), request.headers
    await deck.reserve(named_in(document))
    with answered():
        kept = await asyncio.to_thread(
            deck.workflows.write, name, document, headers.get("if-match"), headers.get("if-none-match")
        )
    deck.hub.workflow_changed(kept.name, quoted(kept.etag))
    listed = saved.Listed(kept.name, kept.workflow.title, kept.modified, kept.etag)
    return JSONResponse(_listed(listed), 201 if kept.created else 200, {"ETag": quoted(kept.etag)})


@router.delete("/workflows/{name}", status_code=204, response_class=Response)
async def delete(request: Request, name: str) -> Response:
    """Delete a workflow; its versions stay, and it becomes the latest of them."""
    deck = deck_of(request)
    with answered():
        await asyncio.to_thread(deck.workflows.delete, name, request.headers.get("if-match"))
    deck.hub.workflow_changed(checked(name), None)
    return Response(status_code=204)


@router.post("/workflows/{name}/run", status_code=202, response_model=Job)
async def run(request: Request, name: str, said: RunRequest | None = None) -> Response:
    """Queue a job of a saved workflow; `set` gives values to its parameters."""
    return await queue(request, await deck_of(request).saved(name), said or RunRequest.model_validate({}))


def _listed(item: saved.Listed) -> dict[str, Any]:
    data = {"name": item.name, "title": item.title, "modified": item.modified, "etag": quoted(item.etag)}
    return data if item.problem is None else {**data, "problem": item.problem}


# -- documents of others


@router.post("/import", response_model=Imported, openapi_extra=_ANY_BODY)
async def import_any(request: Request) -> Response:
    """The workflow in a picture of Weft's or of another program, or in a document. Nothing is saved."""
    is_json = media_type(request.headers.get("content-type", "")) == JSON
    data = await request.json() if is_json else await request.body()
    with answered("nothing was imported"):
        if is_json:
            found = ImportedDocument(await asyncio.to_thread(read_document, json.dumps(data)), ())
        else:
            found = await asyncio.to_thread(import_document, data)
    return Response(json.dumps({"workflow": found.workflow.to_dict(), "notes": list(found.notes)}), media_type=JSON)
