"""Nodes in a process of their own: whatever one does, it is that run that fails and not the process that asked for it.

    run(workflow, isolate=True)                               # workers that all runs of this process share
    workers = Workers(Limits(node_seconds=600), size=4); run(workflow, on=workers)

A worker serves one run at a time and stays for the next, with the models that it holds. Checking, planning, the cache
and the events stay with the caller; the checks and fingerprints of packs are called in the worker.
"""

from __future__ import annotations

import atexit
import functools

from weft.engine.isolation.executor import Isolated
from weft.engine.isolation.parcels import Resident
from weft.engine.isolation.pool import Workers
from weft.engine.isolation.supervisor import Limits, Worker
from weft.engine.isolation.transport import Call, Transport

__all__ = ["Call", "Isolated", "Limits", "Resident", "Transport", "Worker", "Workers", "default_workers"]


@functools.cache
def default_workers() -> Workers:
    """Those of this process, for `run(..., isolate=True)`."""
    workers = Workers()
    atexit.register(workers.close)
    return workers
