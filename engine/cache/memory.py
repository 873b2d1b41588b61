"""The tier in memory: results by key, bounded by bytes, least recently used first out."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from weft.engine.values import Outputs, Storage, measure


@dataclass(slots=True)
class _Entry:
    outputs: Outputs
    small: int
    blocks: Mapping[int, Storage]


class MemoryTier:
    """Results held in this process.

    Memory under tensors counts once however many results share it, and it counts for the budget of where it lies.

    Args:
        ram_bytes: budget for values in main memory; 0 keeps nothing.
        device_bytes: budget for tensors on accelerators.
    """

    def __init__(self, ram_bytes: int, device_bytes: int) -> None:
        self.ram_bytes = ram_bytes
        self.device_bytes = device_bytes
        self.ram_used = 0
        self.device_used = 0
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._shared: dict[int, int] = {}
        """How many entries stand on each block of memory."""
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: bytes) -> bool:
        return key in self._entries

    def get(self, key: bytes) -> Outputs | None:
        """The result, now the most recently used, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry.outputs

    def peek(self, key: bytes) -> Outputs | None:
        """The result, or None; it is no more recently used than before."""
        entry = self._entries.get(key)
        return None if entry is None else entry.outputs

    def put(self, key: bytes, outputs: Outputs) -> None:
        """Hold a result, letting go of others where the budgets ask for it; one that alone is over them is not held."""
        small, blocks = measure(outputs)
        with self._lock:
            self._remove(key)
            self._entries[key] = _Entry(outputs, small, blocks)
            self.ram_used += small
            for block in blocks.values():
                users = self._shared.get(block.id, 0)
                self._shared[block.id] = users + 1
                if not users:
                    self._count(block, 1)
            while self._entries and (self.ram_used > self.ram_bytes or self.device_used > self.device_bytes):
                self._remove(next(iter(self._entries)))

    def oldest_first(self) -> list[bytes]:
        """The keys of all results, the least recently used first."""
        with self._lock:
            return list(self._entries)

    def drop(self, key: bytes) -> None:
        """Let go of one result, if it is held."""
        with self._lock:
            self._remove(key)

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            for key in list(self._entries):
                self._remove(key)

    def _remove(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self.ram_used -= entry.small
        for block in entry.blocks.values():
            self._shared[block.id] -= 1
            if not self._shared[block.id]:
                del self._shared[block.id]
                self._count(block, -1)

    def _count(self, block: Storage, sign: int) -> None:
        if block.device == "cpu":
            self.ram_used += sign * block.nbytes
        else:
            self.device_used += sign * block.nbytes
