"""Where nodes run. The scheduler hands over tasks and is told what became of them; it does not know where they ran."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from engine.context import Context
from engine.declare import NodeType
from engine.errors import Cancelled


@dataclass(slots=True)
class Task:
    """One call of a node."""

    number: int
    type: NodeType
    inputs: dict[str, Any]
    context: Context | None


@dataclass(slots=True)
class Done:
    """How a task ended: with a value, or with what was raised."""

    number: int
    value: Any
    error: BaseException | None
    seconds: float


class Executor(Protocol):
    """Runs tasks. `done` may be called from any thread, also before `submit` returns, once for each task."""

    def submit(self, task: Task, done: Callable[[Done], None]) -> None:
        """Run a task when its lane is free."""

    def stop(self) -> None:
        """Interrupt the tasks in flight as far as that can be done; each still reports through `done`."""

    def close(self) -> None:
        """Stop, and leave nothing running."""


class InProcess:
    """Runs ordinary nodes in the calling thread, one after another, and async ones beside them on an event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._flying: set[asyncio.Task[Any]] = set()

    def submit(self, task: Task, done: Callable[[Done], None]) -> None:
        """See `Executor`. Returns when an ordinary node has ended, and at once for an async one."""
        if task.type.is_async:
            self._call_on_loop(self._launch, task, done)
            return
        start = time.perf_counter()
        value, error = None, None
        try:
            value = task.type.fn(**task.inputs)
        except (Exception, SystemExit, Cancelled) as raised:
            error = raised
        finally:
            if task.context is not None:
                task.context.close()
        done(Done(task.number, value, error, time.perf_counter() - start))

    def stop(self) -> None:
        """See `Executor`: async nodes are cancelled where they wait."""
        if self._loop is not None:
            self._call_on_loop(self._cancel_all)

    def close(self) -> None:
        """See `Executor`."""
        if self._loop is None or self._thread is None:
            return
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = self._thread = None

    # -- on the loop's thread

    def _launch(self, task: Task, done: Callable[[Done], None]) -> None:
        start = time.perf_counter()
        flight = asyncio.get_running_loop().create_task(_outcome(task))
        self._flying.add(flight)

        def landed(flight: asyncio.Task[Any]) -> None:
            # In a callback, not around the await: a task that is cancelled before its first step runs none of its code.
            self._flying.discard(flight)
            if task.context is not None:
                task.context.close()
            value, error = (None, Cancelled("the run was cancelled")) if flight.cancelled() else flight.result()
            done(Done(task.number, value, error, time.perf_counter() - start))

        flight.add_done_callback(landed)

    def _cancel_all(self) -> None:
        for flight in self._flying:
            flight.cancel()

    def _call_on_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        if self._loop is None:
            # Not the caller's loop: `run` blocks, so a notebook's own loop would never get to the nodes.
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="weft-async", daemon=True)
            self._thread.start()
        self._loop.call_soon_threadsafe(function, *arguments)


async def _outcome(task: Task) -> tuple[Any, BaseException | None]:
    """What an async node returns, or raises. Not raised further: a SystemExit would take the event loop with it."""
    try:
        return await task.type.fn(**task.inputs), None
    except (Exception, SystemExit, Cancelled) as raised:
        return None, raised
