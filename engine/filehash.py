"""Content hashes of files, remembered as long as the file is untouched.

A hash is remembered under path, size, mtime_ns, ctime_ns and inode: a copy that keeps the old times (`cp -p`) is told
by the time at which its inode changed, which nobody can set. A file changed within two seconds of being hashed is
hashed again next time: file systems with coarse clocks would not show a second write in the same tick.

Who wants to know later whether a file is still what was hashed takes down what is hashed (`taken_down`).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SETTLED_NS = 2_000_000_000
_CHUNK = 1 << 20

_lock = threading.Lock()
_State = tuple[int, int, int, int]
_memory: dict[str, tuple[_State, str]] = {}
_store: Path | None = None


_AGAIN_BYTES = 64 * _CHUNK
"""Larger files are not hashed a second time to see that they did not change."""
_notes = threading.local()


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was when it was hashed.

    Attributes:
        state: size, times and inode. digest: of its content, where these could hide a change.
    """

    path: str
    state: _State
    digest: str | None

    def has_changed(self) -> bool:
        """Whether it is, or for a while was, perhaps another one since."""
        try:
            return _state(self.path)[0] != self.state or (self.digest is not None and _hash(self.path) != self.digest)
        except OSError:
            return True


@dataclass(frozen=True, slots=True)
class FolderState:
    """Which files there were in a folder when it was hashed; what is in them, a FileState says of each.

    Attributes:
        names: a hash over their names. suffixes, hidden: see `folder_hash`.
    """

    path: str
    suffixes: tuple[str, ...]
    hidden: bool
    names: str

    def has_changed(self) -> bool:
        """Whether there are others now."""
        try:
            return _names_hash(list(_files_below(self.path, self.suffixes, self.hidden)), self.path) != self.names
        except OSError:
            return True


@contextlib.contextmanager
def taken_down() -> Iterator[list[FileState | FolderState]]:
    """What this thread hashes in the block, as it is before it is hashed."""
    before = getattr(_notes, "states", None)
    states: list[FileState | FolderState] = []
    _notes.states = states
    try:
        yield states
    finally:
        _notes.states = before


def write_state(state: FileState | FolderState) -> list[object]:
    """As plain data, for another process."""
    if isinstance(state, FileState):
        return [state.path, list(state.state), state.digest]
    return [state.path, list(state.suffixes), state.hidden, state.names]


def read_state(data: list[Any]) -> FileState | FolderState:
    """What `write_state` wrote."""
    if len(data) == 3:
        size, modified, inode, changed = data[1]
        return FileState(data[0], (size, modified, inode, changed), data[2])
    return FolderState(data[0], tuple(data[1]), data[2], data[3])


def take_down(state: FileState | FolderState) -> None:
    """Note what was hashed for this thread elsewhere."""
    if (states := getattr(_notes, "states", None)) is not None:
        states.append(state)


def remember_in(folder: str | os.PathLike[str] | None) -> None:
    """Keep the hashes of large files in `folder` as well, for the next process; None keeps them in this one only."""
    global _store
    _store = None if folder is None else Path(folder) / "files.sqlite"


def content_hash(path: str | os.PathLike[str]) -> str:
    """blake2b of a file's bytes, as 40 hex digits.

    Raises:
        OSError: it cannot be read.
    """
    text = os.path.abspath(path)
    state, settled = _state(text)
    digest = _hash_of(text, state, settled)
    if getattr(_notes, "states", None) is not None:
        take_down(FileState(text, state, None if settled or state[0] > _AGAIN_BYTES else digest))
    return digest


def _hash_of(text: str, state: _State, settled: bool) -> str:
    with _lock:
        known = _memory.get(text)
    if known is not None and known[0] == state:
        return known[1]
    large = state[0] >= 4 * _CHUNK
    digest = _recall(text, state) if large else None
    if digest is None:
        digest = _hash(text)
        if large and settled:
            _record(text, state, digest)
    if settled:
        with _lock:
            _memory[text] = (state, digest)
    return digest


def folder_hash(path: str | os.PathLike[str], suffixes: tuple[str, ...] = (), *, hidden: bool = False) -> str:
    """One hash over the names and contents of a folder's files (those with one of `suffixes`, or all), at any depth.

    Links are followed, a folder that leads back to one above it is not. Names that start with a dot, and `__pycache__`,
    are left out unless `hidden` is true.

    Raises:
        OSError: it cannot be read.
    """
    whole = hashlib.blake2b(digest_size=20)
    root = os.path.abspath(path)
    files = list(_files_below(root, suffixes, hidden))
    if getattr(_notes, "states", None) is not None:
        take_down(FolderState(root, suffixes, hidden, _names_hash(files, root)))
    for file in files:
        whole.update(f"{os.path.relpath(file, root)}\0{content_hash(file)}\0".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def _files_below(root: str, suffixes: tuple[str, ...], hidden: bool) -> Iterator[str]:
    """The files that count, in an order that is always the same."""
    for folder, folders, names in os.walk(root, onerror=_raise, followlinks=True):
        above = os.path.realpath(folder) + os.sep
        folders[:] = sorted(
            name
            for name in folders
            if (hidden or not (name.startswith(".") or name == "__pycache__"))
            and not above.startswith(os.path.realpath(os.path.join(folder, name)) + os.sep)
        )
        for name in sorted(names):
            if (hidden or not name.startswith(".")) and (not suffixes or name.endswith(suffixes)):
                yield os.path.join(folder, name)


def _names_hash(files: list[str], root: str) -> str:
    names = "\0".join(os.path.relpath(file, root) for file in files)
    return hashlib.blake2b(names.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()


def forget(path: str | os.PathLike[str]) -> None:
    """Hash this file afresh next time."""
    with _lock:
        _memory.pop(os.path.abspath(path), None)


def _raise(error: OSError) -> None:
    raise error


def _state(path: str) -> tuple[_State, bool]:
    stat = os.stat(path)
    # In the future counts as settled no more than just now: clocks differ between machines that share a disk.
    settled = all(abs(_now_ns() - at) > _SETTLED_NS for at in (stat.st_mtime_ns, stat.st_ctime_ns))
    return (stat.st_size, stat.st_mtime_ns, stat.st_ino, stat.st_ctime_ns), settled


_now_ns = time.time_ns


def _hash(path: str) -> str:
    whole = hashlib.blake2b(digest_size=20)
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            whole.update(chunk)
    return whole.hexdigest()


def _connect() -> sqlite3.Connection | None:
    if _store is None:
        return None
    try:
        _store.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(_store, timeout=1.0, isolation_level=None)
        connection.execute(
            "CREATE TABLE IF NOT EXISTS hashes"
            " (path TEXT PRIMARY KEY, size INT, mtime INT, inode INT, ctime INT, digest TEXT)"
        )
    except (OSError, sqlite3.Error):
        return None  # remembering is a convenience: hashing again is right too
    return connection


def _recall(path: str, state: _State) -> str | None:
    connection = _connect()
    if connection is None:
        return None
    with contextlib.closing(connection), contextlib.suppress(sqlite3.Error):
        row = connection.execute(
            "SELECT size, mtime, inode, ctime, digest FROM hashes WHERE path = ?", (path,)
        ).fetchone()
        if row is not None and row[:4] == state and isinstance(row[4], str) and len(row[4]) == 40:
            return row[4]
    return None


def _record(path: str, state: _State, digest: str) -> None:
    connection = _connect()
    if connection is None:
        return
    with contextlib.closing(connection), contextlib.suppress(sqlite3.Error):
        connection.execute("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?, ?)", (path, *state, digest))
