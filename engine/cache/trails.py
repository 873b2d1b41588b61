"""Work that went step by step, kept so that another run can go on from where the two part.

A *trail* is a chain of keys, one a step, and what is known after these steps. Equal keys mean equal states, and each
key covers all before it; so of two chains with one base, the steps that they share are their common beginning.

Trails are found by their base: a key consists of the base's first half and the first half of the last step's key.
They live in tiers of their own, bounded by bytes, so that they never push out results.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.engine.cache.disk import DiskTier
from weft.engine.cache.memory import MemoryTier
from weft.engine.ownership import copy_for
from weft.engine.values import nbytes

PROGRESS_MARKS = 4096
PROGRESS_BYTES = 16 * 1024 * 1024
HALF = 10
"""Bytes of a key that tell its base."""
PER_BASE = 16
"""Trails of one base on disk: looking for one reads all their heads."""


@dataclass(frozen=True, slots=True)
class Trail:
    """A trail that was found. shared: how many of its steps are those asked for. value: a copy of what was kept."""

    shared: int
    value: Any


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a node came in an earlier run. steps: that need not be made again, at least. of: how many, if known."""

    steps: int
    of: int | None


class Trails:
    """Trails over two tiers.

    Args:
        memory_bytes: budget in main memory.
        folder: where trails outlive the process, in a folder `trails`; None keeps them in memory only.
        disk_bytes: budget there.
    """

    def __init__(self, memory_bytes: int, folder: Path | None = None, disk_bytes: int = 0) -> None:
        self.memory = MemoryTier(memory_bytes, 0)
        self.disk = DiskTier(folder, disk_bytes, "trails") if folder is not None else None
        self._progress: OrderedDict[bytes, dict[str, Any]] = OrderedDict()
        self._progress_disk = DiskTier(folder, PROGRESS_BYTES, "progress") if folder is not None else None
        self._marks: tuple[bytes, ...] = ()

    def marked(self, marks: Sequence[bytes]) -> Trails:
        """The same trails, for a node: what is put there is found by `progress` of each of these marks."""
        view = copy.copy(self)
        view._marks = tuple(marks)
        return view

    def progress(self, mark: bytes) -> Progress | None:
        """How far the trail is that was put last under a mark, and is there still. Changes nothing."""
        note = self._progress.get(mark)
        if note is None and self._progress_disk is not None:
            note = self._progress_disk.note(mark)
        try:
            base, last, count = note["base"], note["last"], note["count"]  # type: ignore[index]
            if any(len(chain) >= count and chain[count - 1] == last for chain in self._chains(base)):
                return Progress(note["usable"], note["of"])  # type: ignore[index]
        except (KeyError, TypeError, IndexError):
            pass
        return None

    def _chains(self, base: bytes) -> Iterator[Sequence[bytes]]:
        """The chains from a base, without a word on their use."""
        for key in self.memory.oldest_first():
            if key.startswith(base[:HALF]) and (outputs := self.memory.peek(key)) is not None:
                yield outputs[0]
        for key in self.disk.matching(base[:HALF]) if self.disk is not None else ():
            yield (self.disk.note(key) or {}).get("chain") or () if self.disk is not None else ()

    def _mark(self, note: dict[str, Any]) -> None:
        for mark in self._marks:
            self._progress[mark] = note
            self._progress.move_to_end(mark)
            while len(self._progress) > PROGRESS_MARKS:
                self._progress.popitem(last=False)
            if self._progress_disk is not None:
                self._progress_disk.drop(mark)
                self._progress_disk.put(mark, (), note)

    @property
    def trail_bytes(self) -> int:
        """How much one trail should take at most, so that some of them fit."""
        budgets = [self.memory.ram_bytes, *([self.disk.max_bytes] if self.disk is not None else [])]
        return max(budgets) // 8

    def longest(self, base: bytes, chain: Sequence[bytes]) -> Trail | None:
        """The trail from `base` that shares most steps with `chain`; None when none shares any.

        An entry that is damaged, or is no trail, is passed over.
        """
        found = sorted(self._candidates(base, chain), key=lambda item: -item[0])
        for shared, key in found:
            outputs = self.memory.get(key)
            if outputs is None and self.disk is not None:
                outputs = self.disk.get(key)
                if outputs is not None:
                    self.memory.put(key, outputs)
            if outputs is not None and len(outputs) == 2 and _shared(outputs[0], chain) == shared:
                return Trail(shared, copy_for(outputs[1]))
        return None

    def put(
        self, base: bytes, chain: Sequence[bytes], value: Any, *, usable: int | None = None, of: int | None = None
    ) -> None:
        """Keep what is known after the steps of `chain`, which is not empty; `value` is plain data and tensors.

        Trails that are only the beginning of this one are let go of.

        Args:
            usable: after how many steps a run can go on; by default after all of them.
            of: how many steps the run has when it is done.
        """
        key = _key(base, chain[-1])
        outputs = (tuple(chain), copy_for(value))
        if nbytes(outputs) <= self.memory.ram_bytes:
            self.memory.put(key, outputs)
        if self.disk is not None:
            self.disk.put(key, outputs, {"chain": list(chain)})
        count = len(chain)
        usable = count if usable is None else usable
        self._mark({"base": base, "last": chain[-1], "count": count, "usable": usable, "of": of})
        for shared, other, length in self._known(base, chain):
            if other != key and shared == length:
                self.drop(other)
        if self.disk is not None:
            for other in self.disk.matching(base[:HALF])[PER_BASE:]:
                self.disk.drop(other)

    def drop(self, key: bytes) -> None:
        """Forget one trail."""
        self.memory.drop(key)
        if self.disk is not None:
            self.disk.drop(key)

    def clear(self) -> int:
        """Forget everything; returns how many trails were removed from disk."""
        self.memory.clear()
        self._progress.clear()
        if self._progress_disk is not None:
            self._progress_disk.clear()
        return self.disk.clear() if self.disk is not None else 0

    def _candidates(self, base: bytes, chain: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
        for shared, key, _ in self._known(base, chain):
            if shared:
                yield shared, key

    def _known(self, base: bytes, chain: Sequence[bytes]) -> Iterator[tuple[int, bytes, int]]:
        """(steps shared, key, length) of each trail from `base`; those in memory first, each once."""
        seen = set()
        for key in self.memory.oldest_first():
            if key.startswith(base[:HALF]):
                outputs = self.memory.get(key)
                if outputs is not None:
                    seen.add(key)
                    yield _shared(outputs[0], chain), key, len(outputs[0])
        if self.disk is None:
            return
        for key in self.disk.matching(base[:HALF]):
            if key not in seen:
                known = (self.disk.note(key) or {}).get("chain")
                if isinstance(known, list) and known:
                    yield _shared(known, chain), key, len(known)


def _key(base: bytes, last: bytes) -> bytes:
    return base[:HALF] + last[:HALF]


def _shared(first: Any, second: Sequence[bytes]) -> int:
    """How many keys two chains have in common, from the beginning on."""
    count = 0
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        count += 1
    return count
