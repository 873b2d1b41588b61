"""Removing the files that nobody names.

Named are those of jobs, of saved workflows and their versions; whoever is about to name one reserves it first. The
order is what makes this safe beside everything else: first the files are listed, then the names are asked for, and each
file is looked at once more, under the store's lock, when it is removed. So a file of a job that was accepted

- before the names were asked for, is among the names,
- after that, was reserved before, and is spared; or it was gone already, and the job was refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from weft.server.files.blobs import DAY, BlobStore
from weft.server.files.thumbnails import Thumbnails

MOMENT = 60.0
"""Seconds for which a new file is spared in any case: what a job made is named in the moment after."""


class Patient:
    """The time on the wall for whoever removes what is old: where its clock is set forward, nothing grows old by that.

    What is spared is so for a day at most. After a day with the new time it is taken for right.

    Args:
        wall, steady: clocks, in seconds; the second one is never set.
    """

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._wall, self._steady = wall, steady
        self._ahead = wall() - steady()
        self._jumped: float | None = None

    def __call__(self) -> float:
        """The time in seconds since 1970, or an earlier one."""
        steady = self._steady()
        ahead = self._wall() - steady
        if ahead <= self._ahead + MOMENT:
            self._jumped = None
        elif self._jumped is None:
            self._jumped = steady
        if self._jumped is None or steady - self._jumped > DAY:
            self._ahead, self._jumped = ahead, None
        return steady + min(ahead, self._ahead)


@dataclass(frozen=True, slots=True)
class Collected:
    """What a collection removed, and what stayed: how many files, and their bytes."""

    removed: int
    removed_bytes: int
    left: int
    left_bytes: int


def collect(
    store: BlobStore,
    named: Callable[[], Collection[str]],
    thumbnails: Thumbnails | None = None,
    age: float = MOMENT,
    clock: Callable[[], float] = time.time,
) -> Collected:
    """Remove every file that nobody names and nobody has reserved, and what broken-off uploads left.

    Args:
        named: gives the ids of all files that something names; asked after the files were listed.
        age: spare files that were put there less than so many seconds ago.

    Raises:
        What `named` raises: nothing was removed then.
    """
    now = clock()
    stored = list(store.list())
    spared = frozenset(named())
    removed = [item for item in stored if item.id not in spared and store.remove(item.id, now=now, age=age)]
    store.tidy(now)
    if thumbnails is not None:
        thumbnails.forget({item.id for item in removed})
        thumbnails.tidy(now)
    count = sum(item.bytes for item in removed)
    return Collected(len(removed), count, len(stored) - len(removed), sum(item.bytes for item in stored) - count)


def collect_these(
    store: BlobStore,
    ids: Iterable[str],
    named: Callable[[], Collection[str]],
    thumbnails: Thumbnails | None = None,
    clock: Callable[[], float] = time.time,
) -> set[str]:
    """Remove at once those of these files that nobody names and nobody has reserved: those of a job that is deleted.

    Args:
        named: as of `collect`, asked after the job's own names are gone.
    """
    now, asked = clock(), set(ids)
    spared = frozenset(named())
    removed = {id for id in asked - spared if store.remove(id, now=now)}
    if thumbnails is not None:
        thumbnails.forget(removed)
    return removed
