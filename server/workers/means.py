"""What an attempt at a job works with: the store, the files, the audience, and what is counted."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from weft.engine.isolation import Limits
from weft.server.metrics import Metrics
from weft.server.store.desk import Desk
from weft.server.store.records import Job
from weft.server.workers.audience import Audience, Files
from weft.server.workers.home import Home
from weft.server.workers.quick import Quick


@dataclass(frozen=True, slots=True)
class Rules:
    """How workers are used.

    Attributes:
        limits: when a worker counts as lost; `grace_seconds` is what a cancelled job has to end by itself.
        jobs_per_worker: after so many a worker is replaced.
        worker_bytes: a worker that takes more after a job is replaced; None for no such bound.
        deaths: so many workers may die on one job.
    """

    limits: Limits = field(default_factory=lambda: Limits(grace_seconds=10.0, hang_seconds=60.0))
    jobs_per_worker: int = 10_000
    worker_bytes: int | None = None
    deaths: int = 3


@dataclass
class Means:
    """What all attempts of one server share.

    Attributes:
        scrub: takes paths and secrets out of what clients are told; suspects: whether a text may have any.
        clock: the time on the wall.
        quick: which jobs take little time.
    """

    desk: Desk
    files: Files
    audience: Audience
    home: Home
    rules: Rules = field(default_factory=Rules)
    scrub: Callable[[Any], Any] = lambda data: data
    suspects: Callable[[str], bool] = lambda text: True
    clock: Callable[[], float] = time.time
    metrics: Metrics | None = None
    quick: Quick = field(default_factory=Quick)

    @functools.cached_property
    def home_data(self) -> dict[str, Any]:
        """`home` as JSON data."""
        return self.home.to_dict()

    def note_start(self, job: Job) -> None:
        """A job begins to run."""
        if self.metrics is not None:
            self.metrics.job_started(self.clock() - job.created)

    def note_event(self, event: Mapping[str, Any], type: str) -> None:
        """A node of a job began, ended or was in the cache."""
        if self.metrics is not None:
            self.metrics.node_event(event, type)

    def note_end(self, job: Job) -> None:
        """A job has ended."""
        if self.metrics is not None:
            self.metrics.job_ended(job.state, job.seconds)

    def note_death(self, job: Job) -> None:
        """A worker died on a job, which went back into the queue, or failed."""
        if self.metrics is not None:
            self.metrics.worker_died("job")
            if job.state == "queued":
                self.metrics.retried("worker_died")
            else:
                self.metrics.job_ended(job.state, job.seconds)
