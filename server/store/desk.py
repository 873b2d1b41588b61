"""The store as a server of asyncio uses it: what many tasks want to write at once goes to disk in one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import Any, Concatenate, ParamSpec, TypeVar

from weft.server.store.protocol import Also, Closed, Fenced, JobStore, NoSpace
from weft.server.store.records import Claim

T = TypeVar("T")
P = ParamSpec("P")

_MOST_AT_ONCE = 256
"""Calls of one transaction: the first of them waits for the last."""

Call = Callable[[JobStore], Any]
Undo = Callable[[JobStore, Any], Any]


@dataclass(eq=False, slots=True)
class _Pending:
    """A call that a task waits for.

    Attributes:
        undo: undoes the call where nobody waits any more when it has been made.
    """

    call: Call
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    undo: Undo | None
    result: Any = None

    def is_idle(self) -> bool:
        """Whether it would be undone at once."""
        return self.undo is not None and self.future.cancelled()


def _writes(method: Callable[Concatenate[JobStore, P], T]) -> Callable[Concatenate[Desk, P], Coroutine[Any, Any, T]]:
    """The method of the store, to be awaited, in a transaction that it shares."""
    name = method.__name__

    @functools.wraps(method)
    async def call(self: Desk, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.write(lambda store: getattr(store, name)(*args, **kwargs))

    return call


def _reads(method: Callable[Concatenate[JobStore, P], T]) -> Callable[Concatenate[Desk, P], Coroutine[Any, Any, T]]:
    """The method of the store, to be awaited, beside what is written."""
    name = method.__name__

    @functools.wraps(method)
    async def call(self: Desk, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.read(lambda store: getattr(store, name)(*args, **kwargs))

    return call


class Desk:
    """A store behind one thread that writes and a few that read.

    The methods are those of `JobStore`, to be awaited. A call that changes something happens exactly once, whether or
    not the task that waits for it is cancelled meanwhile; only a job that was claimed for a task that is gone returns
    to the queue. Calls happen in the order in which they were awaited first.

    Args:
        store: is closed with the desk.
        readers: threads that read.
    """

    def __init__(self, store: JobStore, *, readers: int = 4) -> None:
        self._store = store
        self._queue: SimpleQueue[_Pending | None] = SimpleQueue()
        self._gathered: dict[asyncio.AbstractEventLoop, list[_Pending]] = {}
        """Calls that are handed over in a moment, by the loop of their tasks."""
        self._accepting = threading.Lock()
        self._closed = False
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="weft-store-reader")
        self._writer = threading.Thread(target=self._work, name="weft-store-writer", daemon=True)
        self._writer.start()

    # -- any call

    async def write(self, call: Callable[[JobStore], T], *, undo: Callable[[JobStore, T], Any] | None = None) -> T:
        """Make a call that changes something; several methods of the store in one call happen together or not.

        Args:
            call: is made in the writing thread, within a transaction; on a full disk perhaps a second time.
            undo: undoes it with its result, where the task that waits was cancelled before it got it.

        Raises:
            Closed: `close` was called before. Nothing happens then.
        """
        loop = asyncio.get_running_loop()
        entry = _Pending(call, loop.create_future(), loop, undo)
        self._hand_over(entry)
        try:
            value: T = await entry.future
        except asyncio.CancelledError:
            if not entry.future.cancelled():  # the result was there, but the task was cancelled before it went on
                self._undo(entry)
            raise
        return value

    async def read(self, call: Callable[[JobStore], T]) -> T:
        """Make a call that changes nothing; it sees all that was written before."""
        if self._closed:
            raise Closed("The store is closed.")
        return await asyncio.get_running_loop().run_in_executor(self._readers, call, self._store)

    # -- the calls of a store

    submit = _writes(JobStore.submit)
    cancel = _writes(JobStore.cancel)
    move = _writes(JobStore.move)
    delete = _writes(JobStore.delete)
    record = _writes(JobStore.record)
    end = _writes(JobStore.end)
    give_back = _writes(JobStore.give_back)
    abandoned = _writes(JobStore.abandoned)
    pause = _writes(JobStore.pause)
    sweep = _writes(JobStore.sweep)

    get = _reads(JobStore.get)
    document = _reads(JobStore.document)
    list = _reads(JobStore.list)
    events = _reads(JobStore.events)
    cancelling = _reads(JobStore.cancelling)
    counts = _reads(JobStore.counts)
    oldest_queued = _reads(JobStore.oldest_queued)
    named_files = _reads(JobStore.named_files)
    paused = _reads(JobStore.paused)

    async def claim(
        self,
        owner: str,
        now: float,
        *,
        models: Sequence[str] = (),
        look_ahead: int = 32,
        patience: float = 60.0,
        also: Also | None = None,
    ) -> Claim | None:
        """See `JobStore.claim`. Where the task was cancelled meanwhile, the jobs return to the queue."""

        def call(store: JobStore) -> Claim | None:
            return store.claim(owner, now, models=models, look_ahead=look_ahead, patience=patience, also=also)

        def undo(store: JobStore, claim: Claim | None) -> None:
            for one in () if claim is None else (claim, *claim.more):
                with contextlib.suppress(Fenced):  # somebody took it away already
                    store.give_back(one.job.id, one.epoch, died=False, now=now)

        return await self.write(call, undo=undo)

    async def close(self) -> None:
        """Wait for all that was handed over, then close the store. A job that was claimed for a task that is cancelled
        in these moments may stay this owner's; the next server finds it abandoned."""
        with self._accepting:
            if not self._closed:
                self._closed = True
                for entries in self._gathered.values():
                    for entry in entries:
                        self._queue.put(entry)
                self._gathered.clear()
                self._queue.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._finish)

    def _finish(self) -> None:
        self._writer.join()
        self._readers.shutdown()
        self._store.close()

    def _hand_over(self, entry: _Pending) -> None:
        with self._accepting:
            if self._closed:
                raise Closed("The store is closed.")
            entries = self._gathered.setdefault(entry.loop, [])
            entries.append(entry)
            if len(entries) == 1:
                # Not now and not at the next turn of the loop, at which tasks go on that were woken now: what these
                # ask for shares the transaction, as the claim of a worker does with the job that woke it.
                entry.loop.call_soon(entry.loop.call_soon, self._pass_on, entry.loop)

    def _pass_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give the writing thread what was gathered."""
        with self._accepting:
            for entry in self._gathered.pop(loop, ()):
                self._queue.put(entry)

    def _undo(self, entry: _Pending) -> None:
        """Hand over what undoes a call that nobody waits for any more."""
        undo, result = entry.undo, entry.result
        if undo is None or isinstance(result, BaseException):
            return

        with contextlib.suppress(Closed):
            future = entry.loop.create_future()
            self._hand_over(_Pending(lambda store: undo(store, result), future, entry.loop, None))

    def _settle(self, entries: Sequence[_Pending]) -> None:
        """Hand results to those who wait, in the thread of their loop."""
        for entry in entries:
            if entry.future.cancelled():
                self._undo(entry)
            elif isinstance(entry.result, StopIteration):  # a future cannot hold one
                entry.future.set_exception(RuntimeError("The call raised StopIteration."))
            elif isinstance(entry.result, BaseException):
                entry.future.set_exception(entry.result)
            else:
                entry.future.set_result(entry.result)

    # -- in the writing thread

    def _work(self) -> None:
        going = True
        while going:
            entries = [self._queue.get()]
            try:
                while len(entries) < _MOST_AT_ONCE and entries[-1] is not None:
                    entries.append(self._queue.get_nowait())
            except Empty:
                pass
            going = entries[-1] is not None
            batch = [entry for entry in entries if entry is not None and not entry.is_idle()]
            for entry, result in zip(batch, self._results(batch), strict=True):
                entry.result = result
            for loop, same in groupby(batch, key=lambda entry: entry.loop):
                with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody waits
                    loop.call_soon_threadsafe(self._settle, [*same])

    def _results(self, batch: Sequence[_Pending]) -> Sequence[Any]:
        """What each call returned or raised."""
        if not batch:
            return []
        try:
            return self._store.apply([entry.call for entry in batch])
        except NoSpace as error:
            # A small call may fit where all together do not.
            return [error] if len(batch) == 1 else [self._results([entry])[0] for entry in batch]
        except BaseException as error:
            return [error] * len(batch)
