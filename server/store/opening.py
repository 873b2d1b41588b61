"""A data folder's database, opened for one server: the folder is locked, and damage is met with a backup."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from weft.server.store import backups, ballast
from weft.server.store.ballast import Ballast
from weft.server.store.connecting import connect_to_look, faults, is_damage, typed
from weft.server.store.migrations import check_version
from weft.server.store.protocol import NoSpace, StoreError
from weft.server.store.sqlite import SqliteStore

log = logging.getLogger("weft.store")

DATABASE, LOCK, BACKUPS, BALLAST = "weft.sqlite", "weft.lock", "backups", "ballast"


class FolderInUse(StoreError):  # noqa: N818
    """Another server holds the data folder."""


class FolderLock:
    """A data folder for as long as this object is not closed; the system frees it when the process ends.

    Raises:
        FolderInUse: another one has it; says which process.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._file: int | None = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(os.read(self._file, 1_000).decode("utf-8", "replace"))
            self.close()
            raise FolderInUse(f"The data folder {folder} is used by another server{holder}.") from None
        with contextlib.suppress(OSError):  # a full disk; the folder is locked without it too
            os.ftruncate(self._file, 0)
            os.write(self._file, json.dumps({"process": os.getpid(), "since": time.time()}).encode())

    def close(self) -> None:
        """Free the folder. The file stays: to remove it would let two servers lock two files of one name."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)


def _holder(text: str) -> str:
    """Who holds a folder, as its lock file says."""
    try:
        data = json.loads(text)
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(data["since"]))
        return f", process {int(data['process'])} since {since}"
    except (ValueError, TypeError, KeyError, OverflowError):
        return ""  # it has just begun


@dataclass(frozen=True, slots=True)
class Opened:
    """A data folder that is this server's.

    Attributes:
        damaged: where a damaged database was moved; None when it was sound, or missing.
        restored: the backup that took its place; None when there was none, and then it is empty.
    """

    store: SqliteStore
    lock: FolderLock
    damaged: Path | None = None
    restored: Path | None = None

    def close(self) -> None:
        """Close the store and free the folder."""
        self.store.close()
        self.lock.close()


def open_folder(
    folder: Path,
    *,
    most_queued: int = 10_000,
    ballast_bytes: int = ballast.BYTES,
    trace: Callable[[str], object] | None = None,
) -> Opened:
    """Open the database of a data folder, which is made where it is not. A damaged database is moved aside, and the
    newest sound backup takes its place, as it does where the database is missing; what happened since that backup is
    lost, and the log says so.

    Raises:
        FolderInUse: another server has it.
        NewerDatabase: a newer Weft wrote it.
        NoSpace: the disk is full, and the ballast was not enough.
        Unavailable: it cannot be opened for another reason than damage.
    """
    lock = FolderLock(folder)
    room = Ballast(folder / BALLAST, ballast_bytes)
    try:
        try:
            store, damaged, restored = _open(folder, most_queued, room, trace)
        except NoSpace:
            if not room.release():
                raise
            store, damaged, restored = _open(folder, most_queued, room, trace)
    except BaseException:
        lock.close()
        raise
    return Opened(store, lock, damaged, restored)


def _open(
    folder: Path, most_queued: int, room: Ballast, trace: Callable[[str], object] | None
) -> tuple[SqliteStore, Path | None, Path | None]:
    file = folder / DATABASE
    with typed():
        damaged, restored = _heal(file, folder / BACKUPS)
    backup_folder = folder / BACKUPS
    store = SqliteStore(file, most_queued=most_queued, backup_folder=backup_folder, ballast=room, trace=trace)
    return store, damaged, restored


def _heal(file: Path, folder: Path) -> tuple[Path | None, Path | None]:
    """Where a damaged database went, and what took its place."""
    found = _damage(file, folder)
    if found is None:
        return None, None
    aside = _move_aside(file)
    restored = backups.restore(file, folder)
    now = f"the backup {restored.name} took its place" if restored else "there is no sound backup, so it begins empty"
    log.error("The database %s was damaged (%s)%s; %s.", file, found, f" and is now {aside}" if aside else "", now)
    return aside, restored


def _damage(file: Path, folder: Path) -> str | None:
    """What is wrong with a database; None for a sound one, or where none has been."""
    exists = file.exists()
    if not exists or not file.stat().st_size:
        # Before the first backup that is how a new folder looks; later the file was lost, or we ended while healing.
        return ("it is empty" if exists else "it is missing") if backups.newest_first(folder) else None
    try:
        check_version(file)
        with contextlib.closing(connect_to_look(file)) as connection:
            return next(iter(faults(connection)), None)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return str(error)


def _move_aside(file: Path) -> Path | None:
    """Rename a database with what belongs to it, for whoever wants to look at it; None where there is nothing."""
    stem = f"{file.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    count, aside = 1, file.with_name(stem)
    while aside.exists():
        count, aside = count + 1, file.with_name(f"{stem}-{count + 1}")
    # The database first: if we end in between, it is missing and not taken for a whole one without its log.
    moved = False
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            file.with_name(f"{file.name}{suffix}").rename(aside.with_name(f"{aside.name}{suffix}"))
            moved = True
    return aside if moved else None
