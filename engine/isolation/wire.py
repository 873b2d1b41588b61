"""Messages between a run and its worker: msgpack over a socket, and large bodies as shared memory.

    size of the message 4 | size of the body 8 | where the body is 1 | message | body, when it is short

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

_HEADER = struct.Struct("<IQB")
_NONE, _INLINE, _SHARED = range(3)
INLINE_BYTES = 64 * 1024
"""Below this a copy through the socket is quicker than a mapping."""


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
            data = b"".join([_HEADER.pack(len(packed), size, kind), packed, *body])
            with self._lock:
                self._socket.sendall(data)
            return
        shared = _shared(body, size)
        try:
            header = _HEADER.pack(len(packed), size, _SHARED)
            with self._lock:
                sent = socket.send_fds(self._socket, [header], [shared])
                self._socket.sendall(header[sent:] + packed)
        finally:
            os.close(shared)

    def receive(self) -> tuple[Any, Body]:
        """The next message and its body, which is the caller's own; an empty one when there is none.

        Raises:
            EOFError: the other end is closed.
        """
        header, descriptor = self._header()
        length, size, kind = _HEADER.unpack(header)
        try:
            message = msgpack.unpackb(self._exactly(length), raw=False, strict_map_key=False)
            if kind == _SHARED:
                if descriptor is None:
                    raise EOFError("a body got lost")
                return message, mmap.mmap(descriptor, size)
            return message, self._exactly(size)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def close(self) -> None:
        """Hang up: a thread that waits in `receive` gets an EOFError."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _header(self) -> tuple[bytes, int | None]:
        try:
            start, descriptors, _, _ = socket.recv_fds(
                self._socket, _HEADER.size, 1, getattr(socket, "MSG_CMSG_CLOEXEC", 0)
            )
        except OSError as error:
            raise EOFError(str(error)) from error
        if not start:
            raise EOFError("the other end is closed")
        return start + self._exactly(_HEADER.size - len(start)), descriptors[0] if descriptors else None

    def _exactly(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            try:
                count = self._socket.recv_into(view)
            except OSError as error:
                raise EOFError(str(error)) from error
            if not count:
                raise EOFError("the other end was closed in the middle of a message")
            view = view[count:]
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
