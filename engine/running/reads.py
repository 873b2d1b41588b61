"""Results that are read from disk while the scheduler sees to other things."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from weft.engine.planning.steps import Step
from weft.engine.running.storing import Storing
from weft.engine.values import Outputs

log = logging.getLogger("weft.run")

THREADS = 4
"""How many results are read at once."""


@dataclass(slots=True)
class Read:
    """A result was read; None where it is not there after all."""

    number: int
    outputs: Outputs | None


class Reads:
    """Reads results on threads of its own, which begin when they are needed.

    Args:
        done: takes what was read, from any thread.

    Attributes:
        open: how many are being read; for the scheduler's thread alone.
    """

    def __init__(self, storing: Storing, done: Callable[[Read], object]) -> None:
        self._storing = storing
        self._done = done
        self._wanted: queue.SimpleQueue[Step | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.open = 0

    def read(self, step: Step) -> None:
        """Read the result of a step."""
        self.open += 1
        if len(self._threads) < min(THREADS, self.open):
            thread = threading.Thread(target=self._serve, name=f"weft-read-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._wanted.put(step)

    def close(self) -> None:
        """Nothing is wanted any more; what is being read is not waited for."""
        for _ in self._threads:
            self._wanted.put(None)

    def _serve(self) -> None:
        while (step := self._wanted.get()) is not None:
            outputs = None
            try:
                outputs = self._storing.get(step)
            except Exception:
                log.warning("a result of %s could not be read", step.shown, exc_info=True)
            self._done(Read(step.number, outputs))
            del step, outputs
