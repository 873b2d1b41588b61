"""How the server is: for people, for what watches it, and for Prometheus."""

from __future__ import annotations

import asyncio
import platform
import shutil

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from weft.server.answering import StrictRoute
from weft.server.api.deck import deck_of
from weft.server.api.description import answers
from weft.server.store.protocol import StoreError

router = APIRouter(route_class=StrictRoute, tags=["system"])
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/healthz", responses=answers("Health"))
async def healthz() -> Response:
    """Whether the process answers."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", responses=answers("Readiness") | answers("Readiness", status=503))
async def readyz(request: Request) -> Response:
    """Whether jobs are accepted and can run."""
    deck = deck_of(request)
    reasons = []
    if deck.draining:
        reasons.append("the server is ending")
    try:
        await deck.desk.counts()
    except StoreError:
        reasons.append("the database cannot be read")
    if shutil.disk_usage(deck.folder).free < deck.free_bytes:
        reasons.append("the disk is nearly full")
    return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    deck = deck_of(request)
    counts = await deck.desk.counts()
    waiting = {0: counts.get("queued", 0)}
    deck.metrics.queue(waiting, await deck.desk.oldest_queued(), counts.get("running", 0))
    workers = deck.dispatcher.status()
    busy = sum(worker["job"] is not None for worker in workers)
    deck.metrics.workers({"busy": busy, "idle": len(workers) - busy})
    return Response(await asyncio.to_thread(deck.metrics.text), media_type=PROMETHEUS)


@router.get("/api/v1/system", responses=answers("System"))
async def system(request: Request) -> Response:
    """Versions, workers with the models they hold, and how much room there is."""
    deck = deck_of(request)
    answer = {
        "weft": _version("weft"),
        "versions": {name: _version(name) for name in ("torch", "diffusers", "transformers", "peft")},
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "workers": deck.dispatcher.status(),
        "devices": (await deck.ask("devices"))["devices"],
        "cache": await deck.ask("cache"),
        "disk": {"free": shutil.disk_usage(deck.folder).free, "needed": deck.free_bytes},
        "clients": len(deck.hub),
    }
    return JSONResponse(answer)


@router.get("/api/v1/models", responses=answers("ModelEntry", listed=True))
async def models(request: Request) -> Response:
    """The models that loaders find by name."""
    return JSONResponse(await deck_of(request).ask("models"))


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None
