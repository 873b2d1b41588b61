"""A call that the scheduler makes itself, and that takes long after all: another thread then does its work meanwhile.

Calls that take less than a thread's turn are made by the scheduler's own thread. One thread of the process looks every
20 ms whether one of them has not come back; then a deputy goes on with the run until it has.
"""

from __future__ import annotations

import contextvars
import os
import threading
import time
from collections.abc import Callable

from weft.engine.running.executor import Done, Task

SECONDS = 0.02
"""How long a call may take before a deputy goes on, and how often that is looked at."""
IDLE_SECONDS = 1.0


class Deputy:
    """Of one run.

    Args:
        go_on: does a piece of the scheduler's work; False when there is none left.
        begin: called first by a deputy, with the task whose call has not come back.
        hand_in: called with the end of that call, or with None where it was refused; wakes the deputy.
    """

    def __init__(
        self, go_on: Callable[[], bool], begin: Callable[[Task], object], hand_in: Callable[[Done | None], object]
    ) -> None:
        self._go_on = go_on
        self._begin = begin
        self._hand_in = hand_in
        self._context = contextvars.copy_context()
        self._lock = threading.Lock()
        self._since: float | None = None
        self._task: Task | None = None
        self._back = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._watched = False

    @property
    def leads(self) -> bool:
        """Whether it does the scheduler's work."""
        return self._thread is not None

    def call(self, task: Task, function: Callable[[Task], Done | None]) -> tuple[Done | None, bool]:
        """Make a call: its end, and whether a deputy took over meanwhile. It was handed the end and is at rest then.

        The end is None where the call was refused, which takes no time; but the machine may have stood still.

        Raises:
            BaseException: what ended the deputy's work, or the call where there is no deputy.
        """
        if not self._watched:
            self._watched = True
            _watch(self)
        self._task = task
        self._since = time.monotonic()
        try:
            done = function(task)
        except BaseException as raised:
            if not self._came_back():
                raise
            done = Done(task.number, None, raised, 0.0)
        else:
            if not self._came_back():
                return done, False
        self._back.set()
        self._hand_in(done)
        del task
        thread = self._thread
        assert thread is not None
        thread.join()
        self._thread = None
        self._back.clear()
        error, self._error = self._error, None
        if error is not None:
            raise error
        return done, True

    def _came_back(self) -> bool:
        """Whether a deputy has taken over; none will from now on."""
        with self._lock:
            self._since = self._task = None
            return self._thread is not None

    def close(self) -> None:
        """The run has ended."""
        if self._watched:
            _unwatch(self)

    def look(self, now: float) -> None:
        """Take over from a call that has not come back in time."""
        since = self._since
        if since is None or now - since < SECONDS:
            return
        with self._lock:
            if self._since != since or self._thread is not None:
                return
            work = (self._work, self._task)
            self._thread = threading.Thread(target=self._context.run, args=work, name="weft-deputy", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # no more threads can be had: the run waits for the call, as it would without us
                self._thread = None

    def _work(self, task: Task) -> None:
        try:
            self._begin(task)
            del task
            while not self._back.is_set() and self._go_on():
                pass
        except BaseException as error:
            self._error = error


_watched: set[Deputy] = set()
_lock = threading.Condition()
_watcher: threading.Thread | None = None


def _watch(deputy: Deputy) -> None:
    global _watcher
    with _lock:
        _watched.add(deputy)
        if _watcher is None or not _watcher.is_alive():
            # Not in the caller's context, and not again for each run.
            _watcher = threading.Thread(target=_look_around, name="weft-watch", daemon=True)
            _watcher.start()
        elif len(_watched) == 1:
            _lock.notify()


def _unwatch(deputy: Deputy) -> None:
    with _lock:
        _watched.discard(deputy)


def _forget() -> None:
    """In a process that was forked there is nobody who looks, and no run."""
    global _lock, _watcher
    _lock, _watcher = threading.Condition(), None
    _watched.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def _look_around() -> None:
    global _watcher
    while True:
        with _lock:
            if not _watched and not _lock.wait_for(lambda: bool(_watched), IDLE_SECONDS):
                _watcher = None
                return
            deputies = list(_watched)
        now = time.monotonic()
        for deputy in deputies:
            deputy.look(now)
        del deputies
        time.sleep(SECONDS)
