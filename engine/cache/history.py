"""What results were made of and how long that took: the last ones of each node type, also of results that are gone.

In memory by type and node; on disk one file a type, to which records are appended:

    length 4 | crc32 4 | msgpack of [type, node, key, parts, seconds]

Several processes append to one file. One that is damaged is removed: then it is not known why something runs again,
and nothing else is lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import msgpack

from weft.engine.cache import disk

PER_NODE = 8
"""Records that stay of one node of documents."""
NODES = 512
"""Nodes of one type that are remembered."""
TYPES = 512
NEW = 4096
"""Records that wait in memory to be sorted in."""
FILE_BYTES = 256 * 1024
"""A longer file loses its older half."""
_FLUSH_SECONDS = 1.0
_FRAME = struct.Struct("<II")


class Record(NamedTuple):
    """One result that was made.

    Attributes:
        type: of the node. node: which one of a document it was.
        key: of the result. parts: what the key is made of.
        seconds: how long the node took.
    """

    type: str
    node: str
    key: bytes
    parts: bytes
    seconds: float


Fields = tuple[str, str, bytes, bytes, float]
"""The fields of a Record, which are quicker to make."""


class History:
    """The last results of each node type.

    Args:
        folder: where records outlive the process; None keeps them in memory only.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._types: dict[str, dict[str, list[Record]]] = {}
        self._read: dict[str, tuple[int, int, int]] = {}
        """Per type the state of its file when it was read last: its number, its size, and when it was changed."""
        self._own: dict[str, dict[int, int]] = {}
        """Per type where in its file this process wrote since then, and how much: that need not be read."""
        self._new: deque[Fields] = deque(maxlen=NEW)
        """Not in the table yet: every node that runs adds a record, and few ever ask for one."""
        self._unwritten: list[Fields] = []
        self._flushed = 0.0
        self._lock = threading.Lock()

    def add(self, record: Fields) -> None:
        """Remember that a node was run; from any thread."""
        self._new.append(record)
        if self._folder is not None:
            self._unwritten.append(record)
            if time.monotonic() - self._flushed > _FLUSH_SECONDS:
                self.flush()

    def of_type(self, type: str) -> list[Record]:
        """What is known of all nodes of a type, the newest of each node last."""
        with self._lock:
            self._sort_in()
            return [record for records in self._types.get(type, {}).values() for record in records]

    def seconds(self, type: str) -> float | None:
        """The median of how long nodes of a type took lately; None when that is not known."""
        times = sorted(record.seconds for record in self.of_type(type))
        return times[len(times) // 2] if times else None

    def refresh(self, type: str) -> None:
        """Read what other processes, and earlier ones, wrote of a type, if that changed."""
        if self._folder is None:
            return
        with self._lock:
            is_behind = any(record[0] == type for record in self._unwritten)
        if is_behind:  # else the file lacks nothing of this type, and what there is of others can wait for more
            self.flush()
        path = self._path(type)
        before = self._read.get(type, (0, 0, 0))
        try:
            stat = path.stat()
            state = stat.st_ino, stat.st_size, stat.st_mtime_ns
            if before == state:
                return
            if stat.st_size > 4 * FILE_BYTES:
                raise ValueError("it is longer than it ever gets")
            # A file that has grown is read on from where it ended, or each run would take longer than the one before.
            start = before[1] if before[0] == state[0] and before[1] < state[1] else 0
            own = self._own.pop(type, {})
            with path.open("rb") as file:
                file.seek(start)
                data = file.read(stat.st_size - start)
            records = [record for record in _records(data, start, own if start else {}) if record.type == type]
        except OSError:
            return
        except (ValueError, msgpack.exceptions.UnpackException):
            with contextlib.suppress(OSError):
                path.unlink()
            return
        written = {record.key for record in records}
        here = [] if start else [record for record in self.of_type(type) if record.key not in written]
        with self._lock:
            self._sort_in()
            if not start:
                self._types.pop(type, None)
            for record in (*here, *records):
                self._keep(record)
            self._read[type] = state

    def flush(self) -> None:
        """Write what was added; a full or read-only disk is no matter."""
        with self._lock:
            records, self._unwritten = self._unwritten, []
            self._flushed = time.monotonic()
        if not records or self._folder is None:
            return
        frames: dict[str, list[bytes]] = {}
        for record in records:
            frames.setdefault(record[0], []).append(_frame(record))
        with contextlib.suppress(OSError):
            for type, parts in frames.items():
                data = b"".join(parts)
                try:
                    start = _append(self._path(type), data)
                except FileNotFoundError:
                    self._folder.mkdir(parents=True, exist_ok=True)
                    start = _append(self._path(type), data)
                if type in self._read:
                    self._own.setdefault(type, {})[start] = len(data)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            for table in (self._types, self._read, self._own, self._new, self._unwritten):
                table.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _sort_in(self) -> None:
        while self._new:
            self._keep(Record(*self._new.popleft()))

    def _keep(self, record: Record) -> None:
        nodes = self._types.setdefault(record.type, {})
        if len(self._types) > TYPES:
            del self._types[next(iter(self._types))]
        records = nodes.setdefault(record.node, [])
        if len(nodes) > NODES:
            del nodes[next(iter(nodes))]
        records.append(record)
        del records[:-PER_NODE]

    def _path(self, type: str) -> Path:
        assert self._folder is not None
        return self._folder / hashlib.blake2b(type.encode(), digest_size=10).hexdigest()


def _append(path: Path, data: bytes) -> int:
    """One write at the end of the file; where that was."""
    try:
        with open(path, "ab", buffering=0) as file:
            disk._write_all(file, data)
            size = file.tell()
    except OSError:
        path.unlink(missing_ok=True)  # a torn record would hide those that follow
        raise
    if size > FILE_BYTES:
        _halve(path)
    return size - len(data)


def _halve(path: Path) -> None:
    try:
        frames = [_frame(record) for record in _records(path.read_bytes())]
    except (ValueError, msgpack.exceptions.UnpackException):
        frames = []
    kept: list[bytes] = []
    room = FILE_BYTES // 2
    while frames and len(frames[-1]) <= room:
        room -= len(frames[-1])
        kept.append(frames.pop())
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    temporary.write_bytes(b"".join(reversed(kept)))
    os.replace(temporary, path)


def _frame(record: Fields) -> bytes:
    body: bytes = msgpack.packb(list(record), use_bin_type=True)
    return _FRAME.pack(len(body), zlib.crc32(body)) + body


def _records(data: bytes, start: int = 0, own: Mapping[int, int] = MappingProxyType({})) -> Iterator[Record]:
    """The records in a part of a file that begins at `start`, without those at `own`.

    Raises:
        ValueError: something is not as it was written.
    """
    place = 0
    while place < len(data):
        if (length := own.get(start + place)) is not None:
            place += length
            continue
        if len(data) - place < _FRAME.size:
            raise ValueError("it is cut off")
        length, check = _FRAME.unpack_from(data, place)
        body = data[place + _FRAME.size : place + _FRAME.size + length]
        if len(body) != length or zlib.crc32(body) != check:
            raise ValueError("a checksum does not match")
        place += _FRAME.size + length
        yield _record(msgpack.unpackb(body, raw=False))


def _record(item: Any) -> Record:
    if isinstance(item, list) and len(item) == 5:
        type, node, key, parts, seconds = item
        texts = isinstance(type, str) and isinstance(node, str)
        if texts and isinstance(key, bytes) and isinstance(parts, bytes) and isinstance(seconds, float):
            return Record(type, node, key, parts, seconds)
    raise ValueError("it is no record")
