"""Writes results behind the back of the run: a thread takes them in batches, and who looks for one meanwhile finds it.

What waits is bounded by bytes: a run that makes results faster than the disk takes them waits for the disk. `flush`
writes what waits in the thread that calls it; at the end of the process that is done for all.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

from weft.engine.cache.entries import Entry

log = logging.getLogger("weft.cache")

WAITING_BYTES = 256 * 1024 * 1024
"""How much may wait to be written; a larger result waits alone."""
ENTRY_BYTES = 1024
"""What an entry that waits takes beside its own bytes, about."""
_GATHER_SECONDS = 0.05
_GATHER_BYTES = 1024 * 1024
"""For a batch, whichever is reached first."""
_IDLE_SECONDS = 2.0

Write = Callable[[list[Entry]], None]
"""Writes some entries; says itself what went wrong with them."""


class Writer:
    """The results of one folder that are to be written.

    Args:
        waiting_bytes: how much may wait.
    """

    def __init__(self, waiting_bytes: int = WAITING_BYTES) -> None:
        self.waiting_bytes = waiting_bytes
        self._reset()
        _writers.add(self)

    def _reset(self) -> None:
        self._entries: dict[bytes, tuple[Entry, Write]] = {}
        self._bytes = 0
        self._changed = threading.Condition()
        self._writing = threading.Lock()
        """Had by who writes: one thread at a time."""
        self._thread: threading.Thread | None = None

    def get(self, key: bytes) -> Entry | None:
        """The entry, if it waits."""
        waiting = self._entries.get(key)
        return None if waiting is None else waiting[0]

    def add(self, entry: Entry, write: Write) -> None:
        """Have an entry written soon; waits while there is too much to write."""
        cost = entry.size + ENTRY_BYTES
        with self._changed:
            while self._bytes and self._bytes + cost > self.waiting_bytes and self._has_thread():
                self._changed.wait(1.0)
            was_empty = not self._entries
            before = self._entries.pop(entry.key, None)
            self._bytes += cost - (before[0].size + ENTRY_BYTES if before is not None else 0)
            self._entries[entry.key] = entry, write
            behind = self._has_thread()
            if was_empty or self._bytes >= _GATHER_BYTES:
                self._changed.notify_all()
        if not behind:
            self.flush()

    def flush(self) -> None:
        """Write what waits now; returns when it is written."""
        if self._entries:
            with self._writing:
                self._drain()

    def forget(self, key: bytes | None, remove: Callable[[], int]) -> int:
        """Give up an entry, or all, and remove what is written, so that none of it is written afterwards."""
        with self._writing:
            with self._changed:
                for gone in [key] if key is not None else list(self._entries):
                    waiting = self._entries.pop(gone, None)
                    if waiting is not None:
                        self._bytes -= waiting[0].size + ENTRY_BYTES
                self._changed.notify_all()
            return remove()

    def _drain(self) -> None:
        """Write what waits, in the order in which it came."""
        with self._changed:
            waiting = list(self._entries.values())
        batches: dict[Write, list[Entry]] = {}
        for entry, write in waiting:
            batches.setdefault(write, []).append(entry)
        for write, entries in batches.items():
            try:
                write(entries)
            except Exception:  # nothing that is wrong with an entry may end the thread, or a run
                log.warning("%d results could not be written", len(entries), exc_info=True)
            with self._changed:
                for entry in entries:
                    now = self._entries.get(entry.key)
                    if now is not None and now[0] is entry:
                        del self._entries[entry.key]
                        self._bytes -= entry.size + ENTRY_BYTES
                self._changed.notify_all()

    def _has_thread(self) -> bool:
        """Start the thread, if there is none; False when there can be none, as at the end of the process."""
        if self._thread is None:
            thread = threading.Thread(target=self._work, name="weft-cache-writer", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        return True

    def _work(self) -> None:
        while True:
            with self._changed:
                if not self._entries:
                    self._changed.wait(_IDLE_SECONDS)
                if not self._entries:
                    self._thread = None
                    return
                if self._bytes < _GATHER_BYTES:
                    self._changed.wait(_GATHER_SECONDS)
            self.flush()


_writers: weakref.WeakSet[Writer] = weakref.WeakSet()
_by_folder: weakref.WeakValueDictionary[str, Writer] = weakref.WeakValueDictionary()
_registry = threading.Lock()


def writer_of(folder: Path) -> Writer:
    """The writer of a folder; one object a process, so that all caches there see what waits."""
    with _registry:
        name = os.path.realpath(folder)
        writer = _by_folder.get(name)
        if writer is None:
            writer = _by_folder[name] = Writer()
        return writer


def _flush_all() -> None:
    for writer in list(_writers):
        writer.flush()


def _in_child() -> None:
    """What waits is written by the parent, and its threads are not here."""
    global _registry
    _registry = threading.Lock()
    for writer in list(_writers):
        writer._reset()


atexit.register(_flush_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
