"""Files: uploaded, looked at, and what jobs made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from weft.server.answering import StrictRoute
from weft.server.api.deck import deck_of
from weft.server.api.description import IMAGE_BODY, answers
from weft.server.api.refusing import answered
from weft.server.api.shapes import output_data
from weft.server.files.upload import Upload, describe
from weft.server.problems import ApiError

router = APIRouter(prefix="/api/v1", route_class=StrictRoute, tags=["files"])

SHOWN = frozenset({"image/png", "image/jpeg", "image/webp"})
"""What a browser may show; anything else is only downloaded."""
MOST_LISTED = 200


@router.post("/files", status_code=201, openapi_extra=IMAGE_BODY, responses=answers("StoredFile", status=201))
async def upload(request: Request) -> Response:
    """Keep an image; the body is its bytes. Documents name it by the id that is returned."""
    with answered(), Upload(deck_of(request).blobs) as taken:
        async for piece in request.stream():
            if piece:
                await asyncio.to_thread(taken.write, piece)
        info = await asyncio.to_thread(taken.finish)
    return JSONResponse(info.to_dict(), 201, {"Location": f"/api/v1/files/{info.file}"})


@router.get(
    "/files/{file}", response_class=Response, responses=answers("", kinds=("image/*", "application/octet-stream"))
)
async def file(request: Request, file: str, size: int | None = None) -> Response:
    """A file, or a WebP of it whose longer side is `size` pixels, rounded up to 64, 128, 256, 512 or 1024."""
    deck = deck_of(request)
    etag = f'"{file}{"" if size is None else f"-{size}"}"'
    # A content id names these bytes for ever.
    headers = {"ETag": etag, "Cache-Control": "private, max-age=31536000, immutable"}
    with answered():
        info = await asyncio.to_thread(describe, deck.blobs, file)
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if size is not None:
            data = await asyncio.to_thread(deck.thumbnails.thumbnail, file, size)
            return Response(data, media_type="image/webp", headers=headers)
        opened = await asyncio.to_thread(deck.blobs.open, file)
    headers["Content-Length"] = str(info.bytes)
    headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    if info.mime not in SHOWN:
        headers["Content-Disposition"] = f'attachment; filename="{file.removeprefix("sha256:")[:16]}"'

    def pieces() -> Iterator[bytes]:
        with opened:
            while piece := opened.read(1 << 18):
                yield piece

    return StreamingResponse(pieces(), media_type=info.mime, headers=headers)


@router.get("/outputs", responses=answers("OutputPage"))
async def outputs(request: Request, limit: int = 50, cursor: str | None = None, tag: str | None = None) -> Response:
    """What jobs made, newest first; a page ends with a job's last output."""
    if not 1 <= limit <= MOST_LISTED:
        raise ApiError("invalid_request", f"limit is 1 to {MOST_LISTED}.")
    desk = deck_of(request).desk
    found: list[dict[str, Any]] = []
    while len(found) < limit:
        jobs = await desk.list(state="done", tag=tag, limit=50, before=cursor)
        for job in jobs:
            made = [{"job": job.id, "finished": job.finished, **output_data(output)} for output in job.outputs]
            found += made
            cursor = job.id
            if len(found) >= limit:
                break
        else:
            if len(jobs) < 50:
                cursor = None
                break
    return JSONResponse({"outputs": found, "next": cursor})
