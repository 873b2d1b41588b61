"""The tier on disk: one file a result, checksummed, bounded by bytes, shared between processes.

    magic 8 | head length 4 | body length 8 | blake2b of the head 16 | checksum of the body 16 | head | body

The head (msgpack) says what the result is made of and which files it stands for; whether a result is there is answered
from it alone. The body (safetensors) holds the tensors. An entry is written under a temporary name and renamed, so a
reader sees all of it or nothing. One that is damaged is removed and counts as a miss.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import secrets
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from weft.engine.cache import codec
from weft.engine.cache.checksum import CHUNK, SIZE, Checksum, checksum
from weft.engine.filehash import content_hash
from weft.engine.values import Files, Outputs

log = logging.getLogger("weft.cache")

_MAGIC, _OLDER = b"WEFTc03\n", frozenset({b"WEFTc01\n", b"WEFTc02\n"})
_PREAMBLE = struct.Struct(f"<8sIQ16s{SIZE}s")
_FIRST_READ = 8192  # most heads fit, so one read answers
_ORPHAN_SECONDS = 3600  # a temporary file this old belongs to nobody who still writes
SUFFIX = ".weft"


@dataclass(slots=True)
class DiskCounts:
    """What happened in this process: damaged entries removed, results not written for want of space or rights."""

    corrupt: int = 0
    evicted: int = 0
    failed_writes: int = 0


class _Damaged(Exception):  # noqa: N818
    """An entry that is not what was written."""


class _Outdated(_Damaged):
    """An entry of an older format: a miss and no fault."""


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
        self.max_bytes = max_bytes
        self.counts = DiskCounts()
        self._used: int | None = None
        self._failing = False

    # -- looking

    def __contains__(self, key: bytes) -> bool:
        """Whether the result can be had: its head is sound, its value classes are known, its files are in place."""
        head = self.note(key)
        return head is not None and files_in_place(head["files"])

    def get(self, key: bytes) -> Outputs | None:
        """The result, now the most recently used, or None."""
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                head, body_size, expected = self._head(file, key)
                body = bytearray(body_size)
                if file.readinto(body) != body_size or checksum(body) != expected:
                    raise _Damaged("the body's checksum does not match")
            if not codec.known(head["classes"]):
                return None
            outputs = codec.decode(head["outputs"], body)
        except OSError:
            return None
        except (_Damaged, codec.Undecodable) as damage:
            self._remove_damaged(path, damage)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return outputs if isinstance(outputs, tuple) else None

    def matching(self, prefix: bytes) -> list[bytes]:
        """Keys that begin with `prefix`, which has a byte or more; the most recently used first."""
        text = prefix.hex()
        found = []
        for item in _listing(self.entries / text[:2]):
            if item.name.startswith(text) and item.name.endswith(SUFFIX):
                with contextlib.suppress(OSError, ValueError):
                    found.append((item.stat().st_mtime, bytes.fromhex(item.name.removesuffix(SUFFIX))))
        return [key for _, key in sorted(found, reverse=True)]

    def note(self, key: bytes) -> dict[str, Any] | None:
        """What was noted with a result when it was put; None for a miss, or a value class that is not known."""
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                head, _, _ = self._head(file, key)
        except OSError:
            return None
        except _Damaged as damage:
            self._remove_damaged(path, damage)
            return None
        return head if codec.known(head["classes"]) else None

    # -- writing

    def put(self, key: bytes, outputs: Outputs, note: dict[str, Any]) -> bool:
        """Write a result; False when it cannot be written (a live model), is there, or there is no room for it.

        A full or read-only disk never fails a run: it is said once in the log, and the result stays in memory.
        """
        path = self._path(key)
        if path.exists() and key in self:
            return False
        try:
            encoded = codec.encode(outputs)
        except codec.NotStorable as reason:
            log.debug("not kept on disk: %s", reason)
            return False
        files = [list(pair) for pair in files_in(outputs)]
        try:
            parts = {"key": key, "classes": encoded.classes, "files": files, "outputs": encoded.structure}
            head = codec.pack_head({**note, **parts})
        except (ValueError, TypeError, OverflowError, UnicodeEncodeError) as error:
            log.debug("not kept on disk: %s", error)
            return False
        size = _PREAMBLE.size + len(head) + encoded.body_bytes
        if size > self.max_bytes:
            return False
        try:
            self._make_room(size)
            self._write(path, head, encoded)
        except OSError as error:
            self._say_failure(error)
            return False
        self._used = (self._used or 0) + size
        self._failing = False
        return True

    def _write(self, path: Path, head: bytes, encoded: codec.Encoded) -> None:
        total = Checksum()
        for part in encoded.body:
            total.update(part)
        preamble = _PREAMBLE.pack(_MAGIC, len(head), encoded.body_bytes, _digest(head), total.digest())
        temporary = path.with_name(f".{path.stem}.{secrets.token_hex(6)}.tmp")
        try:
            try:
                file = open(temporary, "xb", buffering=0)  # noqa: SIM115 (closed below)
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = open(temporary, "xb", buffering=0)  # noqa: SIM115
            with file:
                for part in (preamble + head, *encoded.body):
                    _write_all(file, part)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def _say_failure(self, error: OSError) -> None:
        self.counts.failed_writes += 1
        if not self._failing:
            reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
            log.warning("results are not kept in %s: %s", self.folder, reason)
        self._failing = True

    # -- room

    def _make_room(self, size: int) -> None:
        if self._used is None:
            self._used = sum(entry.size for entry in self._scan())
        if self._used + size <= self.max_bytes:
            return
        # Others write here too: count again, and go well below the bound so that this is seldom needed.
        found = sorted(self._scan(), key=lambda entry: entry.used)
        self._used = sum(entry.size for entry in found)
        goal = self.max_bytes * 9 // 10 - size
        for entry in found:
            if self._used <= goal:
                break
            if _unlink(entry.path):
                self.counts.evicted += 1
            self._used -= entry.size

    def _scan(self) -> Iterator[Entry]:
        """Every entry. Temporary files of writers that died are removed on the way."""
        for shard in _listing(self.entries):
            for item in _listing(Path(shard.path)):
                try:
                    stat = item.stat()
                except OSError:
                    continue  # removed by another process meanwhile
                if item.name.endswith(SUFFIX):
                    yield Entry(Path(item.path), stat.st_size, stat.st_mtime)
                elif item.name.endswith(".tmp") and time.time() - stat.st_mtime > _ORPHAN_SECONDS:
                    _unlink(Path(item.path))

    def drop(self, key: bytes) -> None:
        """Remove one entry, if it is there."""
        _unlink(self._path(key))

    def clear(self) -> int:
        """Remove every entry; returns how many. Running processes are not disturbed: they miss."""
        removed = sum(_unlink(entry.path) for entry in list(self._scan()))
        self._used = 0
        return removed

    def usage(self) -> tuple[int, int]:
        """(entries, bytes)."""
        sizes = [entry.size for entry in self._scan()]
        return len(sizes), sum(sizes)

    def verify(self) -> tuple[int, list[str]]:
        """Read every entry; returns how many are sound and what was wrong with the others, which are removed."""
        sound, wrong = 0, []
        for entry in list(self._scan()):
            try:
                with open(entry.path, "rb") as file:
                    _, size, expected = self._head(file, _key_of(entry.path))
                    if _checksum_of_rest(file, size) != expected:
                        raise _Damaged("the body's checksum does not match")
                sound += 1
            except OSError:
                continue
            except _Damaged as damage:
                wrong.append(f"{entry.path.stem}: {damage}")
                self._remove_damaged(entry.path, damage)
        return sound, wrong

    # -- format

    def _path(self, key: bytes) -> Path:
        name = key.hex()
        return self.entries / name[:2] / f"{name}{SUFFIX}"

    @staticmethod
    def _head(file: BinaryIO, key: bytes) -> tuple[dict[str, Any], int, bytes]:
        """Read up to the body of the entry that should be of this key: (head, size of the body, its checksum)."""
        start = file.read(_PREAMBLE.size)
        if len(start) < _PREAMBLE.size:
            raise _Damaged("it is cut off")
        magic, head_size, body_size, digest, expected = _PREAMBLE.unpack(start)
        if magic in _OLDER:
            raise _Outdated("it is of an older format")
        if magic != _MAGIC:
            raise _Damaged("it is no entry of this format")
        if os.fstat(file.fileno()).st_size != _PREAMBLE.size + head_size + body_size:
            raise _Damaged("its size is not what it says")
        data = file.read(head_size)
        if _digest(data) != digest:
            raise _Damaged("the head's checksum does not match")
        try:
            head = codec.unpack_head(data)
        except codec.Undecodable as error:
            raise _Damaged(str(error)) from error
        if head.get("key") != key:
            raise _Damaged("it is the entry of another key")
        return head, body_size, expected

    def _remove_damaged(self, path: Path, damage: Exception) -> None:
        if not isinstance(damage, _Outdated):
            log.warning("removed the damaged cache entry %s: %s", path.name, damage)
            self.counts.corrupt += 1
        _unlink(path)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as the file system sees it: `used` is when it was last read or written."""

    path: Path
    size: int
    used: float


def files_in(outputs: Outputs) -> Iterator[tuple[str, str]]:
    """(path, digest) of every file that a result stands for, alone or in a list."""
    for item in outputs:
        for part in item if type(item) in (list, tuple) else (item,):
            if type(part) is Files:
                yield from zip(part.paths, part.digests, strict=True)


def files_in_place(files: Any) -> bool:
    """Whether every (path, digest) is a file with that content."""
    try:
        return all(content_hash(path) == digest for path, digest in files)
    except OSError:
        return False


def _key_of(path: Path) -> bytes:
    try:
        return bytes.fromhex(path.name.removesuffix(SUFFIX))
    except ValueError:
        return b""


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


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


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True
