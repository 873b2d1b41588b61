"""What a worker was like before its first node, to which it goes back before each run."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import Any

from weft.engine.surroundings import Surroundings

WHO = "a node of an earlier run"


class Handover:
    """The state of a worker process as it started. Made, and used, on its main thread while nothing else runs there.

    After each node, what it changed is put back as in any process, unless other nodes are at work. Between two runs
    none is, and there is no host: whatever is different then is put back, by whomever it was left.
    """

    def __init__(self) -> None:
        self._around = Surroundings(host_waits=True)
        self._handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        self._umask = os.umask(0o77)
        os.umask(self._umask)
        self._depth = sys.getrecursionlimit()

    def restore(self) -> None:
        """Go back: folder, environment, locale, default dtype, umask, depth of calls, handlers of signals; no alarm."""
        self._around.put_back(WHO)
        sys.setrecursionlimit(self._depth)
        os.umask(self._umask)
        for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0)
        for number, handler in self._handlers.items():
            _set_handler(number, handler)


def _set_handler(number: int, handler: Any) -> None:
    if handler is not None and signal.getsignal(number) is not handler:  # None: it is not Python's to set
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, handler)
