"""Entries in files of their own: one a result, checksummed, bounded by bytes, shared between processes.

Whether a result is there is answered from its head alone. An entry is written under a temporary name and renamed, so a
reader sees all of it or nothing. One that is damaged is removed and counts as a miss.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from weft.engine.cache import codec
from weft.engine.cache.checksum import CHUNK, Checksum, checksum
from weft.engine.cache.entries import (
    PREAMBLE_BYTES,
    Damaged,
    Entry,
    Outdated,
    files_in_place,
    outputs_of,
    read_head,
    read_preamble,
    serialize,
)
from weft.engine.cache.room import FULL, Occupant, Room
from weft.engine.cache.tally import Tally
from weft.engine.values import Outputs

log = logging.getLogger("weft.cache")

_ORPHAN_SECONDS = 3600  # a temporary file this old belongs to nobody who still writes
SUFFIX = ".weft"


@dataclass(slots=True)
class DiskCounts:
    """What happened in this process: damaged entries removed, results not written for want of space or rights."""

    corrupt: int = 0
    evicted: int = 0
    failed_writes: int = 0


class DiskTier:
    """Results in a folder.

    Args:
        folder: made when the first result is written.
        max_bytes: all entries together; least recently used go first.
        name: of the folder in it that holds the entries.
    """

    def __init__(self, folder: str | os.PathLike[str], max_bytes: int, name: str = "results") -> None:
        self.folder = Path(folder).absolute()
        self.entries = self.folder / name
        self._root = f"{self.entries}{os.sep}"
        self.max_bytes = max_bytes
        self.counts = DiskCounts()
        self.room = Room(max_bytes, Tally(self.entries / "tally", self._count), self.entries, self._evicted)
        self.room.places.append(self)
        self._failing = False

    # -- looking

    def __contains__(self, key: bytes) -> bool:
        """Whether the result can be had: its head is sound, its value classes are known, its files are in place."""
        head = self.note(key)
        return head is not None and files_in_place(head["files"])

    def get(self, key: bytes) -> Outputs | None:
        """The result, now the most recently used, or None."""
        path = self._name(key)
        try:
            with open(path, "rb") as file:
                head, body_size, expected = self._head(file, key)
                body = bytearray(body_size)
                if file.readinto(body) != body_size or checksum(body) != expected:
                    raise Damaged("the body's checksum does not match")
            outputs = outputs_of(head, body)
        except OSError:
            return None
        except (Damaged, codec.Undecodable) as damage:
            self._remove_damaged(path, damage)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return outputs

    def matching(self, prefix: bytes) -> list[bytes]:
        """Keys that begin with `prefix`, which has a byte or more; the most recently used first."""
        return [key for _, key in sorted(self.matching_used(prefix), reverse=True)]

    def matching_used(self, prefix: bytes) -> list[tuple[float, bytes]]:
        """(last use, key) of each entry whose key begins with `prefix`."""
        text = prefix.hex()
        found = []
        for item in _listing(self.entries / text[:2]):
            if item.name.startswith(text) and item.name.endswith(SUFFIX):
                with contextlib.suppress(OSError, ValueError):
                    found.append((item.stat().st_mtime, bytes.fromhex(item.name.removesuffix(SUFFIX))))
        return found

    def note(self, key: bytes) -> dict[str, Any] | None:
        """What was noted with a result when it was put; None for a miss, or a value class that is not known."""
        path = self._name(key)
        if not os.access(path, os.F_OK):  # far quicker than to fail, and most keys that are looked for are not there
            return None
        try:
            with open(path, "rb") as file:
                head, _, _ = self._head(file, key)
        except OSError:
            return None
        except Damaged as damage:
            self._remove_damaged(path, damage)
            return None
        return head if codec.known(head["classes"]) else None

    # -- writing

    def put(self, key: bytes, outputs: Outputs, note: dict[str, Any]) -> bool:
        """Write a result; False when it cannot be written (a live model), is there, or there is no room for it.

        A full or read-only disk never fails a run: it is said once in the log, and the result stays in memory.
        """
        if self.has(key):
            return False
        try:
            entry = serialize(key, outputs, note)
        except codec.NotStorable as reason:
            log.debug("not kept on disk: %s", reason)
            return False
        return self.write(entry)

    def has(self, key: bytes) -> bool:
        """Whether there is a sound entry; for one that most likely is not there, quicker than `key in tier`."""
        return os.path.exists(self._name(key)) and key in self

    def write(self, entry: Entry) -> bool:
        """Write an entry, in the place of one that is there; False when it has no room or changed meanwhile."""
        if entry.size > self.max_bytes:
            return False
        try:
            written = self.room.write(entry.size, lambda: self._write(entry))
        except OSError as error:
            self.say_failure(error)
            return False
        if written:
            self.room.tally.add(entry.size)
        self._failing = False
        return written

    def _write(self, entry: Entry) -> bool:
        path = self._path(entry.key)
        temporary = path.with_name(f".{path.stem}.{secrets.token_hex(6)}.tmp")
        try:
            try:
                file = open(temporary, "xb", buffering=0)  # noqa: SIM115 (closed below)
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = open(temporary, "xb", buffering=0)  # noqa: SIM115
            with file:
                for part in (entry.start, *entry.body):
                    _write_all(file, part)
            if not entry.sound():
                log.warning("a result was changed in place while it was written, and is not kept on disk")
                temporary.unlink()
                return False
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        return True

    def say_failure(self, error: OSError, count: int = 1) -> None:
        """Count results that could not be written, and say so when that begins."""
        self.counts.failed_writes += count
        if not self._failing:
            reason = "the disk is full" if error.errno in FULL else error.strerror or str(error)
            log.warning("results are not kept in %s: %s", self.folder, reason)
        self._failing = True

    # -- room

    def total(self) -> int:
        """Bytes of all entries."""
        return sum(item.size for item in self._scan())

    def oldest_first(self) -> Iterator[Occupant]:
        """All entries, the least recently used first."""
        yield from sorted(self._scan(), key=lambda item: item.used)

    def remove(self, occupants: list[Occupant]) -> tuple[int, int]:
        """Remove some; returns how many were there, and how many bytes."""
        removed = [item.size for item in occupants if _unlink(item.name)]
        return len(removed), sum(removed)

    def _count(self) -> int:
        return sum(place.total() for place in self.room.places)

    def _evicted(self, count: int) -> None:
        self.counts.evicted += count

    def _scan(self) -> Iterator[Occupant]:
        """Every entry. Temporary files of writers that died are removed on the way."""
        for shard in _listing(self.entries):
            for item in _listing(Path(shard.path)):
                try:
                    stat = item.stat()
                except OSError:
                    continue  # removed by another process meanwhile
                if item.name.endswith(SUFFIX):
                    yield Occupant(stat.st_mtime, stat.st_size, Path(item.path))
                elif item.name.endswith(".tmp") and time.time() - stat.st_mtime > _ORPHAN_SECONDS:
                    _unlink(Path(item.path))

    def drop(self, key: bytes) -> None:
        """Remove one entry, if it is there."""
        path = self._path(key)
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            if _unlink(path):
                self.room.tally.add(-size)

    def clear(self) -> int:
        """Remove every entry; returns how many. Running processes are not disturbed: they miss."""
        removed = sum(_unlink(item.name) for item in list(self._scan()))
        self.room.tally.forget()
        return removed

    def usage(self) -> tuple[int, int]:
        """(entries, bytes)."""
        sizes = [item.size for item in self._scan()]
        return len(sizes), sum(sizes)

    def verify(self) -> tuple[int, list[str]]:
        """Read every entry; returns how many are sound and what was wrong with the others, which are removed."""
        sound, wrong = 0, []
        for path in [item.name for item in self._scan()]:
            try:
                with open(path, "rb") as file:
                    _, size, expected = self._head(file, _key_of(path))
                    if _checksum_of_rest(file, size) != expected:
                        raise Damaged("the body's checksum does not match")
                sound += 1
            except OSError:
                continue
            except Damaged as damage:
                wrong.append(f"{path.stem}: {damage}")
                self._remove_damaged(path, damage)
        return sound, wrong

    # -- format

    def _path(self, key: bytes) -> Path:
        return Path(self._name(key))

    def _name(self, key: bytes) -> str:
        name = key.hex()
        return f"{self._root}{name[:2]}{os.sep}{name}{SUFFIX}"

    @staticmethod
    def _head(file: BinaryIO, key: bytes) -> tuple[dict[str, Any], int, bytes]:
        """Read up to the body of the entry that should be of this key: (head, size of the body, its checksum)."""
        head_size, body_size, digest, expected = read_preamble(file.read(PREAMBLE_BYTES))
        if os.fstat(file.fileno()).st_size != PREAMBLE_BYTES + head_size + body_size:
            raise Damaged("its size is not what it says")
        return read_head(file.read(head_size), digest, key), body_size, expected

    def _remove_damaged(self, path: str | Path, damage: Exception) -> None:
        self.say_damage(os.path.basename(path), damage)
        _unlink(path)

    def say_damage(self, name: str, damage: Exception) -> None:
        """Tell of an entry that has to go."""
        if not isinstance(damage, Outdated):
            log.warning("removed the damaged cache entry %s: %s", name, damage)
            self.counts.corrupt += 1


def _key_of(path: Path) -> bytes:
    try:
        return bytes.fromhex(path.name.removesuffix(SUFFIX))
    except ValueError:
        return b""


def _checksum_of_rest(file: BinaryIO, size: int) -> bytes:
    total = Checksum()
    while size and (chunk := file.read(min(size, CHUNK))):
        total.update(chunk)
        size -= len(chunk)
    return total.digest()


def _write_all(file: Any, part: codec.Buffer) -> None:
    view = memoryview(part).cast("B")
    while view:
        view = view[file.write(view) :]


def _listing(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _unlink(path: str | Path) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True
