"""A database (SQLite, with a write-ahead log) in a folder, of all processes that use it.

Its file has a number: one that is damaged is left behind for the next number, so that nobody writes into a file that
another process takes away. One that is locked for too long, or cannot be used, holds nothing for some seconds.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from weft.engine.cache.room import FULL

log = logging.getLogger("weft.cache")
T = TypeVar("T")

_READ_SECONDS = 0.25
_WRITE_SECONDS = 1.0
"""How long another process may hold a lock."""
_OFF_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_ABSENT_SECONDS = 0.1
"""For so long a database that was not there is not looked for again."""
_SUFFIX = ".sqlite"
_PAGES = 256
"""Of the log, before it is written into the database."""
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_PRAGMAS = f"""
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA wal_autocheckpoint = {_PAGES};
PRAGMA journal_size_limit = {_PAGES * 4096};
"""


class _Connection:
    """One connection, for one thread at a time; opened when it is needed and put away before a fork."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.lock = threading.Lock()
        self.opened: sqlite3.Connection | None = None
        self.file: tuple[Path, int] | None = None
        """Path and inode of what is open."""
        self.looked = 0.0
        self.off = 0.0
        """Until when the database is not used."""

    def close(self) -> None:
        opened, self.opened, self.file = self.opened, None, None
        if opened is not None:
            with contextlib.suppress(sqlite3.Error):
                opened.close()


class Database:
    """Reads and writes a database, from several threads.

    Args:
        folder: for its files; made when something is written first.
        tables: the statements that make its tables where they are not.
    """

    def __init__(self, folder: Path, tables: str) -> None:
        self.folder = folder
        self.damages = 0
        """How many files were found damaged."""
        self._statements = [line for line in map(str.strip, f"{_PRAGMAS};{tables}".split(";")) if line]
        self._reader = _Connection(_READ_SECONDS)
        self._writer = _Connection(_WRITE_SECONDS)
        self._absent = 0.0
        """Until when it is taken for absent by who reads."""
        with registry:
            _databases.add(self)

    def check(self) -> str:
        """What is wrong with the database itself, which then is left behind; nothing when that is nothing."""
        before = self.damages
        rows = self.read(lambda db: db.execute("PRAGMA quick_check(1)").fetchall()) or [("ok",)]
        if rows[0][0] != "ok" and self.damages == before:
            with self._reader.lock:
                self._leave_behind(self._reader, str(rows[0][0]))
        return str(rows[0][0]) if rows[0][0] != "ok" else "it is no sound database" if self.damages != before else ""

    def close(self) -> None:
        """Close the database; it is opened again when it is needed."""
        for connection in (self._reader, self._writer):
            with connection.lock:
                connection.close()

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        """What `work` finds; None when there is no database to be had."""
        if self._absent and time.monotonic() < self._absent:
            return None
        with self._reader.lock:
            try:
                db = self._open(self._reader, make=False)
                return None if db is None else work(db)
            except (sqlite3.Error, OSError) as error:
                self._failed(self._reader, error)
                return None

    def write(
        self, work: Callable[[sqlite3.Connection], T], *, make: bool = False, transaction: bool = True
    ) -> T | None:
        """Do `work` in a transaction; None when there is no database to be had.

        Raises:
            OSError: the disk is full.
        """
        with self._writer.lock:
            try:
                db = self._open(self._writer, make=make)
                if db is None:
                    return None
                if not transaction:
                    return work(db)
                db.execute("BEGIN IMMEDIATE")
                try:
                    result = work(db)
                    db.execute("COMMIT")
                    return result
                except BaseException:
                    with contextlib.suppress(sqlite3.Error):
                        db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                if _code(error) == sqlite3.SQLITE_FULL:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
                self._failed(self._writer, error)
                return None
            except OSError as error:
                if error.errno in FULL:
                    raise
                self._failed(self._writer, error)
                return None

    def _open(self, connection: _Connection, *, make: bool) -> sqlite3.Connection | None:
        now = time.monotonic()
        if now < connection.off:
            return None
        if connection.opened is not None:
            if not make and now - connection.looked < _LOOK_SECONDS:
                return connection.opened
            connection.looked = now
            if connection.file == self._newest():
                return connection.opened
            connection.close()  # somebody removed it, or found it damaged
        path, inode = self._newest() or (self.folder / f"1{_SUFFIX}", 0)
        if not inode:
            if not make:
                self._absent = now + _ABSENT_SECONDS
                return None
            self.folder.mkdir(parents=True, exist_ok=True)
        connection.opened = self._connect(path, connection.seconds)
        connection.file = path, os.stat(path).st_ino
        connection.looked = now
        self._absent = 0.0
        return connection.opened

    def _newest(self) -> tuple[Path, int] | None:
        """Path and inode of the database with the highest number."""
        best, number = None, -1
        with contextlib.suppress(OSError), os.scandir(self.folder) as items:
            for item in items:
                stem, _, suffix = item.name.partition(".")
                if f".{suffix}" == _SUFFIX and stem.isascii() and stem.isdigit() and int(stem) > number:
                    best, number = Path(item.path), int(stem)
        if best is None:
            return None
        try:
            return best, os.stat(best).st_ino
        except OSError:
            return None

    def _connect(self, path: Path, seconds: float) -> sqlite3.Connection:
        if os.path.exists(path) and not os.access(path.parent, os.W_OK):
            uri = f"{path.as_uri()}?mode=ro&immutable=1"
            return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        end = time.monotonic() + seconds
        while True:
            db = sqlite3.connect(path, timeout=seconds, isolation_level=None, check_same_thread=False)
            try:
                for statement in self._statements:
                    db.execute(statement).fetchall()
                return db
            except BaseException as error:
                db.close()
                # Several that make it at once do not wait for each other by themselves.
                if _code(error) not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or time.monotonic() > end:
                    raise
            time.sleep(0.01)

    def _failed(self, connection: _Connection, error: Exception) -> None:
        """The database cannot be used: for some seconds, or this one no more."""
        if _code(error) in _DAMAGED or (_code(error) == sqlite3.SQLITE_ERROR and "no such" in str(error)):
            self._leave_behind(connection, str(error))
            return
        log.debug("small results go without their database for a while: %s", error)
        connection.close()
        connection.off = time.monotonic() + _OFF_SECONDS

    def _leave_behind(self, connection: _Connection, reason: str) -> None:
        """Go on with the next number. Other processes see that soon, and the old files go."""
        path = connection.file[0] if connection.file is not None else (self._newest() or (None,))[0]
        connection.close()
        if path is None:
            return
        self.damages += 1
        log.warning("the database of small results %s is damaged and begun anew: %s", path.name, reason)
        try:
            # Made before the old one goes, so that its number is not given again. One that is there is not opened: to
            # close it would end the locks that this process has on it.
            following = path.with_name(f"{int(path.stem) + 1}{_SUFFIX}")
            with contextlib.suppress(FileExistsError):
                os.close(os.open(following, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
                path.with_name(name).unlink(missing_ok=True)
        except OSError:
            connection.off = time.monotonic() + _OFF_SECONDS


def _code(error: BaseException) -> int:
    """The primary code of what SQLite says; -1 for what else went wrong."""
    number = getattr(error, "sqlite_errorcode", -1)
    return number & 0xFF if number >= 0 else -1


registry = threading.RLock()
"""Had while one is made, or while the process forks."""
_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_stopped: list[_Connection] = []


def _before_fork() -> None:
    """SQLite cannot be carried through a fork: a child would believe that it has the locks of its parent."""
    registry.acquire()
    for database in list(_databases):
        for connection in (database._reader, database._writer):
            connection.lock.acquire()
            connection.close()
            _stopped.append(connection)


def _after_fork() -> None:
    while _stopped:
        _stopped.pop().lock.release()
    registry.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
