"""Workers for runs: as many processes as there may be, who has which, and who waits for one."""

from __future__ import annotations

import itertools
import os
import queue
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field

from weft.engine.cache import Cache
from weft.engine.cache.memory import MemoryTier
from weft.engine.declaring.following import CancelToken
from weft.engine.isolation.executor import Isolated, IsolatedCache
from weft.engine.isolation.supervisor import Limits, Worker
from weft.engine.isolation.transport import Transport
from weft.engine.running.devices import Devices

LIVE_BYTES = 1 << 20
"""Budget for results that are live values. Here each takes some hundred bytes, whatever it takes in its worker."""

Start = Callable[[int, Mapping[str, str]], Transport]
"""Starts the worker of a slot with an environment."""


@dataclass(eq=False, slots=True)
class _Waiting:
    """A run that waits for workers: they are put into `answer`, or None, so that it looks what is the matter."""

    cache: Cache | None
    answer: queue.SimpleQueue[_Share | None] = field(default_factory=queue.SimpleQueue)


@dataclass(eq=False, slots=True)
class _Share:
    """What a run is given: workers that are there, and slots for those that it starts."""

    workers: list[Transport]
    slots: list[int]


class Workers:
    """A backend whose nodes run in worker processes, which are started when they are needed.

    Args:
        limits: when a worker counts as lost.
        keep: how many stay for the next run; by default one, or all of `size`.
        size: how many there may be at once; None for as many as there are runs. A run for which there is none left
            waits, first come, first served.
        env_of: the variables of a worker's environment by its slot (0 up to `size`), such as CUDA_VISIBLE_DEVICES.
            Each worker then has a device of its own; else all nodes use the devices of this process.
        per_run: how many workers one run has. Of the device lane as many nodes run at once as `LaneSizes.device` says.
        timeout: seconds that a run waits for workers at most; None for as long as it takes.
        start: starts the worker of a slot; by default a process of this system.

    Raises:
        OSError: this system has no way to pass memory between processes.
        ValueError: a run would need more workers than there may be.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        keep: int | None = None,
        *,
        size: int | None = None,
        env_of: Callable[[int], Mapping[str, str]] | None = None,
        per_run: int = 1,
        timeout: float | None = None,
        start: Start | None = None,
    ) -> None:
        if os.name != "posix" and start is None:
            raise OSError("nodes can only be isolated on Linux and macOS")
        if per_run < 1 or (size is not None and size < per_run):
            raise ValueError(f"a run needs {per_run} workers, and there may be {size}: at least one, and no more")
        self.limits = limits or Limits()
        self.keep = keep if keep is not None else per_run if size is None else size
        self.size = size
        self._env_of = env_of
        self._per_run = per_run
        self._timeout = timeout
        self._start: Start = start or (lambda slot, env: Worker(self.limits, slot, env))
        self._free: list[Transport] = []
        self._slots: set[int] = set()
        """Of the workers there are, idle or not, and of those that are being started."""
        self._waiting: deque[_Waiting] = deque()
        self._served: weakref.WeakKeyDictionary[Transport, weakref.ref[Cache]] = weakref.WeakKeyDictionary()
        """Whose live values a worker may have."""
        self._live: weakref.WeakKeyDictionary[Cache, MemoryTier] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._closed = False

    def lease(self, cache: Cache | None = None, cancel: CancelToken | None = None) -> Isolated:
        """An executor with workers of its own, until it is closed: idle ones that served `cache` before, if there are.

        Raises:
            Cancelled: `cancel` was called while it waited.
            TimeoutError: there was none for `timeout` seconds.
        """
        share = self._wait(_Waiting(cache), cancel)
        devices = Devices(self._per_run) if self._env_of is not None else None
        workers: list[Transport] = []
        try:
            for worker in share.workers:
                if worker.ready():
                    workers.append(worker)
                else:
                    worker.close()
                    share.slots.append(worker.slot)
            while share.slots:
                slot = share.slots[0]
                workers.append(self._start(slot, self._env_of(slot) if self._env_of is not None else {}))
                share.slots.pop(0)
        except BaseException:
            self._release(share.slots)
            for worker in workers:
                self._give_back(worker)
            raise
        if cache is not None:
            for worker in workers:
                self._served[worker] = weakref.ref(cache)
        return Isolated(sorted(workers, key=lambda worker: worker.slot), self._give_back, devices, self._renew)

    def cache(self, cache: Cache) -> Cache:
        """The cache for a run on these workers."""
        with self._lock:
            return IsolatedCache(cache, self._live.setdefault(cache, MemoryTier(LIVE_BYTES, 0)))

    def close(self) -> None:
        """End the workers that are idle now, and the others when their runs end. Who waits for one is told."""
        with self._lock:
            self._closed = True
            free, self._free = self._free, []
            for waiting in self._waiting:
                waiting.answer.put(None)
        for worker in free:
            worker.close()
            self._release([worker.slot])

    def _wait(self, waiting: _Waiting, cancel: CancelToken | None) -> _Share:
        with self._lock:
            self._waiting.append(waiting)
            self._serve()
        # Into a queue and not under the lock: a signal handler may press the button.
        pressed = nullcontext() if cancel is None else cancel.notifying(lambda: waiting.answer.put(None))
        with pressed:
            try:
                if cancel is not None:
                    cancel.check()
                share = waiting.answer.get(timeout=self._timeout)
            except queue.Empty:
                share = None
            except BaseException:
                self._withdraw(waiting)
                raise
        if share is not None:
            return share
        self._withdraw(waiting)
        if cancel is not None:
            cancel.check()
        if self._closed:
            raise RuntimeError("the workers were closed while a run waited for one")
        raise TimeoutError(f"all {self.size} workers are busy, and none was free within {self._timeout:g} s")

    def _withdraw(self, waiting: _Waiting) -> None:
        with self._lock:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
                self._serve()  # whoever is behind it may need fewer
        while not waiting.answer.empty():
            share = waiting.answer.get()
            if share is not None:
                self._release(share.slots)
                for worker in share.workers:
                    self._give_back(worker)

    def _serve(self) -> None:
        """Give those who wait what there is, in their order. Under the lock."""
        while self._waiting and not self._closed:
            count = self._per_run
            if self.size is not None and len(self._free) + self.size - len(self._slots) < count:
                return
            waiting = self._waiting.popleft()
            # The idle ones that know the run's values first; a stable sort, of which the last is the newest.
            self._free.sort(key=lambda worker: self._knows(worker, waiting.cache))
            share = _Share([self._free.pop() for _ in range(min(count, len(self._free)))], [])
            share.slots = list(itertools.islice(self._unused(), count - len(share.workers)))
            self._slots.update(share.slots)
            waiting.answer.put(share)

    def _unused(self) -> Iterator[int]:
        return (slot for slot in itertools.count() if slot not in self._slots)

    def _knows(self, worker: Transport, cache: Cache | None) -> bool:
        served = self._served.get(worker)
        return cache is not None and served is not None and served() is cache and bool(worker.live)

    def _renew(self, worker: Transport) -> Transport:
        """Another worker in the slot of one that is gone."""
        worker.close()
        return self._start(worker.slot, self._env_of(worker.slot) if self._env_of is not None else {})

    def _give_back(self, worker: Transport) -> None:
        with self._lock:
            stays = worker.alive and not self._closed and (len(self._free) < self.keep or bool(self._waiting))
            if stays:
                self._free.append(worker)
                self._serve()
        if not stays:
            worker.close()
            self._release([worker.slot])

    def _release(self, slots: list[int]) -> None:
        with self._lock:
            self._slots.difference_update(slots)
            self._serve()
