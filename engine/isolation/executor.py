"""An executor whose nodes run in a worker process, and the cache that goes with it."""

from __future__ import annotations

import contextlib
import functools
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from weft.engine.cache import Cache, codec
from weft.engine.cache.memory import MemoryTier
from weft.engine.checking.functions import Functions
from weft.engine.declaring.following import CancelToken
from weft.engine.declaring.node_type import NodeType
from weft.engine.errors import Elsewhere
from weft.engine.isolation.flight import Flight, make_first, recipes_for
from weft.engine.isolation.functions import CalledThere
from weft.engine.isolation.parcels import Resident, holds_resident, storable
from weft.engine.isolation.transport import Transport
from weft.engine.running.devices import Devices
from weft.engine.running.executor import Done, Task
from weft.engine.values import Outputs

if TYPE_CHECKING:
    from weft.engine.events import Tier


FUNCTION_SECONDS = 20.0
"""How long a check, a fingerprint, a migration or `needs` of a pack may take; the first one may import much."""


class Isolated:
    """Runs the nodes of one run in a worker, or in several: those of the device lane in that of their slot, others
    where least is going on, and of such where their live inputs are.

    Args:
        workers: nobody else uses them meanwhile.
        give_back: called with each in the end, when nothing is in flight any more.
        devices: the slots that the workers have for themselves, one each; None when they use those of this process.
        renew: starts a worker in the place of one that is gone.
    """

    def __init__(
        self,
        workers: Transport | Sequence[Transport],
        give_back: Callable[[Transport], object],
        devices: Devices | None = None,
        renew: Callable[[Transport], Transport] | None = None,
    ) -> None:
        self.devices = devices
        self._renew = renew
        self._told: tuple[str, int] | None = None
        """The worker and the number of the graph that it was told last."""
        self._workers = [workers] if isinstance(workers, Transport) else list(workers)
        self._give_back: Callable[[Transport], object] | None = give_back
        self._flying = 0
        self._idle = threading.Condition()
        self._stopped = False
        for worker in self._workers:
            worker.begin()

    def call(self, task: Task) -> Done | None:
        """See `Executor`: nothing runs here."""
        return None

    def submit(self, task: Task, done: Callable[[Done], None]) -> None:
        """See `Executor`."""
        with self._idle:
            self._flying += 1

        def ended(result: Done) -> None:
            if task.context is not None:
                task.context.close()
            try:
                done(result)
            finally:
                with self._idle:
                    self._flying -= 1
                    self._idle.notify_all()

        try:
            flight = Flight(task, ended)
            worker = flight.worker = self._living(self._choose(task, flight.parcel.residents))
            recipes = recipes_for(flight.parcel.residents, worker)
        except codec.NotStorable as error:
            reason = f"{error.args[0].removesuffix(' cannot be written to disk')} was made in this process and cannot"
            ended(
                Done(task.number, None, Elsewhere("NotStorable", f"{reason} be taken to the one that runs nodes"), 0.0)
            )
        except Exception as error:
            ended(Done(task.number, None, error, 0.0))
        else:
            make_first(recipes, flight, lambda: self._stopped)

    def stop(self) -> None:
        """See `Executor`: a node that has not ended half a second later is ended with its process."""
        self._stopped = True
        for worker in self._workers:
            worker.stop()

    def close(self) -> None:
        """See `Executor`."""
        give_back, self._give_back = self._give_back, None
        if give_back is None:
            return
        with self._idle:
            if self._flying:
                self.stop()
            while self._flying:
                self._idle.wait()
        for worker in self._workers:
            worker.settle()
            give_back(worker)

    def functions(self, cancel: CancelToken) -> Functions:
        """See `Executor`: those of packs are called in the worker."""
        return CalledThere(functools.partial(self._ask, cancel))

    def _ask(
        self,
        cancel: CancelToken,
        node_type: NodeType,
        function: dict[str, Any],
        inputs: Mapping[str, Any],
        before: dict[str, Any] | None = None,
    ) -> Any:
        """See `Ask`. Where the worker ends with it, another takes its place."""
        worker = self._workers[0]
        answer: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        task = Task(0, node_type, dict(inputs), None)
        flight = Flight(task, answer.put, worker, function=function, seconds=FUNCTION_SECONDS)
        flight.make_again(recipes_for(flight.parcel.residents, worker))
        if before is not None and self._told != (worker.owner, before["number"]):
            with contextlib.suppress(OSError):  # the call tells why
                worker.send(before)
            self._told = worker.owner, before["number"]
        with cancel.notifying(lambda: answer.put(None)):
            cancel.check()
            flight.start()
            while (done := answer.get()) is None:
                worker.stop()
        if not self._flying and not cancel.cancelled:
            self._living(worker)
        if done.error is not None:
            raise done.error
        return done.value

    def _living(self, worker: Transport) -> Transport:
        """One of the workers, or where it is gone another in its place, for a run that goes on after that."""
        if worker.alive or self._renew is None or self._stopped:
            return worker
        place = self._workers.index(worker)
        fresh = self._workers[place] = self._renew(worker)
        fresh.begin()
        return fresh

    def _choose(self, task: Task, residents: list[Resident]) -> Transport:
        workers = self._workers
        if len(workers) == 1:
            return workers[0]
        if task.slot is not None and self.devices is not None:
            return workers[task.slot % len(workers)]
        return min(workers, key=lambda it: (len(it.calls), -sum(value.address in it.live for value in residents)))


class IsolatedCache(Cache):
    """A cache as an isolated run sees it: with the values that live in workers, without those that live here.

    Args:
        inner: everything that can leave a process is looked up and kept there.
        live: for results that are Residents.
    """

    def __init__(self, inner: Cache, live: MemoryTier) -> None:
        self.memory = inner.memory
        self.disk = inner.disk
        self.trails = inner.trails
        self.history = inner.history
        self.workspaces = inner.workspaces
        self._live = live

    def find(self, key: bytes) -> Tier | None:
        """See `Cache`."""
        return "memory" if self._live.get(key) is not None else super().find(key)

    def peek(self, key: bytes) -> Tier | None:
        """See `Cache`."""
        if self._live.peek(key) is not None:
            return "memory"
        tier = super().peek(key)
        if tier == "memory":
            outputs = self.memory.peek(key)
            if outputs is not None and not storable(outputs):
                return None
        return tier

    def get(self, key: bytes) -> Outputs | None:
        """See `Cache`."""
        return self._live.get(key) or super().get(key)

    def put(self, key: bytes, outputs: Outputs, note: dict[str, Any] | None = None) -> None:
        """See `Cache`."""
        if not holds_resident(outputs):
            super().put(key, outputs, note)
        elif self.memory.ram_bytes:
            self._live.put(key, outputs)

    def drop(self, key: bytes) -> None:
        """See `Cache`."""
        self._live.drop(key)
        super().drop(key)

    def clear(self) -> int:
        """See `Cache`."""
        self._live.clear()
        return super().clear()
