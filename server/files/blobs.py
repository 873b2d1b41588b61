"""What a store of files can do, whatever it stands on, and the draft that becomes a file in it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from weft.engine.declaring.file_store import PREFIX, is_content_id
from weft.graphs.problems import shown
from weft.server.files.errors import NoSpace, NoSuchFile, TooLarge

PIECE = 1 << 20
"""Bytes that are read or written at once."""
DAY = 86_400.0
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


@dataclass(frozen=True, slots=True)
class Stored:
    """A file in a store.

    Args:
        id: its content id.
        bytes: how many it has.
        modified: when it was last put there, in seconds since 1970.
    """

    id: str
    bytes: int
    modified: float


class BlobStore(Protocol):
    """Files by content id. All of it may be called by several threads at once, and by several processes on one place.

    A file that nobody names is removed in time (`weft.server.files.collect`). Whoever is about to name one, such as a
    job that is being accepted, reserves it *before* it writes the name down: from then on no collection removes it.
    """

    def draft(self, max_bytes: int | None = None) -> AbstractContextManager[Draft]:
        """Bytes on their way in. At the end of the block nothing of them stays unless `keep` was called.

        Args:
            max_bytes: more than so many raise TooLarge, when they arrive.

        Raises:
            NoSpace: there is no room, before anything is accepted.
        """

    def keep(self, draft: Draft, reserve: float = 0.0) -> str:
        """Make a draft a file, on the disk when this returns; its id. The same bytes twice are one file.

        Args:
            reserve: seconds for which no collection removes it.
        """

    def open(self, id: str) -> BinaryIO:
        """The file, to read. Raises NoSuchFile."""

    def size(self, id: str) -> int:
        """How many bytes it has. Raises NoSuchFile."""

    def reserve(self, id: str, seconds: float) -> bool:
        """Have no collection remove it for so long; a longer reservation stays. False where there is no such file."""

    def remove(self, id: str, *, now: float | None = None, age: float = 0.0) -> bool:
        """Remove a file; whether it was removed.

        Args:
            now: remove it only if it is not reserved then. None removes it in any case.
            age: and only if it was put there so many seconds before.
        """

    def list(self) -> Iterator[Stored]:
        """Every file, in no order. Files that come or go meanwhile may be in it or not."""

    def tidy(self, now: float) -> None:
        """Remove what broken-off uploads left behind an hour ago or more, and reservations that are over."""

    def check_room(self, count: int = 0) -> None:
        """Raises NoSpace where so many bytes more would leave too little."""


class Draft:
    """Bytes that arrive, in a file without a name that anybody knows. `size` and `id` are of what came so far."""

    def __init__(self, path: Path, max_bytes: int | None = None) -> None:
        self.path = path
        self.max_bytes = max_bytes
        self.size = 0
        self._hash = hashlib.sha256()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with no_space():
            self.file: BinaryIO = os.fdopen(os.open(path, flags, 0o600), "w+b")

    def write(self, piece: bytes | memoryview) -> None:
        """Add bytes.

        Raises:
            TooLarge: they are more than the draft may have. NoSpace: the disk is full.
        """
        size = self.size + len(piece)
        if self.max_bytes is not None and size > self.max_bytes:
            raise TooLarge(f"A file has at most {self.max_bytes:,} bytes here; this one has more.")
        with no_space():
            self.file.write(piece)
        self._hash.update(piece)
        self.size = size

    @property
    def id(self) -> str:
        """The content id."""
        return PREFIX + self._hash.hexdigest()

    def finish(self) -> None:
        """Have all of it on the disk, and nobody change it any more."""
        with no_space():
            self.file.flush()
            os.fchmod(self.file.fileno(), 0o400)
            os.fsync(self.file.fileno())

    def discard(self) -> None:
        """Close it, and remove it where it did not become a file."""
        try:
            self.file.close()
        except OSError:  # what was not written yet: the disk is full, and it goes anyway
            pass
        finally:
            self.path.unlink(missing_ok=True)


@contextlib.contextmanager
def no_space() -> Iterator[None]:
    """Turns the system's error for a full disk into NoSpace."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise NoSpace("There is no space left for files; nothing was stored.") from error
        raise


def put(store: BlobStore, source: bytes | Iterable[bytes] | BinaryIO, reserve: float = 0.0) -> str:
    """Store bytes, pieces of bytes or what a file has from here on; the content id.

    Raises:
        NoSpace: nothing was stored.
    """
    with store.draft() as draft:
        for piece in _pieces(source):
            draft.write(piece)
        return store.keep(draft, reserve)


def put_path(store: BlobStore, path: Path, reserve: float = 0.0) -> str:
    """Store a copy of what is in a file of this machine: one that a job made, say. Links are not followed.

    It is copied and not linked: a node may go on to change its file in place, and the hash would be a lie.

    Raises:
        NoSuchFile: it is a link, or no file. NoSpace: nothing was stored.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        raise NoSuchFile(f"There is no file {path.name}, or it is a link.") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise NoSuchFile(f"{path.name} is no file.")
    with os.fdopen(handle, "rb") as file:
        return put(store, file, reserve)


def bring(id: str, source: BlobStore, target: BlobStore, reserve: float = 0.0) -> None:
    """Have `target` have what `source` has by this id: a store far away, and the folder that nodes read from.

    Raises:
        NoSuchFile: the source does not have it, or has something else by its name.
    """
    if reserve and target.reserve(id, reserve):
        return
    with source.open(id) as file, target.draft() as draft:
        for piece in _pieces(file):
            draft.write(piece)
        if draft.id != id:
            raise NoSuchFile(f"The file {id} is damaged where it is stored.")
        target.keep(draft, reserve)


def checked(id: str) -> str:
    """The digits of a content id. Raises NoSuchFile for any other text."""
    if not isinstance(id, str) or not is_content_id(id):
        raise NoSuchFile(f"{shown(id, 80)} is no content id, which is {PREFIX} and 64 hex digits in lower case.")
    return id.removeprefix(PREFIX)


def _pieces(source: bytes | Iterable[bytes] | BinaryIO) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
    elif hasattr(source, "read"):
        while piece := source.read(PIECE):
            yield piece
    else:
        yield from source
