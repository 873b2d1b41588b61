"""Where the nodes of runs are called: in this process, in workers beside it, or on other machines."""

from __future__ import annotations

from typing import Protocol

from weft.engine.cache import Cache
from weft.engine.declaring.following import CancelToken
from weft.engine.running.executor import Executor
from weft.engine.running.in_process import InProcess


class Backend(Protocol):
    """What `run(..., on=)` takes. One serves any number of runs, also at the same time."""

    def lease(self, cache: Cache | None = None, cancel: CancelToken | None = None) -> Executor:
        """An executor for one run, until it is closed. May wait until there is room for the run.

        Args:
            cache: of the run: an executor that has live values of it is the better choice.
            cancel: ends the waiting.

        Raises:
            Cancelled: `cancel` was called.
            TimeoutError: there was no room for too long.
        """

    def cache(self, cache: Cache) -> Cache:
        """The cache as such a run sees it: without what is of no use where its nodes are called."""


class ThisProcess:
    """The backend of runs that are told nothing else: threads and an event loop of this process."""

    def lease(self, cache: Cache | None = None, cancel: CancelToken | None = None) -> Executor:
        """See `Backend`: there is always room."""
        return InProcess()

    def cache(self, cache: Cache) -> Cache:
        """See `Backend`: the same one."""
        return cache
