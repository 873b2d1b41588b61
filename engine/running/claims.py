"""Which results are being computed in this process: a run that needs one waits for it and does not compute it too.

A run claims a key when it calls the node, and gives it up when the result is in the cache, or will not be. Who waited
then looks into the cache, and computes for itself what is not there: failures are not shared. What a run waits for is
always further up the graph than what others wait for from it, so they cannot wait for each other. A run that a node
started does not wait, since that node may have what others need to go on.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable

from weft.engine.cache import Cache


class Claims:
    """The keys that the runs on one cache compute.

    Attributes:
        runs: how many runs have begun so far, and how many of them go on now: while that stays, nobody else can have
            put a result into the cache.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[bytes, list[Callable[[], object]]] = {}
        """Who waits for each key. No lock: single operations of a dict and a list cannot come between each other."""
        self.runs = (0, 0)

    def begin(self) -> None:
        """A run begins."""
        with self._lock:
            begun, active = self.runs
            self.runs = (begun + 1, active + 1)

    def end(self) -> None:
        """A run has ended."""
        with self._lock:
            begun, active = self.runs
            self.runs = (begun, active - 1)

    def claim(self, key: bytes) -> bool:
        """Whether the key is the caller's to compute."""
        mine: list[Callable[[], object]] = []
        return self._waiting.setdefault(key, mine) is mine

    def wait(self, key: bytes, ended: Callable[[], object]) -> None:
        """Have `ended` called, from any thread and perhaps twice, once a key is given up that another run claimed."""
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.append(ended)
        if self._waiting.get(key) is not waiting or waiting is None:  # it was given up meanwhile
            ended()

    def give_up(self, key: bytes) -> None:
        """The result of a claimed key is in the cache, or will not be."""
        for ended in self._waiting.pop(key, ()):
            ended()


_by_folder: weakref.WeakValueDictionary[str, Claims] = weakref.WeakValueDictionary()
_by_memory: weakref.WeakKeyDictionary[object, Claims] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def claims_of(cache: Cache) -> Claims | None:
    """The claims of all runs that use a cache, or another one in the same folder; None where nothing is kept."""
    with _lock:
        if cache.disk is not None:
            return _by_folder.setdefault(str(cache.disk.folder), Claims())
        if not cache.memory.ram_bytes:
            return None
        return _by_memory.setdefault(cache.memory, Claims())
