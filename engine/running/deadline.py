"""A call that has so much time: whatever comes first, its end or that of its time, is reported, and that once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from weft.engine.errors import NodeTimeout
from weft.engine.running.executor import Done, Task


class Deadline:
    """Begins when it is made.

    Args:
        done: told how the call ended.
        expired: called, from a thread of its own, when its time is over before that.
    """

    def __init__(self, task: Task, seconds: float, done: Callable[[Done], None], expired: Callable[[], object]) -> None:
        self._task = task
        self._seconds = seconds
        self._done = done
        self._expired = expired
        self._lock = threading.Lock()
        self._ended = False
        self._start = time.perf_counter()
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def done(self, done: Done) -> None:
        """The call has ended."""
        if self._end():
            self._timer.cancel()
            self._done(done)

    def _end(self) -> bool:
        with self._lock:
            first, self._ended = not self._ended, True
        return first

    def _expire(self) -> None:
        if not self._end():
            return
        if self._task.context is not None:
            self._task.context.overdue = True
        self._expired()
        seconds = time.perf_counter() - self._start
        self._done(Done(self._task.number, None, NodeTimeout(self._seconds), seconds))
