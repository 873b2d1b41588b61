"""Lanes: how many nodes of each kind run at once, and which of those that are ready is next."""

from __future__ import annotations

import heapq
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from weft.engine.declaring.node_type import NodeType
from weft.engine.running.devices import Devices, RunSlots

if TYPE_CHECKING:
    from weft.engine.planning.steps import Rank

Entry = tuple["Rank", int, "Rank", int]
"""What is compared: what is finished first, how much memory it frees (negative), the order in the graph, the number."""


@dataclass(frozen=True, slots=True)
class LaneSizes:
    """How many nodes run at once.

    Attributes:
        cpu: ordinary nodes; None for one per core, from 2 to 8.
        io: ordinary nodes that wait for disks and networks.
        device: nodes that need the accelerator, async ones included: as many of the process's slots
            (`engine.Devices`) as one run may have at once. The process has as many as any run asked for.
        tasks: async nodes, whatever they declare but "device".
    """

    cpu: int | None = None
    io: int = 8
    device: int = 1
    tasks: int = 64

    def __post_init__(self) -> None:
        for name in ("cpu", "io", "device", "tasks"):
            size = getattr(self, name)
            if size is not None and size < 1:
                raise ValueError(f"the lane {name!r} has to have room for a node: at least 1, not {size}")


@dataclass(slots=True, eq=False)
class Lane:
    """One lane.

    Attributes:
        heap: what is ready, the next one first.
        running: how many run in it now.
        freeing: how many of those that are ready free memory.
        resumes: nodes that gave up their place while they waited for an input, and want it back.
    """

    size: int
    heap: list[Entry] = field(default_factory=list)
    running: int = 0
    freeing: int = 0
    resumes: deque[Callable[[], None]] = field(default_factory=deque)


class Lanes:
    """All lanes of a run; used by the scheduler's thread alone.

    Args:
        slots: what the run has of the process's devices; by default a device of its own.
    """

    def __init__(self, sizes: LaneSizes, slots: RunSlots | None = None) -> None:
        self.slots = slots or RunSlots(Devices(sizes.device), lambda: None)
        """A node of the device lane needs one of these too."""
        cpu = sizes.cpu or max(2, min(8, os.cpu_count() or 1))
        self.free = Lane(1 << 60)
        """What the scheduler does itself: taking from the cache, unfolding."""
        self.cpu, self.io, self.device = Lane(cpu), Lane(sizes.io), Lane(sizes.device)
        self.tasks = Lane(sizes.tasks)
        self._all = (self.free, self.cpu, self.io, self.device, self.tasks)
        self._others = (self.free, self.cpu, self.io, self.tasks)
        self._named = {"cpu": self.cpu, "io": self.io, "device": self.device}
        self._ahead = max(2, cpu)
        """How many ready nodes may wait, holding memory, before nothing new is begun elsewhere."""
        self.count = 0

    def of(self, node_type: NodeType) -> Lane:
        """Where a node runs."""
        if node_type.is_async and node_type.resource != "device":
            return self.tasks
        return self._named[node_type.resource]

    def push(self, lane: Lane, entry: Entry) -> None:
        """A node is ready."""
        heapq.heappush(lane.heap, entry)
        self.count += 1
        if entry[1]:
            lane.freeing += 1

    def take(self, lanes: tuple[Lane, ...] = ()) -> int | None:
        """The number of what is to start now; None when nothing is ready that has room.

        For one of the device lane a slot is at hand then.

        Args:
            lanes: where to look; by default everywhere.
        """
        best: Lane | None = None
        held_up = -1
        for lane in lanes or self._all:
            heap = lane.heap
            if not heap or lane.running >= lane.size:
                continue
            entry = heap[0]
            if best is not None and best.heap[0] < entry:
                continue
            if not entry[1]:
                # It frees nothing, so it begins something new. When others fall behind, their inputs would pile up.
                if held_up < 0:
                    held_up = sum(other.freeing for other in self._all if other.freeing and self._is_full(other))
                if held_up >= self._ahead:
                    continue
            best = lane
        if best is None:
            self.slots.put_back()
            return None
        if best is self.device and not self.slots.at_hand():
            return self.take(self._others)
        entry = heapq.heappop(best.heap)
        self.count -= 1
        if entry[1]:
            best.freeing -= 1
        return entry[3]

    def _is_full(self, lane: Lane) -> bool:
        return lane.running >= lane.size or (lane is self.device and self.slots.pending)

    def enter(self, lane: Lane, number: int) -> None:
        """A call takes its place in a lane."""
        lane.running += 1
        if lane is self.device:
            self.slots.use(number)

    def leave(self, lane: Lane, number: int) -> None:
        """A call needs its place no more."""
        lane.running -= 1
        if lane is self.device:
            self.slots.release(number)

    def resume(self) -> None:
        """Let go on who waited for an input and has it now, as far as there is room. They come before new ones."""
        for lane in self._all:
            while lane.resumes and lane.running < lane.size and (lane is not self.device or self.slots.at_hand()):
                lane.running += 1
                lane.resumes.popleft()()

    @property
    def waiting(self) -> bool:
        """Whether a node that has its input still waits for a place."""
        return any(lane.resumes for lane in self._all)


QUICK_SECONDS = 0.0005
"""A node that takes no longer is run by the scheduler itself: handing it to a thread would cost as much."""
PROBE_SECONDS = 0.005
"""How long the scheduler waits for the first call of a type, to see whether it is quick."""


class Pace:
    """How long calls of each type take in this run, the last ones counting most."""

    def __init__(self) -> None:
        self._mean: dict[NodeType, float] = {}

    def is_quick(self, node_type: NodeType) -> bool | None:
        """None of a type that was not called yet."""
        mean = self._mean.get(node_type)
        return None if mean is None else mean < QUICK_SECONDS

    def saw(self, node_type: NodeType, seconds: float) -> None:
        """A call took so long."""
        mean = self._mean.get(node_type)
        self._mean[node_type] = seconds if mean is None else mean + 0.3 * (seconds - mean)
