"""Nodes on threads and an event loop of this process."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from weft.engine.checking.functions import HERE, Functions
from weft.engine.declaring.following import CancelToken
from weft.engine.errors import Cancelled
from weft.engine.importing import INSIDE, Imports
from weft.engine.running.deadline import Deadline
from weft.engine.running.devices import ON_DEVICE, Devices
from weft.engine.running.executor import HALF, Done, Task, call
from weft.engine.running.handover import Handover
from weft.engine.surroundings import Surroundings

TIDY_SECONDS = 1.0
"""How long async nodes whose time is over may take to tidy up."""

_Call = tuple[contextvars.Context, Task, Callable[[Done], None]]


class InProcess:
    """Runs ordinary nodes on threads of this process, and async ones on an event loop that they never block."""

    devices: Devices | None = None

    def __init__(self) -> None:
        self._around = Surroundings()
        # No method of ours: what a node raises keeps the frames it came through, and those the task.
        self.call: Callable[[Task], Done | None] = functools.partial(call, around=self._around, wait=False)
        """See `Executor`."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread: threading.Thread | None = None
        self._flying: dict[asyncio.Task[Any], Task] = {}
        self._stopped = False
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._free = 0
        self._overdue: set[threading.Thread] = set()
        """Those whose calls took longer than they may: nobody waits for their end."""
        self._lock = threading.Lock()

    def submit(self, task: Task, done: Callable[[Done], None]) -> None:
        """See `Executor`."""
        if task.type.is_async:
            self._call_on_loop(self._launch, task, done)
            return
        with self._lock:
            self._free -= 1
            if self._free < 0:
                # As many threads as there are calls at once: how many that may be, the lanes say. A node that waits
                # for a lazy input keeps its thread.
                self._free += 1
                self._start_thread()
        # What the caller has set for its own context (not whether it records a graph) holds for nodes too.
        self._calls.put((contextvars.copy_context(), task, done))

    def warm(self) -> None:
        """Have a thread for the first call."""
        with self._lock:
            self._free += 1
            self._start_thread()

    def _start_thread(self) -> None:
        """One more that takes calls. Under the lock."""
        thread = threading.Thread(target=self._serve, name=f"weft-node-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def functions(self, cancel: CancelToken) -> Functions:
        """See `Executor`."""
        return HERE

    def stop(self) -> None:
        """See `Executor`: async nodes are cancelled where they wait."""
        self._stopped = True
        if self._loop is not None:
            self._call_on_loop(self._cancel_all)

    def close(self) -> None:
        """See `Executor`."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._calls.put(None)
        loop, loop_thread = self._loop, self._loop_thread
        if loop is not None and loop_thread is not None:
            self._stopped = True
            asyncio.run_coroutine_threadsafe(self._end(), loop)
            loop_thread.join()
            for task in self._flying.values():  # they hang in what tidies up, and never run again
                self._leave(task)
            self._flying.clear()
            loop.close()
            self._loop = self._loop_thread = None
        for thread in threads:
            if thread is not threading.current_thread() and thread not in self._overdue:
                thread.join()
        self._around.end()

    def _serve(self) -> None:
        """A thread's life."""
        while (item := self._calls.get()) is not None:
            context, task, done = item
            if task.timeout is not None:
                overdue = functools.partial(self._overdue.add, threading.current_thread())
                done = Deadline(task, task.timeout, done, overdue).done
            try:
                result = context.run(call, task, self._around)
            except BaseException as raised:  # KeyboardInterrupt, which the thread that waits for the run is to see
                result = Done(task.number, None, raised, 0.0)
            with self._lock:
                self._free += 1
            self._overdue.discard(threading.current_thread())
            done(result)
            del item, context, task, done, result  # an idle thread holds nobody's values

    # -- on the loop's thread

    def _launch(self, task: Task, done: Callable[[Done], None]) -> None:
        start = time.perf_counter()
        self._around.enter()
        loop = asyncio.get_running_loop()
        imports = Imports()
        flight = loop.create_task(_outcome(task, imports))
        self._flying[flight] = task
        if task.timeout is not None:
            end = functools.partial(loop.call_soon_threadsafe, flight.cancel)
            done = Deadline(task, task.timeout, done, end).done

        def landed(flight: asyncio.Task[Any]) -> None:
            # In a callback, not around the await: a task that is cancelled before its first step runs none of its code.
            del self._flying[flight]
            self._leave(task)
            value: Any = None
            error: BaseException | None
            if not flight.cancelled():
                value, error = flight.result()
            else:
                error = asyncio.CancelledError("it cancelled itself")
            if self._stopped and isinstance(error, asyncio.CancelledError):
                error = Cancelled("the run was cancelled")
            done(Done(task.number, value, error, time.perf_counter() - start, imports.seconds))

        flight.add_done_callback(landed)

    def _leave(self, task: Task) -> None:
        """An async node ended."""
        self._around.restore(task.type.name, drew=True)
        if task.context is not None:
            task.context.close()

    async def _end(self) -> None:
        """Stop the loop, once the nodes on it have had time to tidy up: those whose time is over may still be there."""
        self._cancel_all()
        if self._flying:
            await asyncio.wait(self._flying, timeout=TIDY_SECONDS)
        asyncio.get_running_loop().stop()

    def _cancel_all(self) -> None:
        for flight in list(self._flying):
            flight.cancel()

    def _call_on_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        if self._loop is None:
            # Not the caller's loop: `run` blocks, so a notebook's own loop would never get to the nodes.
            self._loop = asyncio.new_event_loop()
            self._loop_thread = threading.Thread(target=self._loop.run_forever, name="weft-async", daemon=True)
            self._loop_thread.start()
        self._loop.call_soon_threadsafe(function, *arguments)


async def _outcome(task: Task, imports: Imports) -> tuple[Any, BaseException | None]:
    """What an async node returns, or raises. Not raised further: a SystemExit would take the event loop with it, and
    one that raises a CancelledError of its own was not cancelled."""
    INSIDE.set(imports)  # in this task's own context
    if task.type.resource == "device":
        ON_DEVICE.set(True)
    try:
        handover = Handover(task.inputs, task.sources, task.type.changing_defaults)
        box = [await task.type.fn(**handover.inputs)]
        if task.context is not None and task.context.saw_cancel:
            return None, Cancelled(HALF)
        return handover.result(box), None
    except BaseException as raised:
        return None, raised
