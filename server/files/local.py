"""Files in a folder of this machine: what `weft serve` uses unless told otherwise."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from weft.engine.declaring.file_store import PREFIX, place_of
from weft.graphs.files import write_atomic
from weft.server.files.blobs import Draft, Stored, checked, no_space
from weft.server.files.errors import NoSpace, NoSuchFile

MIB = 1 << 20
_SHARD = re.compile(r"[0-9a-f]{2}")
_DIGITS = re.compile(r"[0-9a-f]{64}")
_DRAFT_SECONDS = 3600.0


class LocalFiles:
    """See `BlobStore`. `folder/ab/abcd...` is the file of the hash abcd...; hidden names are the store's own.

    Nodes read from it where `set_file_store(folder)` was called. Names of files and sub-folders that are links are
    never followed. Locks work between processes of one machine.

    Args:
        max_bytes: how much all files may take together. It is counted when the store is opened and at each `tidy`, and
            in between this process counts what it does itself.
        min_free: bytes that have to stay free on the disk, so that the database and the cache can go on.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        max_bytes: int | None = None,
        min_free: int = 512 * MIB,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder = Path(os.path.abspath(folder))
        self.max_bytes = max_bytes
        self.min_free = min_free
        self._clock = clock
        self._mutex = threading.Lock()
        self._drafts = self.folder / ".drafts"
        self._reserved = self.folder / ".reserved"
        with no_space():
            for path in (self.folder, self._drafts, self._reserved):
                path.mkdir(parents=True, exist_ok=True)
            with self._locked():
                pass  # the file for it is there from now on
        self._total = sum(stored.bytes for stored in self.list()) if max_bytes is not None else 0

    def check_room(self, count: int = 0) -> None:
        """See `BlobStore`."""
        self._check_quota(count)
        free = shutil.disk_usage(self.folder).free - count
        if free < self.min_free:
            raise NoSpace(f"The disk would have {max(free, 0) // MIB:,} MiB left; {self.min_free // MIB:,} stay free.")

    def _check_quota(self, count: int) -> None:
        if self.max_bytes is not None and self._total + count > self.max_bytes:
            raise NoSpace(f"Files take {self._total:,} bytes and may take {self.max_bytes:,}; remove jobs with theirs.")

    @contextlib.contextmanager
    def draft(self, max_bytes: int | None = None) -> Iterator[Draft]:
        """See `BlobStore`."""
        self.check_room()
        with no_space(), self._locked():
            draft = Draft(self._drafts / secrets.token_hex(16), max_bytes)
            # While it arrives, `tidy` leaves it alone, whatever the clock says.
            fcntl.flock(draft.file.fileno(), fcntl.LOCK_EX)
        try:
            yield draft
        finally:
            draft.discard()

    def keep(self, draft: Draft, reserve: float = 0.0) -> str:
        """See `BlobStore`."""
        self.check_room()
        draft.finish()
        id, now = draft.id, self._clock()
        target = place_of(self.folder, id)
        with no_space():
            with contextlib.suppress(FileExistsError):
                target.parent.mkdir()
            with self._locked():
                known = self._state(id)
                if known is None:
                    self._check_quota(draft.size)
                if reserve:
                    self._write_reservation(id, now + reserve)
                if not stat.S_ISDIR(os.lstat(target.parent).st_mode):
                    raise NoSuchFile(f"The file {id} cannot be stored: a link is in its place.")
                os.utime(draft.path, (now, now), follow_symlinks=False)
                # Also over a file that is there: it may have been damaged, and those who read it have it open.
                os.replace(draft.path, target)
                self._total += draft.size - (known.st_size if known is not None else 0)
            for folder in (target.parent, self.folder):
                _sync(folder)
        return id

    def open(self, id: str) -> BinaryIO:
        """See `BlobStore`."""
        digits = checked(id)
        try:
            shard = os.open(self.folder / digits[:2], os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
                file = os.fdopen(os.open(digits, flags, dir_fd=shard), "rb")
            finally:
                os.close(shard)
        except OSError:
            raise _missing(id) from None
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            file.close()
            raise _missing(id)
        return file

    def size(self, id: str) -> int:
        """See `BlobStore`."""
        state = self._state(id)
        if state is None:
            raise _missing(id)
        return state.st_size

    def reserve(self, id: str, seconds: float) -> bool:
        """See `BlobStore`."""
        checked(id)
        with no_space(), self._locked():
            if self._state(id) is None:
                return False
            self._write_reservation(id, self._clock() + seconds)
            return True

    def remove(self, id: str, *, now: float | None = None, age: float = 0.0) -> bool:
        """See `BlobStore`."""
        checked(id)
        with self._locked():
            state = self._state(id)
            if state is None or (now is not None and (self._until(id) > now or state.st_mtime > now - age)):
                return False
            place_of(self.folder, id).unlink()
            self._reservation(id).unlink(missing_ok=True)
            self._total = max(0, self._total - state.st_size)
            return True

    def list(self) -> Iterator[Stored]:
        """See `BlobStore`."""
        for shard in _entries(self.folder):
            if not _SHARD.fullmatch(shard.name) or not shard.is_dir(follow_symlinks=False):
                continue
            for entry in _entries(shard.path):
                if _DIGITS.fullmatch(entry.name) and entry.name.startswith(shard.name):
                    with contextlib.suppress(FileNotFoundError):
                        state = entry.stat(follow_symlinks=False)
                        if stat.S_ISREG(state.st_mode):
                            yield Stored(PREFIX + entry.name, state.st_size, state.st_mtime)

    def tidy(self, now: float) -> None:
        """See `BlobStore`."""
        for entry in _entries(self._drafts):
            with contextlib.suppress(OSError):
                if entry.stat(follow_symlinks=False).st_mtime < now - _DRAFT_SECONDS:
                    self._remove_draft(entry.path)
        for entry in _entries(self._reserved):
            if _DIGITS.fullmatch(entry.name):
                with self._locked():
                    if self._until(PREFIX + entry.name) <= now:
                        Path(entry.path).unlink(missing_ok=True)
        if self.max_bytes is not None:
            self._total = sum(stored.bytes for stored in self.list())

    def _remove_draft(self, path: str) -> None:
        """Raises OSError where it is still arriving."""
        with self._locked():
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(path)
            finally:
                os.close(handle)

    # -- reservations: a small file each, with the time until which it holds

    def _reservation(self, id: str) -> Path:
        return self._reserved / checked(id)

    def _until(self, id: str) -> float:
        try:
            return float(self._reservation(id).read_bytes()[:40])
        except (OSError, ValueError):
            return 0.0

    def _write_reservation(self, id: str, until: float) -> None:
        if until > self._until(id):
            write_atomic(self._reservation(id), f"{until:.3f}".encode())

    def _state(self, id: str) -> os.stat_result | None:
        checked(id)
        path = place_of(self.folder, id)
        try:
            if not stat.S_ISDIR(os.lstat(path.parent).st_mode):
                return None
            state = os.lstat(path)
        except OSError:
            return None
        return state if stat.S_ISREG(state.st_mode) else None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """No other thread or process changes names here meanwhile. Held for a rename or so, never while bytes flow."""
        with self._mutex:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            handle = os.open(self.folder / ".lock", flags, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield
            finally:
                os.close(handle)


def _missing(id: str) -> NoSuchFile:
    return NoSuchFile(f"There is no file {id}.")


def _entries(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _sync(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
