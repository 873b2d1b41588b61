"""Messages between a run and its worker: msgpack over a socket, and large bodies as shared memory.

    "weft" | size of the message 4 | size of the body 8 | where the body is 1 | message | body, when it is short

A long body lies in a piece of anonymous memory whose descriptor travels with the header. It has no name: whoever dies,
nothing stays behind. The sender lets go of it at once, so a node that changes its inputs changes its own copy.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Sequence
from typing import Any

import msgpack

from weft.engine.cache.codec import Body, Buffer

_HEADER = struct.Struct("<4sIQB")
_MAGIC = b"weft"
_NONE, _INLINE, _SHARED = range(3)
_STEP_BYTES = 1 << 20
"""Memory is taken as bytes arrive, and not as a header asks for it."""
INLINE_BYTES = 64 * 1024
"""Below this a copy through the socket is quicker than a mapping."""


class GarbledError(ValueError):
    """What came is no message: something else writes to the other end."""


class Channel:
    """One end of the line. Any thread may send; one receives."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._lock = threading.Lock()

    def send(self, message: Any, body: Sequence[Buffer] = ()) -> None:
        """Send a message of plain data, and the parts of a body.

        Raises:
            OSError: nobody is at the other end.
            ValueError, TypeError, OverflowError: the message is no plain data.
        """
        packed = msgpack.packb(message, use_bin_type=True)
        size = sum(memoryview(part).nbytes for part in body)
        if size <= INLINE_BYTES:
            kind = _INLINE if size else _NONE
            self._deliver(b"".join([_HEADER.pack(_MAGIC, len(packed), size, kind), packed, *body]), None)
            return
        shared = _shared(body, size)
        try:
            self._deliver(_HEADER.pack(_MAGIC, len(packed), size, _SHARED) + packed, shared)
        finally:
            os.close(shared)

    def receive(self) -> tuple[Any, Body]:
        """The next message and its body, which is the caller's own; an empty one when there is none.

        Raises:
            EOFError: the other end is closed.
            GarbledError: what came is no message.
        """
        header, descriptor = self._header()
        magic, length, size, kind = _HEADER.unpack(header)
        try:
            sizes = {_NONE: size == 0, _INLINE: 0 < size <= INLINE_BYTES, _SHARED: size > INLINE_BYTES}
            if magic != _MAGIC or not sizes.get(kind, False):
                raise GarbledError(f"{header[:40]!r} is no head of a message")
            packed = self._exactly(length)
            try:
                message = msgpack.unpackb(packed, raw=False, strict_map_key=False)
            except Exception as error:
                raise GarbledError(f"the text of a message is none: {error}") from error
            if kind == _SHARED:
                if descriptor is None:
                    raise EOFError("a body got lost")
                try:
                    return message, mmap.mmap(descriptor, size)
                except (ValueError, OverflowError) as error:
                    raise GarbledError(f"a body is shorter than its head says: {error}") from error
            return message, self._exactly(size)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def close(self) -> None:
        """Hang up: a thread that waits in `receive` gets an EOFError."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _deliver(self, data: bytes, descriptor: int | None) -> None:
        """Send bytes, the first of them with a descriptor, which stays the caller's."""
        with self._lock:
            if descriptor is not None:
                data = data[socket.send_fds(self._socket, [data], [descriptor]) :]
            self._socket.sendall(data)

    def _wait(self) -> None:
        """Called before bytes are read; reading itself waits for them too."""

    def _header(self) -> tuple[bytes, int | None]:
        while True:
            self._wait()
            try:
                start, descriptors, _, _ = socket.recv_fds(
                    self._socket, _HEADER.size, 1, getattr(socket, "MSG_CMSG_CLOEXEC", 0)
                )
                break
            except BlockingIOError:
                continue
            except OSError as error:
                raise EOFError(str(error)) from error
        if not start:
            raise EOFError("the other end is closed")
        try:
            return start + self._exactly(_HEADER.size - len(start)), descriptors[0] if descriptors else None
        except BaseException:
            for descriptor in descriptors:
                os.close(descriptor)
            raise

    def _exactly(self, size: int) -> bytearray:
        data = bytearray()
        while len(data) < size:
            self._wait()
            try:
                part = self._socket.recv(min(size - len(data), _STEP_BYTES))
            except BlockingIOError:
                continue
            except OSError as error:
                raise EOFError(str(error)) from error
            if not part:
                raise EOFError("the other end was closed in the middle of a message")
            data += part
        return data


def _shared(parts: Sequence[Buffer], size: int) -> int:
    """The descriptor of a piece of memory with these parts one after another."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("weft", os.MFD_CLOEXEC)
    else:  # macOS: a file without a name
        descriptor, path = tempfile.mkstemp(prefix="weft-")
        os.unlink(path)
    try:
        os.truncate(descriptor, size)
        with mmap.mmap(descriptor, size) as memory:
            for part in parts:
                memory.write(part)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
