"""Nodes that are called again after they failed, and when."""

from __future__ import annotations

import heapq
import time

from weft.engine.planning.steps import Step

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before a node is called again: twice as many each time."""


class Retries:
    """Used by the scheduler's thread alone."""

    def __init__(self) -> None:
        self._failures: dict[int, int] = {}
        self._due: list[tuple[float, int]] = []

    def __len__(self) -> int:
        """How many wait for their time."""
        return len(self._due)

    def again(self, step: Step) -> tuple[int, int] | None:
        """Whether a step that failed is called again after a pause: which time that is, of how many; else None."""
        spec = step.scope.specs.get(step.id)
        most = spec.retry if spec is not None and spec.retry is not None else step.type.retry
        count = self._failures.get(step.number, 0) + 1
        if count > most:
            self._failures.pop(step.number, None)
            return None
        self._failures[step.number] = count
        pause = min(FIRST_PAUSE * 2 ** (count - 1), LONGEST_PAUSE)
        heapq.heappush(self._due, (time.monotonic() + pause, step.number))
        return count, most

    def due(self) -> list[int]:
        """The numbers of the steps whose time has come."""
        found = []
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            found.append(heapq.heappop(self._due)[1])
        return found

    @property
    def seconds(self) -> float | None:
        """Until the next one's time has come; None when none waits."""
        return max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
