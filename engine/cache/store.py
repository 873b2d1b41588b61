"""Results on disk: large ones in files of their own, small ones together in a pack, all written behind the run's back.

Both lie below one limit, are found and removed by one key, and go by one order of last use.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from weft.engine.cache import codec
from weft.engine.cache.disk import DiskCounts, DiskTier
from weft.engine.cache.entries import Damaged, Entry, files_in_place, outputs_of, read_entry, serialize
from weft.engine.cache.pack import pack_of
from weft.engine.cache.writer import writer_of
from weft.engine.values import Outputs

log = logging.getLogger("weft.cache")

SMALL_BYTES = 4096
"""Entries below this go into the pack."""
_BATCH = 256
_TOUCHED = 10_000
"""How many entries that were read are remembered until that is written."""


class ResultStore:
    """Results in a folder.

    Args:
        folder: made when the first result is written.
        max_bytes: all results together; the least recently used go first.
        small_bytes: entries below this go into the pack; 0 gives each a file of its own.
        min_seconds: a result that took less and is smaller than `min_bytes` is not written: it is made again as fast.
        min_bytes: see `min_seconds`.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        max_bytes: int,
        *,
        small_bytes: int = SMALL_BYTES,
        min_seconds: float = 0.0,
        min_bytes: int = SMALL_BYTES,
    ) -> None:
        self.files = DiskTier(folder, max_bytes)
        self.folder = self.files.folder
        self.max_bytes = max_bytes
        self.small_bytes = small_bytes
        self.min_seconds = min_seconds
        self.min_bytes = min_bytes
        self._pack = pack_of(self.folder / "small")
        self._writer = writer_of(self.folder)
        self._damages = self._pack.database.damages
        self._touched: dict[bytes, None] = {}
        self._touching = threading.Lock()
        self.files.room.places.append(self._pack)

    @property
    def counts(self) -> DiskCounts:
        """What happened in this process."""
        self._count_damages()
        return self.files.counts

    # -- looking

    def __contains__(self, key: bytes) -> bool:
        """Whether the result can be had: it is sound, its value classes are known, its files are in place."""
        head = self.note(key)
        return head is not None and files_in_place(head["files"])

    def get(self, key: bytes) -> Outputs | None:
        """The result, now the most recently used, or None. One that waits to be written is there."""
        waiting = self._writer.get(key)
        try:
            if waiting is not None:
                found = read_entry(waiting.joined(), key)
                return outputs_of(*found)
        except (Damaged, codec.Undecodable):
            return None  # it was changed in place since
        found_small = self._small(key)
        if found_small is None:
            return self.files.get(key)
        try:
            outputs = outputs_of(*found_small)
        except codec.Undecodable as damage:
            self._remove_damaged(key, damage)
            return None
        with self._touching:
            if len(self._touched) < _TOUCHED:
                self._touched[key] = None
        return outputs

    def note(self, key: bytes) -> dict[str, Any] | None:
        """What was noted with a result when it was put; None for a miss, or a value class that is not known."""
        waiting = self._writer.get(key)
        if waiting is not None:
            return waiting.head() if codec.known(waiting.classes) else None
        found = self._small(key)
        if found is None:
            return self.files.note(key)
        return found[0] if codec.known(found[0]["classes"]) else None

    def matching(self, prefix: bytes) -> list[bytes]:
        """Keys that begin with `prefix`, which has a byte or more; the most recently used first."""
        self.flush()
        found = self._pack.matching(prefix) + self.files.matching_used(prefix)
        return list(dict.fromkeys(key for _, key in sorted(found, reverse=True)))

    def _small(self, key: bytes) -> tuple[dict[str, Any], bytearray] | None:
        data = self._pack.get(key)
        if data is None:
            return None
        try:
            return read_entry(data, key)
        except Damaged as damage:
            self._remove_damaged(key, damage)
            return None

    def _remove_damaged(self, key: bytes, damage: Exception) -> None:
        self.files.say_damage(key.hex(), damage)
        self._pack.drop([key])

    # -- writing

    def put(self, key: bytes, outputs: Outputs, note: dict[str, Any]) -> bool:
        """Have a result written; False when it cannot be (a live model), is there, is too large or not worth it.

        It is taken as it is now, whatever becomes of it, and found from now on. What goes wrong when it is written is
        counted and said in the log, and fails no run.
        """
        try:
            entry = serialize(key, outputs, note)
        except codec.NotStorable as reason:
            log.debug("not kept on disk: %s", reason)
            return False
        seconds = note.get("seconds")
        if seconds is not None and seconds < self.min_seconds and entry.size < self.min_bytes and not entry.files:
            return False
        if entry.size > self.max_bytes or (entry.size >= self.small_bytes and self.files.has(key)):
            return False
        entry.own()
        self._writer.add(entry, self._write)
        return True

    def flush(self) -> None:
        """Return when all results that were put are on disk, as far as it takes them."""
        self._writer.flush()
        self._write_touched()

    def _write(self, entries: list[Entry]) -> None:
        """Write entries, in the writer's thread or in one that waits for it."""
        small = [entry for entry in entries if entry.size < self.small_bytes]
        for start in range(0, len(small), _BATCH):
            self._write_small(small[start : start + _BATCH])
        for entry in entries:
            if entry.size >= self.small_bytes:
                self.files.write(entry)
        self._write_touched()

    def _write_small(self, entries: list[Entry]) -> None:
        rows = [(entry.key, entry.joined()) for entry in entries]
        size = sum(len(data) for _, data in rows)
        try:
            added = self.files.room.write(size, lambda: self._pack.put(rows))
        except OSError as error:
            self.files.say_failure(error, len(entries))
            return
        if added is None:  # no database to be had
            for entry in entries:
                self.files.write(entry)
        else:
            self.files.room.tally.add(added)

    def _write_touched(self) -> None:
        with self._touching:
            keys, self._touched = list(self._touched), {}
        if keys:
            self._pack.touch(keys)

    # -- all of them

    def drop(self, key: bytes) -> None:
        """Remove one result, if it is there."""

        def remove() -> int:
            count, size = self._pack.drop([key])
            self.files.room.tally.add(-size)
            self.files.drop(key)
            return count

        self._writer.forget(key, remove)

    def clear(self) -> int:
        """Remove every result; returns how many. Running processes are not disturbed: they miss."""
        self._writer.flush()
        return self._writer.forget(None, lambda: self._pack.clear() + self.files.clear())

    def usage(self) -> tuple[int, int]:
        """(results, bytes)."""
        self.flush()
        count, size = self._pack.usage()
        files, more = self.files.usage()
        return count + files, size + more

    def verify(self) -> tuple[int, list[str]]:
        """Read every result; returns how many are sound and what was wrong with the others, which are removed."""
        self.flush()
        wrong = []
        if reason := self._pack.database.check():
            wrong.append(f"the database of small results: {reason}")
        sound = 0
        for key in self._pack.all_keys():
            data = self._pack.get(key)
            if data is None:
                continue
            try:
                read_entry(data, key)
                sound += 1
            except Damaged as damage:
                wrong.append(f"{key.hex()}: {damage}")
                self._remove_damaged(key, damage)
        self._count_damages()
        more, also = self.files.verify()
        return sound + more, wrong + also

    def _count_damages(self) -> None:
        now = self._pack.database.damages
        self.files.counts.corrupt += now - self._damages
        self._damages = now
