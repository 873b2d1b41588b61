"""The parent's end of the line to a worker: it waits for nobody, whatever the worker does amid a message."""

from __future__ import annotations

import array
import contextlib
import errno
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable

from weft.engine.isolation.wire import Channel

WAIT_SECONDS = 0.1


class PatientChannel(Channel):
    """A channel whose sender never waits, and whose reader looks around while it waits.

    What the other end has no room for lies here until it has; a thread sends it then.

    Args:
        connection: the socket; it is this channel's own.
        idle: called by the reader ten times a second while nothing comes, also in the middle of a message.
    """

    def __init__(self, connection: socket.socket, idle: Callable[[], object]) -> None:
        super().__init__(connection)
        connection.setblocking(False)  # of this end alone
        self._idle = idle
        self._poller = select.poll()
        self._poller.register(connection, select.POLLIN)
        self._unsent: deque[tuple[memoryview, int | None]] = deque()
        """Bytes, and the descriptor that goes with the first of them."""
        self._closed = False

    def close(self) -> None:
        """See `Channel`. What was not sent is not sent any more."""
        with self._lock:
            self._closed = True
            self._forget()
        super().close()

    def _wait(self) -> None:
        """Until there is something to read, or nothing more will come."""
        while not self._poller.poll(WAIT_SECONDS * 1000):
            self._idle()

    def _deliver(self, data: bytes, descriptor: int | None) -> None:
        with self._lock:
            if self._closed:
                raise OSError(errno.EPIPE, "nobody is at the other end any more")
            waiting = bool(self._unsent)
            self._unsent.append((memoryview(data), None if descriptor is None else os.dup(descriptor)))
            if waiting or self._send_some():
                return
        threading.Thread(target=self._send_rest, name="weft-send", daemon=True).start()

    def _send_some(self) -> bool:
        """Send what there is room for; whether that was all. Under the lock."""
        try:
            while self._unsent:
                data, descriptor = self._unsent[0]
                rights = [] if descriptor is None else [_rights(descriptor)]
                count = self._socket.sendmsg([data], rights)
                if descriptor is not None:
                    os.close(descriptor)
                if count == len(data):
                    self._unsent.popleft()
                else:
                    self._unsent[0] = data[count:], None
        except BlockingIOError:
            return False
        except OSError:
            self._forget()
            raise
        return True

    def _send_rest(self) -> None:
        """On a thread of its own, until nothing is left."""
        poller = select.poll()
        with contextlib.suppress(OSError, ValueError):  # the other end is gone, or this one: the reader tells
            poller.register(self._socket, select.POLLOUT)
            while True:
                poller.poll(WAIT_SECONDS * 1000)
                with self._lock:
                    if self._closed or self._send_some():
                        return

    def _forget(self) -> None:
        while self._unsent:
            _, descriptor = self._unsent.popleft()
            if descriptor is not None:
                os.close(descriptor)


def _rights(descriptor: int) -> tuple[int, int, array.array[int]]:
    return socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor])
