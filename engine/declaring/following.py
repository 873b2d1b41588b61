"""Who follows a run: its stop button, and where that goes which its nodes say of themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from weft.engine.errors import Cancelled


class CancelToken:
    """A run's stop button: press `cancel()` from any thread or signal handler."""

    def __init__(self) -> None:
        # Plain attributes and no lock: a signal handler may interrupt any line of the thread that reads them.
        self._cancelled = False
        self._listeners: list[Callable[[], object]] = []

    def cancel(self) -> None:
        """Ask the run to stop. It does so before the next node, and within a node at its next check."""
        self._cancelled = True
        for listener in list(self._listeners):
            listener()

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def check(self) -> None:
        """Raise `Cancelled` once `cancel()` was called."""
        if self._cancelled:
            raise Cancelled("the run was cancelled")

    @contextlib.contextmanager
    def notifying(self, listener: Callable[[], object]) -> Iterator[None]:
        """Call `listener` from `cancel()` while the block runs; it must be quick and must not block."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)


class Listener(Protocol):
    """Where that goes which nodes say of themselves."""

    def report(self, node: str, kind: str, data: Mapping[str, Any], body: bytes = b"") -> None:
        """Take what a node says.

        Args:
            node: its id.
            kind: "progress", "preview" and "resumed" are the engine's own, others are those of `Context.report`.
            data: plain data.
            body: what is bytes, such as a preview's picture.
        """
