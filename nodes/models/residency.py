"""Which models are in memory, and where.

Each component has one copy per (weights, format, device). While a user holds a lease it stays on its device. When a
device is over its budget, the least recently used component without a lease moves to the host; when the host is over
its own, the least recently used there is dropped and will be loaded from its files again, to the same bytes.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger("weft.models")

HOST = "cpu"


@dataclass(eq=False)
class _Entry:
    key: Hashable
    nbytes: int
    home: str
    where: str
    used: int = 0
    leases: int = 0
    item: Any = None
    error: BaseException | None = None
    ready: threading.Event = field(default_factory=threading.Event)


class Lease:
    """The right to use a component on its device until ``release``."""

    def __init__(self, residency: Residency, entry: _Entry) -> None:
        self._residency = residency
        self._entry: _Entry | None = entry
        self.item = entry.item

    def release(self) -> None:
        """Give it back; a second time does nothing."""
        entry, self._entry, self.item = self._entry, None, None
        if entry is not None:
            self._residency._release(entry)


class Residency:
    """Holds components within budgets. Safe to use from any thread.

    Args:
        host_bytes: for what is in main memory, models that run on the CPU included; None is half of it.
        device_bytes: for each accelerator; None is 85 % of its memory.

    A budget bounds what is *kept*: a component larger than it, or one of several that are in use together, is still
    loaded, and the excess goes as soon as it can.
    """

    def __init__(self, host_bytes: int | None = None, device_bytes: int | None = None) -> None:
        self._host_bytes = host_bytes
        self._device_bytes = device_bytes
        # Re-entrant: the garbage collector may release a lease in the midst of anything.
        self._lock = threading.RLock()
        self._entries: dict[Hashable, _Entry] = {}
        self._clock = 0

    def acquire(self, key: Hashable, device: str, nbytes: int, load: Callable[[], Any]) -> Lease:
        """A lease on the component ``key``, loaded by ``load`` when it is not here. Loads once for all who ask.

        Args:
            key: names weights, format and device.
            device: where it is to be: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
            nbytes: what it will take, known before loading.
            load: returns it on ``device``. Not called under a lock: others go on meanwhile.

        Raises:
            Exception: what ``load`` raised; the next call tries again.
        """
        while True:
            with self._lock:
                entry = self._entries.get(key)
                mine = entry is None
                if entry is None:
                    self._make_room(device, nbytes)
                    entry = self._entries[key] = _Entry(key, nbytes, device, device)
                entry.leases += 1
                self._clock += 1
                entry.used = self._clock
            if mine:
                self._fill(entry, load)
            else:
                entry.ready.wait()
            if entry.error is None:
                try:
                    with self._lock:
                        self._bring_home(entry)
                except BaseException:
                    self._release(entry)
                    raise
                return Lease(self, entry)
            if mine:
                raise entry.error
            # Another thread's load failed, perhaps for a reason that is its own: try for ourselves.

    def resident(self, device: str | None = None) -> dict[Hashable, str]:
        """What is held, and on which device, least recently used first; of one device if given."""
        with self._lock:
            entries = sorted(self._entries.values(), key=lambda entry: entry.used)
            return {entry.key: entry.where for entry in entries if device in (None, entry.where)}

    def used_bytes(self, device: str) -> int:
        """Bytes of the components on a device."""
        with self._lock:
            return sum(entry.nbytes for entry in self._entries.values() if entry.where == device)

    def trim(self) -> None:
        """Bring every device within its budget, as far as leases allow."""
        with self._lock:
            for device in {entry.where for entry in self._entries.values()} - {HOST}:
                self._make_room(device, 0)
            self._make_room(HOST, 0)

    def clear(self) -> None:
        """Drop everything that is not in use."""
        with self._lock:
            for entry in list(self._entries.values()):
                if entry.leases == 0:
                    self._drop(entry)

    def _fill(self, entry: _Entry, load: Callable[[], Any]) -> None:
        try:
            try:
                entry.item = load()
            except Exception as error:
                if not _out_of_memory(error) or not self._evict(entry.home):
                    raise
                log.info("out of memory on %s: trying again without the models that are not in use", entry.home)
                entry.item = load()
        except BaseException as error:
            entry.error = error
            with self._lock:
                self._entries.pop(entry.key, None)
        finally:
            entry.ready.set()

    def _evict(self, device: str) -> bool:
        """Take everything that is not in use off a device; whether there was anything."""
        with self._lock:
            before = self.used_bytes(device)
            for entry in list(self._entries.values()):
                if entry.where == device and entry.leases == 0 and entry.ready.is_set():
                    self._drop(entry) if device == HOST else self._park(entry)
            return self.used_bytes(device) < before

    def _release(self, entry: _Entry) -> None:
        with self._lock:
            entry.leases -= 1

    def _bring_home(self, entry: _Entry) -> None:
        if entry.where != entry.home:
            self._make_room(entry.home, entry.nbytes)
            entry.item.to(entry.home)
            entry.where = entry.home

    def _make_room(self, device: str, wanted: int) -> None:
        budget = self._budget(device)
        used = self.used_bytes(device)
        idle = [e for e in self._entries.values() if e.where == device and e.leases == 0 and e.ready.is_set()]
        for entry in sorted(idle, key=lambda entry: entry.used):
            if used + wanted <= budget:
                return
            used -= entry.nbytes
            if device == HOST:
                self._drop(entry)
            else:
                self._park(entry)
        if used and used + wanted > budget:
            log.info("models in use take %d MB on %s, over the budget of %d MB", *_mb(used + wanted, device, budget))

    def _park(self, entry: _Entry) -> None:
        """From its device to the host, if that has room without going over its own budget; else out."""
        self._make_room(HOST, entry.nbytes)
        if self.used_bytes(HOST) + entry.nbytes > self._budget(HOST):
            self._drop(entry)
            return
        log.debug("moving %s off %s", entry.key, entry.where)
        entry.item.to(HOST)
        entry.where = HOST

    def _drop(self, entry: _Entry) -> None:
        log.debug("dropping %s", entry.key)
        self._entries.pop(entry.key, None)

    def _budget(self, device: str) -> int:
        if device == HOST:
            if self._host_bytes is None:
                self._host_bytes = _physical_memory() // 2
            return self._host_bytes
        if self._device_bytes is None:
            self._device_bytes = _device_memory(device) * 85 // 100
        return self._device_bytes


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # torch's, without torch


def _mb(used: int, device: str, budget: int) -> tuple[int, str, int]:
    return used >> 20, device, budget >> 20


def _physical_memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 << 30  # Windows has no sysconf


def _device_memory(device: str) -> int:
    import torch

    if device.startswith("cuda"):
        return int(torch.cuda.get_device_properties(torch.device(device)).total_memory)
    return _physical_memory() // 2  # mps shares the main memory


_default = Residency()


def default_residency() -> Residency:
    """The one that models use."""
    return _default


def set_default_residency(residency: Residency) -> Residency:
    """Use another one from now on; returns the one before. For tests, and servers that set budgets."""
    global _default
    before, _default = _default, residency
    return before
