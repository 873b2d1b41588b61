"""Keeps the entries of a folder below their limit, whoever writes there: the least recently used go first."""

from __future__ import annotations

import errno
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from weft.engine.cache.tally import Tally, locked

FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""Numbers of errors that say that there is no room on the disk."""
_LEAST_FREED = 1 << 20
_TRIES = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Occupant:
    """One entry as it takes room: `used` is when it was last read or written, `name` what its place calls it."""

    used: float
    size: int
    name: Any


class Place(Protocol):
    """Where entries lie."""

    def total(self) -> int:
        """Bytes of all of them."""

    def oldest_first(self) -> Iterator[Occupant]:
        """All of them, the least recently used first."""

    def remove(self, occupants: list[Occupant]) -> tuple[int, int]:
        """Remove some; returns how many were there, and how many bytes."""


class Room:
    """What the places of one folder may take together.

    Args:
        max_bytes: the limit.
        tally: what they take now.
        folder: is locked by who removes entries.
        evicted: called with how many entries had to go.
    """

    def __init__(self, max_bytes: int, tally: Tally, folder: Path, evicted: Callable[[int], None]) -> None:
        self.max_bytes = max_bytes
        self._folder = folder
        self.places: list[Place] = []
        self.tally = tally
        self._evicted = evicted

    def make(self, size: int) -> None:
        """Have room for so many bytes more."""
        if self.tally.total() + size <= self.max_bytes:
            return
        with locked(self._folder):
            # Another process may have removed enough meanwhile, and what was told may be wrong by now. Go well below
            # the limit, so that this is seldom needed.
            used = self.tally.recount()
            if used + size > self.max_bytes:
                self._evict(used - (self.max_bytes * 9 // 10 - size))

    def write(self, size: int, write: Callable[[], T]) -> T:
        """Write something of so many bytes: make room for it, and where the disk is full below the limit, try again.

        Raises:
            OSError: it cannot be written.
        """
        tries = _TRIES
        while True:
            try:
                self.make(size)
                return write()
            except OSError as error:
                tries -= 1
                if not tries or error.errno not in FULL or not self.free(size):
                    raise

    def free(self, size: int) -> bool:
        """Let go of more than these bytes, since the disk is full below the limit. False when nothing was left."""
        wanted = max(2 * size, self.tally.total() // 50, _LEAST_FREED)
        with locked(self._folder):
            return self._evict(wanted) > 0

    def _evict(self, wanted: int) -> int:
        """Remove entries of so many bytes together, or all; returns how many entries."""
        going: list[list[Occupant]] = [[] for _ in self.places]
        streams = [self._numbered(number, place) for number, place in enumerate(self.places)]
        for occupant, number in heapq.merge(*streams, key=lambda item: item[0].used):
            if wanted <= 0:
                break
            going[number].append(occupant)
            wanted -= occupant.size
        removed = [place.remove(occupants) for place, occupants in zip(self.places, going, strict=True) if occupants]
        count = sum(count for count, _ in removed)
        self._evicted(count)
        self.tally.add(-sum(size for _, size in removed))
        return count

    @staticmethod
    def _numbered(number: int, place: Place) -> Iterator[tuple[Occupant, int]]:
        for occupant in place.oldest_first():
            yield occupant, number
