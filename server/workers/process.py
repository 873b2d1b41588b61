"""One worker process as the server has it: started when it is needed and again when it is gone."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from weft.engine.declaring.context import Context
from weft.engine.declaring.following import CancelToken
from weft.engine.declaring.node import Node
from weft.engine.isolation import Isolated, Limits, Transport, Worker
from weft.engine.running.executor import Done, Task
from weft.server.workers.home import Home
from weft.server.workers.inside import ask

log = logging.getLogger("weft.server")

Start = Callable[[], Transport]
OnReport = Callable[[str, Mapping[str, Any], bytes], object]
"""Takes a kind of report, its data and bytes, in the event loop's thread."""


class WorkerProcess:
    """A worker, or the place for one.

    Args:
        limits: when it counts as lost.
        slot: its number.
        start: starts the process.
        beside: whether calls may run beside each other. Else the process begins anew with each: it goes back to the
            folder, environment and so on that it started with. It does so as soon as a call has ended, so that the
            next one need not wait for it.
        env: variables of its environment besides those of this process.

    Attributes:
        calls: how many calls the process has had.
        seconds: how long its start took.
        awaited: it was started, and since then it has had no call, and nobody saw that there was none for it: the job
            that it is given now had to wait for it.
    """

    def __init__(
        self,
        limits: Limits,
        slot: int = 0,
        start: Start | None = None,
        *,
        beside: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.slot = slot
        self._beside = beside
        self._executor: Isolated | None = None
        self.calls = 0
        self.deaths = 0
        self.seconds = 0.0
        self.awaited = False
        self._start: Start = start or (lambda: Worker(limits, slot, env))
        self._worker: Transport | None = None
        self._starting = asyncio.Lock()
        self._sender: ThreadPoolExecutor | None = None

    @property
    def alive(self) -> bool:
        """Whether a process is there."""
        return self._worker is not None and self._worker.alive

    @property
    def transport(self) -> Transport | None:
        """The process, for who wants to know what it takes."""
        return self._worker

    async def ready(self) -> bool:
        """See to it that a process is there; whether it had to be started."""
        async with self._starting:
            worker = self._worker
            if worker is not None and worker.alive:
                return False
            loop = asyncio.get_running_loop()
            before = loop.time()
            if worker is not None:
                self.deaths += 1
                await asyncio.to_thread(worker.close)
            self.calls, self._executor = 0, None
            self._worker = await asyncio.to_thread(self._start)
            await asyncio.to_thread(self._worker.ready)
            self.seconds = loop.time() - before
            self.awaited = True
            return True

    async def call(
        self, function: Node[..., str], inputs: dict[str, str], cancel: CancelToken, report: OnReport
    ) -> str:
        """Call a node of ours there.

        Raises:
            BaseException: what it raised, or how the process ended (`Elsewhere`).
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Done] = loop.create_future()

        def settle(done: Done) -> None:
            if not answer.done():
                answer.set_result(done)

        def told(done: Done) -> None:
            loop.call_soon_threadsafe(settle, done)

        worker = self._worker
        assert worker is not None
        context = Context("job", cancel=cancel, listener=_Listener(loop, report))
        executor = self._executor or Isolated(worker, lambda _: None)  # with which the worker begins anew
        self._executor = executor if self._beside else None
        self.calls += 1
        self.awaited = False
        task = Task(next(_numbers), function.node_type, dict(inputs), context)
        with cancel.notifying(executor.stop):
            if self._beside or sum(map(len, inputs.values())) > _LARGE:
                # It waits until the worker has taken it, which another call may keep from doing so: in a thread of its
                # own, so that many that wait hold up nobody else.
                self._sender = self._sender or ThreadPoolExecutor(1, "weft-send")
                await loop.run_in_executor(self._sender, executor.submit, task, told)
            else:
                executor.submit(task, told)
            if cancel.cancelled:  # perhaps before there was anything to stop
                executor.stop()
            done = await answer
        worker.settle()
        if not self._beside and worker is self._worker and worker.alive:
            self._executor = Isolated(worker, lambda _: None)
        if done.error is not None:
            raise done.error
        return str(done.value)

    async def close(self) -> None:
        """End the process, whatever it does."""
        worker, self._worker = self._worker, None
        if worker is not None:
            await asyncio.to_thread(worker.close)
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.shutdown(wait=False)


_numbers = itertools.count(1)
_LARGE = 64 << 10
"""Bytes that a connection may not take at once."""


class _Listener:
    """Takes what a worker reports, on a thread of its own, to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, report: OnReport) -> None:
        self._loop = loop
        self._report = report

    def report(self, node: str, kind: str, data: Mapping[str, Any], body: bytes = b"") -> None:
        """See `engine.declaring.following.Listener`."""
        self._loop.call_soon_threadsafe(self._report, kind, data, body)


class Questions:
    """Questions about workflows and nodes, answered in a worker of their own, so that no pack can end the server.

    Several may be asked at once. A worker that ends with a question is started again for the next one.
    """

    def __init__(self, home: Home, limits: Limits, start: Start | None = None) -> None:
        self._process = WorkerProcess(limits, -1, start, beside=True, env=home.environment())
        self._home = json.dumps(home.to_dict())

    async def ask(self, question: str, about: str = "null") -> Any:
        """The answer, as JSON data.

        Args:
            about: JSON text.

        Raises:
            BaseException: the worker ended, or a pack raised.
        """
        await self._process.ready()
        inputs = {"question": question, "home": self._home, "about": about}
        return json.loads(await self._process.call(ask, inputs, CancelToken(), lambda *_: None))

    async def close(self) -> None:
        """End the worker."""
        await self._process.close()
