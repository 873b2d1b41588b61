"""A websocket: one task hears what its client wants, another sends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Sequence
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from weft.server.live.frames import EXTENSION, Send, parts
from weft.server.live.hub import Hub
from weft.server.live.listener import Behind, Fetch, Listener

log = logging.getLogger("weft.server")

STALL_SECONDS = 10.0
"""A client that takes nothing for so long is left."""
STEP_SECONDS = 0.5
FRAME_BYTES = 64 * 1024
MOST_CLIENTS = 256
TRY_AGAIN_LATER = 1013
UNSUPPORTED = 1003
TOO_LARGE = 1009
POLICY = 1008


async def follow(socket: WebSocket, hub: Hub, fetch: Fetch, *, stall_seconds: float = STALL_SECONDS) -> None:
    """Serve one client until one of both has enough."""
    await socket.accept()
    if hub.sockets >= MOST_CLIENTS:
        await socket.close(TRY_AGAIN_LATER, f"{MOST_CLIENTS} clients are connected")
        return
    listener = Listener(fetch)
    hub.join(listener)
    hub.sockets += 1
    tasks = [
        asyncio.create_task(_hear(socket, listener, hub)),
        asyncio.create_task(_send(socket, listener, stall_seconds)),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        code, reason = next(iter(done)).result()
        if code:
            with contextlib.suppress(Exception):
                await asyncio.wait_for(socket.close(code, reason), 1.0)
    finally:
        hub.leave(listener)
        hub.sockets -= 1
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _send(socket: WebSocket, listener: Listener, stall_seconds: float) -> tuple[int, str]:
    time = asyncio.get_running_loop().time
    send: Send = getattr(socket, "scope", {}).get("extensions", {}).get(EXTENSION) or _each(socket)
    while True:
        try:
            frames = await listener.take()
            now = time()
            async with asyncio.timeout_at(now + stall_seconds) as limit:
                for part in parts(frames):
                    await send(part)
                    if time() - now > STEP_SECONDS:  # a timer for each frame would cost more than the frame
                        now = time()
                        limit.reschedule(now + stall_seconds)
        except Behind as error:
            return TRY_AGAIN_LATER, f"{error}; come back with `since`"
        except TimeoutError:
            return TRY_AGAIN_LATER, f"nothing was read for {stall_seconds:g} s; come back with `since`"
        except (WebSocketDisconnect, RuntimeError, OSError):
            return 0, ""
        except Exception:
            log.exception("the events for a client cannot be read")
            return TRY_AGAIN_LATER, "the events cannot be read now; come back with `since`"


def _each(socket: WebSocket) -> Send:
    """Sends one frame after the other, where the server below has no better way."""

    async def send(frames: Sequence[str | bytes]) -> None:
        for frame in frames:
            await (socket.send_text(frame) if isinstance(frame, str) else socket.send_bytes(frame))

    return send


async def _hear(socket: WebSocket, listener: Listener, hub: Hub) -> tuple[int, str]:
    while True:
        try:
            message = await socket.receive()
        except (WebSocketDisconnect, RuntimeError, OSError):
            return 0, ""
        if message["type"] == "websocket.disconnect":
            return 0, ""
        text = message.get("text")
        if text is None:
            return UNSUPPORTED, "send text: JSON with `subscribe`"
        if len(text) > FRAME_BYTES:
            return TOO_LARGE, f"a message may have {FRAME_BYTES} bytes"
        try:
            listener.want(**wanted(json.loads(text)))
        except (ValueError, RecursionError) as error:
            # A close has room for 123 bytes, and what the client said may be anything.
            return POLICY, ascii(str(error))[1:-1][:120]
        if listener.queue:
            hub.queue_changed()


def wanted(said: Any) -> dict[str, Any]:
    """What a client wants, by its message.

    Raises:
        ValueError: that cannot be told.
    """
    said = said.get("subscribe") if isinstance(said, dict) else None
    if not isinstance(said, dict):
        raise ValueError(
            'send {"subscribe": {"jobs": "all" or [ids], "since": {id: n}, "previews": true, "queue": true}}'
        )
    unknown = sorted(set(said) - {"jobs", "since", "previews", "queue"})
    if unknown:
        raise ValueError(f"subscribe has no {unknown[0]!r}")
    jobs, since = said.get("jobs", []), said.get("since") or {}
    if jobs != "all" and not (isinstance(jobs, list) and len(jobs) <= 1000 and all(map(_is_id, jobs))):
        raise ValueError('jobs is "all" or a list of at most 1,000 ids')
    if not isinstance(since, dict) or len(since) > 1000:
        raise ValueError("since gives numbers by ids, at most 1,000")
    if not all(map(_is_id, since)):
        raise ValueError("since gives numbers by the ids of jobs")
    if not all(type(number) is int and 0 <= number < 1 << 53 for number in since.values()):
        raise ValueError("since gives whole numbers from 0")
    flags = {name: said.get(name, False) for name in ("previews", "queue")}
    if not all(isinstance(flag, bool) for flag in flags.values()):
        raise ValueError("previews and queue are true or false")
    return {"jobs": None if jobs == "all" else jobs, "since": since, **flags}


def _is_id(said: Any) -> bool:
    """Whether it can be a job's id; what a database is asked for is to be text that it knows."""
    return isinstance(said, str) and len(said) <= 64 and said.isascii() and said.isprintable()
