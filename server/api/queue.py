"""The queue as a whole, and what a run would do."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from weft.graphs.problems import Problem, WorkflowError
from weft.server.answering import StrictRoute
from weft.server.api.deck import Deck, deck_of
from weft.server.api.description import answers
from weft.server.api.shapes import CheckRequest, WhyRequest
from weft.server.problems import ApiError, told

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["queue"])


async def queue_data(deck: Deck) -> dict[str, Any]:
    """How the queue is."""
    counts = await deck.desk.counts()
    return {
        "paused": await deck.desk.paused(),
        "queued": counts.get("queued", 0),
        "running": counts.get("running", 0),
        "workers": deck.dispatcher.status(),
    }


@router.get("/queue", responses=answers("Queue"))
async def queue(request: Request) -> Response:
    """Whether it is paused, how many jobs wait and run, and the workers."""
    return JSONResponse(await queue_data(deck_of(request)))


@router.post("/queue/pause", responses=answers("Queue"))
async def pause(request: Request) -> Response:
    """Start no more jobs; those that run go on. It stays so when the server is started again."""
    return await _paused(request, True)


@router.post("/queue/resume", responses=answers("Queue"))
async def resume(request: Request) -> Response:
    """Start jobs again."""
    return await _paused(request, False)


async def _paused(request: Request, paused: bool) -> Response:
    deck = deck_of(request)
    await deck.desk.pause(paused)
    deck.dispatcher.wake()
    deck.hub.queue_changed()
    return JSONResponse(await queue_data(deck))


@router.post("/check", responses=answers("Problems"))
async def check(request: Request, said: CheckRequest) -> Response:
    """All that is wrong with a workflow."""
    found = await deck_of(request).ask("prepare", said.model_dump())
    return JSONResponse({"problems": _told(request, found)})


@router.post("/plan", responses=answers("Plan"))
async def plan(request: Request, said: CheckRequest) -> Response:
    """What a run would do now. Nothing runs."""
    found: dict[str, Any] = await deck_of(request).ask("plan", said.model_dump())
    deck = deck_of(request)
    nodes = deck.scrub.data(found["nodes"])  # what changed may be a file
    return JSONResponse({**found, "nodes": nodes, "problems": _told(request, found)})


@router.post("/why", responses=answers("Why"))
async def why(request: Request, said: WhyRequest) -> Response:
    """Why a node would run, compared with its nearest earlier result; or had to, where it is cached. Nothing runs."""
    deck = deck_of(request)
    found = _sound(await deck.ask("why", said.model_dump()))
    return JSONResponse(deck.scrub.data(found["why"]))


@router.post("/python", responses=answers("PythonText"))
async def python(request: Request, said: CheckRequest) -> Response:
    """A workflow as Python: the calls that make the same document. `targets` say nothing here.

    A workflow that would not start can be written, too: `problems` has what a check says of it.
    """
    found = await deck_of(request).ask("python", said.model_dump())
    if "python" not in found:
        _sound(found)
    return JSONResponse({"python": found["python"], "problems": _told(request, found)})


def _sound(found: dict[str, Any]) -> dict[str, Any]:
    """An answer about a workflow, unless that has errors. Raises ApiError: 422."""
    if found["problems"]:
        problems = [Problem.model_validate(problem) for problem in found["problems"]]
        raise ApiError.of_workflow(WorkflowError(problems), "so there is no answer")
    return found


def _told(request: Request, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Problems as clients are told of them: they name folders of the server, say, by what these are for."""
    scrub = deck_of(request).scrub
    return [told(problem, scrub) for problem in found["problems"]]


@router.get("/nodes", responses=answers("NodeType", listed=True))
async def nodes(request: Request) -> Response:
    """The nodes there are."""
    return await _kept(request, "nodes")


@router.get("/types", responses=answers("TypeTable"))
async def types(request: Request) -> Response:
    """Which types of outputs fit which types of inputs."""
    return await _kept(request, "types")


@router.get("/schema")
async def schema(request: Request) -> Response:
    """The JSON Schema of a document."""
    return await _kept(request, "schema")


async def _kept(request: Request, question: str) -> Response:
    """An answer that stays the same while the server runs, with its etag."""
    deck = deck_of(request)
    kept = deck.kept
    if question not in kept:
        answer = await deck.ask(question)
        text = json.dumps(answer["nodes"] if question == "nodes" else answer)
        kept[question] = text, f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    text, etag = kept[question]
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"ETag": etag})
    return Response(text, media_type="application/json", headers={"ETag": etag, "Cache-Control": "no-cache"})
