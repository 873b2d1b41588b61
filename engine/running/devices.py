"""The accelerators' slots, which all runs of a process share: how many nodes of the device lane run at once."""

from __future__ import annotations

import functools
import heapq
import threading
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar

ON_DEVICE: ContextVar[bool] = ContextVar("weft_on_device", default=False)
"""Whether a node that has a slot is what runs here: a run that it starts in turn must not wait for that slot."""


class Devices:
    """So many slots, given to runs in the order in which they ask.

    Runs that are given the same object share its slots; those that are given none share one slot a process. A run asks
    for a slot when a node of the device lane is ready, one at a time, and gives it back when that node ends, or waits
    for a lazy input, or is inside `ctx.yield_device()`.

    Args:
        slots: how many nodes may use a device at once. Slots have numbers from 0.
    """

    def __init__(self, slots: int = 1) -> None:
        if slots < 1:
            raise ValueError(f"there has to be a slot at least, not {slots}")
        self.slots = slots
        self._free = list(range(slots))
        self._queue: deque[RunSlots] = deque()
        self._lock = threading.Lock()

    def grow(self, slots: int) -> None:
        """Have so many slots at least."""
        if slots <= self.slots:
            return
        with self._lock:
            new = range(self.slots, slots)
            self.slots = max(self.slots, slots)
        for slot in new:
            self._free_slot(slot)

    def ask(self, run: RunSlots) -> int | None:
        """A slot, or None: then `run.granted` is called when there is one."""
        with self._lock:
            if self._free:
                return heapq.heappop(self._free)
            self._queue.append(run)
            return None

    def withdraw(self, run: RunSlots) -> None:
        """A run wants none any more."""
        with self._lock:
            if run in self._queue:
                self._queue.remove(run)

    def give_back(self, slot: int) -> None:
        """A slot that `ask` or `granted` gave is free again."""
        self._free_slot(slot)

    def _free_slot(self, slot: int) -> None:
        with self._lock:
            if not self._queue:
                heapq.heappush(self._free, slot)
                return
            run = self._queue.popleft()
        run.granted(slot)


class RunSlots:
    """What one run has of them.

    Args:
        wake: called, from any thread, when a slot comes that was asked for.

    Attributes:
        pending: whether one was asked for that is not there.
    """

    def __init__(self, devices: Devices, wake: Callable[[], object]) -> None:
        self._devices = devices
        self._wake = wake
        self._spare: int | None = None
        self._used: dict[int, int] = {}
        self._closed = False
        self._lock = threading.Lock()
        self.pending = False

    def at_hand(self) -> bool:
        """Whether a slot is there for the next node; else one is asked for."""
        if self._spare is not None:
            return True
        if self.pending:
            return False
        self.pending = True
        slot = self._devices.ask(self)
        if slot is None:
            return False
        self._spare, self.pending = slot, False
        return True

    def granted(self, slot: int) -> None:
        """One that was asked for is there; from any thread."""
        with self._lock:
            closed = self._closed
            if not closed:
                self._spare, self.pending = slot, False
        if closed:
            self._devices.give_back(slot)
        else:
            self._wake()

    def use(self, number: int) -> None:
        """The slot at hand is that of a call from now on."""
        with self._lock:
            if self._spare is not None:
                self._used[number], self._spare = self._spare, None

    def of(self, number: int) -> int | None:
        """The slot of a call."""
        return self._used.get(number)

    def release(self, number: int) -> None:
        """A call needs its slot no more; from any thread, as often as you like."""
        with self._lock:
            slot = self._used.pop(number, None)
        if slot is not None:
            self._devices.give_back(slot)

    def put_back(self) -> None:
        """Nothing is there to use the slot at hand."""
        if self._spare is None:
            return
        with self._lock:
            slot, self._spare = self._spare, None
        if slot is not None:
            self._devices.give_back(slot)

    def close(self) -> None:
        """The run is over: it has no slots and wants none."""
        with self._lock:
            self._closed = True
        if self.pending:
            self._devices.withdraw(self)
        self.put_back()
        for number in list(self._used):
            self.release(number)


def shared_devices(slots: int = 1) -> Devices:
    """Those of this process, for runs that are given none: from now on with so many slots at least."""
    devices = _shared()
    devices.grow(slots)
    return devices


@functools.cache
def _shared() -> Devices:
    return Devices()
