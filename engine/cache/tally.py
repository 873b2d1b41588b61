"""What the entries of a folder take together, told by all processes that write there.

A file beside the entries: a count and, appended by whoever writes or removes, by how much it changed since.

    magic 8 | random 8 | time of the count 8 | bytes 8 | crc32 4   then   change 8 | crc32 4   again and again

Nobody waits for anybody. Where the file is absent, damaged, a day old, or cannot be written, the entries are counted
again.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import struct
import threading
import time
import weakref
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: there two processes may count, or remove entries, at once
    fcntl = None  # type: ignore[assignment]

_MAGIC = b"WEFTt01\n"
_HEADER = struct.Struct("<8s8sdqI")
_CHANGE = struct.Struct("<qI")
_LONGEST = 64 * 1024
"""Bytes of a file that is written anew with its sum."""
_AGE_SECONDS = 24 * 3600
_ALONE_SECONDS = 60.0
_LOCK_SECONDS = 2.0
"""How long one process waits for another that counts or removes entries."""


class Tally:
    """The bytes of a folder's entries.

    Args:
        path: the file.
        count: counts the entries, which may take a while.
    """

    def __init__(self, path: Path, count: Callable[[], int]) -> None:
        self._path = path
        self._count = count
        self._header = b""
        self._place = 0
        self._sum = 0
        self._alone: int | None = None
        """The sum of this process, where the file cannot be written."""
        self._again = 0.0
        """When that is tried again."""
        self._lock = threading.Lock()
        _tallies.add(self)

    def total(self) -> int:
        """Bytes of all entries, as far as those who write have told."""
        with self._lock:
            known = self._read()
            if known is not None:
                return known
            if self._alone is not None and time.monotonic() < self._again:
                return self._alone
            with locked(self._path.parent):  # or one that counted earlier could overwrite what was told since
                known = self._read()
                return self._recount() if known is None else known

    def recount(self) -> int:
        """The same, counted now, by who has locked the folder."""
        with self._lock:
            return self._recount()

    def _recount(self) -> int:
        before = self._read()
        total = self._count()
        after = self._read()
        if before is not None and after is not None:
            total += max(0, after - before)  # written meanwhile, perhaps where it had been counted already
        self._write(total, time.time())
        return total

    def add(self, change: int) -> None:
        """Tell of bytes that were written, or removed (negative)."""
        with self._lock:
            if self._alone is not None:
                self._alone = max(0, self._alone + change)
            record = struct.pack("<q", change)
            record += zlib.crc32(record).to_bytes(4, "little")
            for _ in range(2):  # another process may be putting a new file in the place of the one that was opened
                try:
                    descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
                except OSError:
                    return  # who asks for the sum counts
                try:
                    os.write(descriptor, record)
                    if os.fstat(descriptor).st_ino == os.stat(self._path).st_ino:
                        return
                except OSError:
                    self.forget()
                    return
                finally:
                    os.close(descriptor)

    def forget(self) -> None:
        """Have the entries counted when the sum is asked for next."""
        self._alone = None
        with contextlib.suppress(OSError):
            os.unlink(self._path)

    def _read(self) -> int | None:
        """The sum of the file; None when there is none to be trusted."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError:
            return None
        try:
            with open(descriptor, "rb", buffering=0) as file:
                header = file.read(_HEADER.size)
                if header != self._header or not header:
                    self._header, self._place = b"", _HEADER.size
                    counted = _count_in(header)
                    if counted is None:
                        return None
                    self._header, self._sum = header, counted
                file.seek(self._place)
                changes = file.read(2 * _LONGEST)
        except OSError:
            return None
        if len(changes) % _CHANGE.size:
            return None
        for start in range(0, len(changes), _CHANGE.size):
            change, check = _CHANGE.unpack_from(changes, start)
            if zlib.crc32(changes[start : start + 8]) != check:
                self._header = b""
                return None
            self._sum += change
        self._place += len(changes)
        counted_at = _HEADER.unpack(header)[2]
        if self._sum < 0 or not 0 <= time.time() - counted_at < _AGE_SECONDS:
            return None
        if self._place > _LONGEST:
            self._write(self._sum, counted_at)
        return self._sum

    def _write(self, total: int, counted_at: float) -> None:
        self._header = b""
        if not total:
            self._alone = None  # nothing to tell of; whoever writes the first entry leaves it to be counted
            with contextlib.suppress(OSError):
                os.unlink(self._path)
            return
        start = struct.pack("<8s8sdq", _MAGIC, secrets.token_bytes(8), counted_at, total)
        temporary = self._path.with_name(f".{self._path.name}.{secrets.token_hex(6)}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "xb", buffering=0) as file:
                file.write(start + zlib.crc32(start).to_bytes(4, "little"))
            os.replace(temporary, self._path)
            self._alone = None
        except OSError:
            self._alone, self._again = total, time.monotonic() + _ALONE_SECONDS
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _count_in(header: bytes) -> int | None:
    if len(header) != _HEADER.size:
        return None
    magic, _, _, total, check = _HEADER.unpack(header)
    sound = magic == _MAGIC and zlib.crc32(header[:-4]) == check and total >= 0
    return total if sound else None


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process at a time; but nobody waits for long for one that is stopped, or where nothing can be locked."""
    descriptor, ours = -1, False
    try:
        if fcntl is not None:
            with contextlib.suppress(OSError):
                descriptor = os.open(folder, os.O_RDONLY)
        end = time.monotonic() + _LOCK_SECONDS
        while descriptor >= 0:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                ours = True
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    break
                time.sleep(0.01)
            except OSError:
                break
        yield
    finally:
        if ours:
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # a child that was forked meanwhile has the descriptor too
        if descriptor >= 0:
            os.close(descriptor)


def _in_child() -> None:
    """A thread that had a lock when the process forked is not here to give it back."""
    for tally in list(_tallies):
        tally._lock = threading.Lock()
        tally._header = b""


_tallies: weakref.WeakSet[Tally] = weakref.WeakSet()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
