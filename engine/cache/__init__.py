"""Results that need not be computed again: memory over disk.

Finding, storing and dropping results by their keys belongs here, and so does the form that values have on disk. What a
key is made of belongs to `planning`.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weft.engine.cache.entries import files_in, files_in_place
from weft.engine.cache.history import History
from weft.engine.cache.memory import MemoryTier
from weft.engine.cache.store import SMALL_BYTES, ResultStore
from weft.engine.cache.trails import Trail, Trails
from weft.engine.cache.workspaces import Workspaces
from weft.engine.filehash import remember_in
from weft.engine.values import Outputs

if TYPE_CHECKING:
    from weft.engine.events import Tier

MIB = 1024 * 1024
GIB = 1024 * MIB
DISK_BYTES = 20 * GIB
DEVICE_BYTES = 1 * GIB

TRAIL_BYTES = 256 * MIB
TRAIL_SHARE = 10
"""One part in so many of the folder is for trails."""

__all__ = ["Cache", "Outputs", "Trail", "Trails", "default_folder"]


class Cache:
    """Results by key.

    Args:
        folder: where results outlive the process; None keeps them in memory only.
        memory_bytes: budget for results in main memory; by default a quarter of it, at most 4 GiB.
        device_bytes: budget for results whose tensors lie on an accelerator.
        disk_bytes: budget for the folder; a tenth of it is for trails. Workspaces may take as much again.
        disk_min_seconds: results that took less than this many seconds, and whose entries have fewer bytes than
            `disk_min_bytes`, stay in memory only: another process makes them again. By default all go to disk.
        disk_min_bytes: see `disk_min_seconds`.
        disk_small_bytes: entries below this many bytes lie together in one database; 0 gives each a file of its own,
            as it has to be on a disk that several machines share.

    Attributes:
        trails: the steps of runs that went step by step, in tiers of their own; None when nothing is kept.
        history: what results were made of; None when nothing is kept.
        workspaces: folders that nodes go on in; None without a folder.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str] | None = None,
        *,
        memory_bytes: int | None = None,
        device_bytes: int = DEVICE_BYTES,
        disk_bytes: int = DISK_BYTES,
        disk_min_seconds: float = 0.0,
        disk_min_bytes: int = SMALL_BYTES,
        disk_small_bytes: int = SMALL_BYTES,
    ) -> None:
        self.memory = MemoryTier(_quarter_of_ram() if memory_bytes is None else memory_bytes, device_bytes)
        self.disk: ResultStore | None = None
        self.trails: Trails | None = None
        self.history: History | None = None
        self.workspaces: Workspaces | None = None
        if folder is not None:
            self.disk = ResultStore(
                folder,
                disk_bytes - disk_bytes // TRAIL_SHARE,
                small_bytes=disk_small_bytes,
                min_seconds=disk_min_seconds,
                min_bytes=disk_min_bytes,
            )
            self.workspaces = Workspaces(self.disk.folder / "workspaces", disk_bytes)
            remember_in(folder)
        if self.memory.ram_bytes or self.disk is not None:
            self.history = History(None if self.disk is None else self.disk.folder / "history")
            self.trails = Trails(
                min(TRAIL_BYTES, self.memory.ram_bytes // 8),
                None if self.disk is None else self.disk.folder,
                disk_bytes // TRAIL_SHARE,
            )

    @staticmethod
    def none() -> Cache:
        """A cache that keeps nothing."""
        return Cache(memory_bytes=0, device_bytes=0)

    @staticmethod
    def default() -> Cache:
        """The cache of this user, in `default_folder()`; one object a process."""
        return _shared(default_folder())

    def find(self, key: bytes) -> Tier | None:
        """Which tier has the result, without reading its tensors; None for a miss.

        A result that stands for files counts only while they are in place.
        """
        tier = self.peek(key)
        if tier == "memory":
            self.memory.get(key)  # now the most recently used
        return tier

    def peek(self, key: bytes) -> Tier | None:
        """What `find` would say, for a plan that is not carried out: it changes nothing."""
        outputs = self.memory.peek(key)
        if outputs is not None:
            return "memory" if files_in_place(files_in(outputs)) else None
        if self.disk is not None and key in self.disk:
            return "disk"
        return None

    def get(self, key: bytes) -> Outputs | None:
        """The result, or None. One from disk is held in memory from now on."""
        outputs = self.memory.get(key)
        if outputs is None and self.disk is not None:
            outputs = self.disk.get(key)
            if outputs is not None:
                self.memory.put(key, outputs)
        return outputs

    def put(self, key: bytes, outputs: Outputs, note: dict[str, Any] | None = None) -> None:
        """Keep a result. It is found from now on, and on disk after a `flush`.

        Args:
            note: plain data about it, such as its node type and the `seconds` that it took.
        """
        if self.memory.ram_bytes:
            self.memory.put(key, outputs)
        if self.disk is not None:
            self.disk.put(key, outputs, note or {})

    def flush(self) -> None:
        """Return when all results that were put are on disk, as far as it takes them. A run ends with this."""
        if self.disk is not None:
            self.disk.flush()

    def drop(self, key: bytes) -> None:
        """Forget one result."""
        self.memory.drop(key)
        if self.disk is not None:
            self.disk.drop(key)

    def clear(self) -> int:
        """Forget everything; returns how many results were removed from disk."""
        self.memory.clear()
        if self.trails is not None:
            self.trails.clear()
        if self.history is not None:
            self.history.clear()
        if self.workspaces is not None:
            self.workspaces.clear()
        return self.disk.clear() if self.disk is not None else 0


def default_folder() -> Path:
    """`$WEFT_CACHE`, or the user's cache folder."""
    if chosen := os.environ.get("WEFT_CACHE"):
        return Path(chosen).absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("weft", appauthor=False))


@functools.cache
def _shared(folder: Path) -> Cache:
    return Cache(folder)


def _quarter_of_ram() -> int:
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        total = 4 * GIB
    return min(4 * GIB, total // 4)
