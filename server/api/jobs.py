"""Jobs: submitted, looked at, moved, ended, followed."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from weft.server.answering import StrictRoute
from weft.server.api.deck import Deck, deck_of, missing
from weft.server.api.description import answers
from weft.server.api.reasons import reasons
from weft.server.api.shapes import Job, JobRequest, MoveRequest, RunRequest, job_data
from weft.server.live.listener import Listener
from weft.server.problems import ApiError
from weft.server.store import records
from weft.server.store.protocol import Conflict, Missing

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["jobs"])
MOST_LISTED = 200
MOST_WAIT = 300.0


@router.post("/jobs", status_code=202, response_model=Job)
async def submit(request: Request, said: JobRequest) -> Response:
    """Queue a job. It is on disk before this answers."""
    if (said.workflow is None) == (said.saved is None):
        raise ApiError("invalid_request", "Give one of `workflow` and `saved`.")
    workflow = said.workflow
    if workflow is None:
        workflow = await deck_of(request).saved(said.saved or "")
    return await queue(request, workflow, said)


async def queue(request: Request, workflow: dict[str, Any], said: RunRequest) -> Response:
    """Queue a job of a workflow, and answer as the client prefers."""
    deck, raw = deck_of(request), await request.body()
    ready = await deck.prepared({"workflow": workflow, "set": said.set, "targets": said.targets})
    job, _ = await deck.submit(
        records.Request(
            document=ready["document"],
            targets=tuple(said.targets),
            priority=said.priority,
            title=said.title or _line(ready["title"]),
            tags=tuple(said.tags),
            slot=said.slot,
            model=ready["model"],
            key=_key(request),
            digest=hashlib.sha256(request.url.path.encode() + b"\0" + raw).hexdigest(),
        )
    )
    return await _answered(request, deck, job)


async def _answered(request: Request, deck: Deck, job: records.Job) -> Response:
    headers = {"Location": f"/api/v1/jobs/{job.id}"}
    wait = re.search(r"\bwait=(\d{1,4})\b", request.headers.get("prefer", ""))
    if wait is not None:
        ended = await deck.ended(job.id, min(float(wait[1]), MOST_WAIT))
        if ended is not None:
            return JSONResponse(job_data(ended), 200, headers | {"Preference-Applied": f"wait={wait[1]}"})
    return JSONResponse(job_data(job), 202, headers)


def _line(title: str) -> str:
    """A document's title as one of a job, which has no control characters and 200 others at most."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f]", " ", title).split())[:200]


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= 200:
        raise ApiError("bad_request", "An Idempotency-Key has 1 to 200 characters.")
    return key


@router.get("/jobs", responses=answers("JobPage"))
async def jobs(
    request: Request,
    state: records.State | None = None,
    tag: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Response:
    """Jobs, newest first."""
    if not 1 <= limit <= MOST_LISTED:
        raise ApiError("invalid_request", f"limit is 1 to {MOST_LISTED}.")
    found = await deck_of(request).desk.list(state=state, tag=tag, limit=limit + 1, before=cursor)
    more = found[limit - 1].id if len(found) > limit else None
    return JSONResponse({"jobs": [job_data(job) for job in found[:limit]], "next": more})


@router.get("/jobs/{id}", response_model=Job)
async def job(request: Request, id: str) -> Response:
    """One job."""
    with missing(id):
        return JSONResponse(job_data(await deck_of(request).desk.get(id)))


@router.get("/jobs/{id}/workflow", responses=answers("Document"))
async def workflow(request: Request, id: str) -> Response:
    """The document that it runs."""
    with missing(id):
        return Response(await deck_of(request).desk.document(id), media_type="application/json")


@router.get("/jobs/{id}/why", responses=answers("JobReasons"))
async def why(request: Request, id: str) -> Response:
    """Why its nodes ran: what was other than when they ran last."""
    deck = deck_of(request)
    with missing(id):
        await deck.desk.get(id)
        texts = await _states(deck, id, 0)
    return JSONResponse({"nodes": reasons(map(json.loads, texts))})


@router.post("/jobs/{id}/cancel", response_model=Job)
async def cancel(request: Request, id: str) -> Response:
    """End a job; one that has ended stays as it is."""
    return JSONResponse(job_data(await deck_of(request).cancel(id)))


@router.post("/jobs/{id}/retry", status_code=202, response_model=Job)
async def retry(request: Request, id: str) -> Response:
    """A new job of the same document."""
    deck = deck_of(request)
    with missing(id):
        before = await deck.desk.get(id)
        document = await deck.desk.document(id)
    new, _ = await deck.submit(
        records.Request(
            document, before.targets, before.priority, before.title, before.tags, before.slot, before.model,
            _key(request), hashlib.sha256(f"retry {id}".encode()).hexdigest(),
        )
    )  # fmt: skip
    return await _answered(request, deck, new)


@router.patch("/jobs/{id}", response_model=Job)
async def move(request: Request, id: str, said: MoveRequest) -> Response:
    """Another place in the queue."""
    if (said.priority is None) == (said.before is None):
        raise ApiError("invalid_request", "Give one of `priority` and `before`.")
    deck = deck_of(request)
    try:
        with missing(id):
            moved = await deck.desk.move(id, priority=said.priority, before=said.before)
    except Conflict as error:
        raise ApiError("conflict", str(error)) from None
    deck.hub.queue_changed()
    deck.dispatcher.wake()
    return JSONResponse(job_data(moved))


@router.delete("/jobs/{id}", status_code=204)
async def delete(request: Request, id: str) -> Response:
    """Remove a job that has ended, with its events; files that nothing else names go too."""
    try:
        with missing(id):
            files = await deck_of(request).desk.delete(id)
    except Conflict as error:
        raise ApiError("conflict", str(error)) from None
    await deck_of(request).release(files)
    return Response(status_code=204)


@router.get("/jobs/{id}/events", responses=answers("EventPage"))
async def events(request: Request, id: str, since: int = 0) -> Response:
    """State events from a number on; as a stream that ends with the job for who accepts `text/event-stream`."""
    deck = deck_of(request)
    if not 0 <= since < 1 << 53:
        raise ApiError("invalid_request", "since is a whole number from 0.")
    with missing(id):
        await deck.desk.get(id)
        if "text/event-stream" in request.headers.get("accept", ""):
            return StreamingResponse(_stream(deck, id, since), media_type="text/event-stream")
        texts = await _states(deck, id, since)
    return Response('{"events": [' + ", ".join(texts) + "]}", media_type="application/json")


async def _states(deck: Deck, id: str, since: int) -> list[str]:
    texts: list[str] = []
    while more := await deck.desk.events(id, since + len(texts)):
        texts += more
    return texts


async def _stream(deck: Deck, id: str, since: int) -> AsyncIterator[str]:
    listener = Listener(deck.fetch)
    listener.want([id], {id: since})
    deck.hub.join(listener)
    try:
        while True:
            try:
                async with asyncio.timeout(15.0):
                    texts = await listener.take()
            except TimeoutError:
                if await _is_over(deck, id):
                    return
                yield ": still here\n\n"
                continue
            for text in texts:
                if isinstance(text, str):
                    event = json.loads(text)
                    number = f"id: {event['state']}\n" if "state" in event else ""
                    yield f"{number}event: {event['event']}\ndata: {text}\n\n"
                    if event["event"] in ("job_finished", "job_failed", "job_cancelled"):
                        return
    finally:
        deck.hub.leave(listener)


async def _is_over(deck: Deck, id: str) -> bool:
    """Whether nothing more comes of a job: it has ended, or somebody deleted it since."""
    try:
        return (await deck.desk.get(id)).state in records.ENDED
    except Missing:
        return True
