"""Connections that are lent to whoever reads, one thread after another."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from weft.server.store.protocol import Closed


class Closing(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=Closing)


class Readers(Generic[C]):
    """As many connections as read at once.

    Args:
        connect: opens one.
        sound: whether one that comes back can be lent again.
    """

    def __init__(self, connect: Callable[[], C], sound: Callable[[C], bool] = lambda connection: True) -> None:
        self._connect = connect
        self._sound = sound
        self._idle: list[C] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def lend(self) -> Iterator[C]:
        """A connection that nobody else uses. Raises Closed."""
        with self._lock:
            if self._closed:
                raise Closed("The store is closed.")
            idle = self._idle.pop() if self._idle else None
        connection = self._connect() if idle is None else idle
        try:
            yield connection
        finally:
            with self._lock:
                again = not self._closed and self._sound(connection)
                if again:
                    self._idle.append(connection)
            if not again:
                connection.close()

    def close(self) -> None:
        """Close those that are not lent now; the others are closed when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
