"""Many frames of a websocket in one write, each of which costs little, however many clients it goes to."""

from __future__ import annotations

import functools
import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN

EXTENSION = "weft.frames"
"""The extension of ASGI by which an application may send several frames at once: `await extension(frames)`."""
PART_BYTES = 64 * 1024
"""What is written before the client is waited for."""
_LARGE = 4096
"""From so many characters on a frame is made once for all clients that it goes to."""

Send = Callable[[Sequence[str | bytes]], Awaitable[None]]


class FramesProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol with that extension. Frames to clients are neither masked nor compressed nor in parts."""

    def handle_connect(self, event: Request) -> None:
        """See `WebSocketsSansIOProtocol`."""
        super().handle_connect(event)
        if (extensions := getattr(self, "scope", {}).get("extensions")) is not None:
            extensions[EXTENSION] = self.send_frames

    async def send_frames(self, frames: Sequence[str | bytes]) -> None:
        """Send frames: texts, and bytes as binary ones. The client is waited for before, and not in between.

        Raises:
            OSError: it has gone.
        """
        await self.writable.wait()
        if self.disconnected or self.close_sent or self.conn.state is not OPEN:
            raise ClientDisconnected()
        self.transport.write(written(frames))


def written(frames: Sequence[str | bytes]) -> bytes:
    """What is to be written for some frames."""
    found = [_shared(frame) if len(frame) >= _LARGE else _whole(frame) for frame in frames]
    return found[0] if len(found) == 1 else b"".join(found)


def _whole(frame: str | bytes) -> bytes:
    data = frame.encode() if isinstance(frame, str) else frame
    return head(Opcode.TEXT if isinstance(frame, str) else Opcode.BINARY, len(data)) + data


_shared = functools.lru_cache(8)(_whole)
"""The same for one that goes to many clients: they share it."""


def head(opcode: int, size: int) -> bytes:
    """The head of an unmasked frame that is whole (RFC 6455, section 5.2)."""
    if size < 126:
        return bytes((0x80 | opcode, size))
    if size < 65536:
        return struct.pack("!BBH", 0x80 | opcode, 126, size)
    return struct.pack("!BBQ", 0x80 | opcode, 127, size)


def parts(frames: Sequence[str | bytes]) -> Iterator[Sequence[str | bytes]]:
    """Frames in parts of about `PART_BYTES`."""
    start = size = 0
    for place, frame in enumerate(frames):
        size += len(frame)
        if size >= PART_BYTES:
            yield frames[start : place + 1]
            start, size = place + 1, 0
    if start < len(frames):
        yield frames[start:]
