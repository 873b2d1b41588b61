"""Nodes in a process of their own: whatever one does, it is that run that fails and not the process that asked for it.

    run(workflow, isolate=True)                               # workers that all runs of this process share
    workers = Workers(Limits(node_seconds=600)); run(workflow, isolate=workers)

A worker serves one run at a time and stays for the next, with the models that it holds. Checking, planning, the cache
and the events stay with the caller.
"""

from __future__ import annotations

import atexit
import functools
import os
import threading
import weakref

from weft.engine.cache import Cache
from weft.engine.cache.memory import MemoryTier
from weft.engine.isolation.executor import Isolated, IsolatedCache
from weft.engine.isolation.parcels import Resident
from weft.engine.isolation.supervisor import Limits, Worker

__all__ = ["Isolated", "Limits", "Resident", "Worker", "Workers", "default_workers"]

LIVE_BYTES = 1 << 20
"""Budget for results that are live values. Here each takes some hundred bytes, whatever it takes in its worker."""


class Workers:
    """Worker processes for runs, started when they are needed.

    Args:
        limits: when a worker counts as lost.
        keep: how many stay for the next run.

    Raises:
        OSError: this system has no way to pass memory between processes.
    """

    def __init__(self, limits: Limits | None = None, keep: int = 1) -> None:
        if os.name != "posix":
            raise OSError("nodes can only be isolated on Linux and macOS")
        self.limits = limits or Limits()
        self.keep = keep
        self._free: list[Worker] = []
        self._live: weakref.WeakKeyDictionary[Cache, MemoryTier] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._closed = False

    def lease(self) -> Isolated:
        """An executor with a worker of its own, until it is closed."""
        with self._lock:
            while self._free:
                worker = self._free.pop()
                if worker.ready():
                    return Isolated(worker, self._give_back)
                worker.close()
        return Isolated(Worker(self.limits), self._give_back)

    def cache(self, cache: Cache) -> Cache:
        """The cache for a run on these workers."""
        with self._lock:
            return IsolatedCache(cache, self._live.setdefault(cache, MemoryTier(LIVE_BYTES, 0)))

    def close(self) -> None:
        """End the workers that are idle now, and the others when their runs end."""
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
        for worker in free:
            worker.close()

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            stays = worker.alive and not self._closed and len(self._free) < self.keep
            if stays:
                self._free.append(worker)
        if not stays:
            worker.close()


@functools.cache
def default_workers() -> Workers:
    """Those of this process, for `run(..., isolate=True)`."""
    workers = Workers()
    atexit.register(workers.close)
    return workers
