"""Jobs in one SQLite file: one connection writes, with every commit on disk before the call returns; others read."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from weft.server.store import backups, migrations
from weft.server.store.ballast import Ballast
from weft.server.store.base import Dialect, Sql
from weft.server.store.connecting import concerns_all, connect, make_private, typed
from weft.server.store.protocol import Closed, NoSpace, Unavailable
from weft.server.store.readers import Readers
from weft.server.store.sql_store import SqlStore

T = TypeVar("T")

_LOG_BYTES = 64 << 20


class SqliteStore(SqlStore):
    """A `JobStore` in a file.

    A database of an older version is migrated, after a backup. See `open_folder` for one that may be damaged.

    Args:
        file: made where it is not.
        most_queued: so many jobs may be queued.
        backup_folder: where backups go; "backups" beside the file by default.
        ballast: room for a full disk; none by default.
        trace: is called with each statement before it is run, for tests and for looking closely.

    Raises:
        NewerDatabase: a newer Weft wrote it.
        Unavailable: it is damaged or locked, or cannot be opened.
    """

    dialect = Dialect()

    def __init__(
        self,
        file: Path,
        *,
        most_queued: int = 10_000,
        backup_folder: Path | None = None,
        ballast: Ballast | None = None,
        trace: Callable[[str], object] | None = None,
    ) -> None:
        self.file = file
        self.most_queued = most_queued
        self.backup_folder = file.parent / "backups" if backup_folder is None else backup_folder
        self.ballast = ballast
        self._lock = threading.RLock()
        self._thread: int | None = None
        """Which thread is within the transaction that writes."""
        self._closed = False
        self._readers = Readers(self._connect_to_read)
        with typed():
            migrations.check_version(file)
            make_private(file)
            self._connection = connect(file)
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
                migrations.migrate(self._connection, file, self.backup_folder)
            except BaseException:
                self._connection.close()
                raise
        self._connection.set_trace_callback(trace)

    # -- transactions

    def _write(self, change: Callable[[Sql], T]) -> T:
        if self._thread == threading.get_ident():
            return change(self._connection)
        with self._lock:
            if self._closed:
                raise Closed("The store is closed.")
            try:
                return self._transaction(change)
            except NoSpace:
                if self.ballast is None or not self.ballast.release():
                    raise
                return self._transaction(change)

    def _transaction(self, change: Callable[[Sql], T]) -> T:
        with typed():
            self._connection.execute("BEGIN IMMEDIATE")
            self._thread = threading.get_ident()
            try:
                value = change(self._connection)
                self._connection.execute("COMMIT")
            finally:
                self._thread = None
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            return value

    def _read(self, look: Callable[[Sql], T]) -> T:
        if self._thread == threading.get_ident():
            return look(self._connection)
        with typed(), self._readers.lend() as connection:
            connection.execute("BEGIN")
            try:
                return look(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    def _concerns_all(self, error: Exception) -> bool:
        # What is very wrong makes SQLite undo the whole transaction by itself.
        return concerns_all(error) or not self._connection.in_transaction

    # -- what the database cannot know

    def _check_space(self) -> None:
        if self.ballast is not None and self.ballast.released and not self.ballast.refill():
            raise NoSpace(f"The disk of {self.file.parent} is full: no new jobs are taken.")

    def _are_gone(self, sql: Sql, owners: Sequence[str]) -> list[str]:
        # The folder is locked: there is no other server.
        return list(owners)

    # -- the whole

    def backup(self, now: float) -> Path:
        """Write a backup, look whether it is sound, and remove those that are too many; returns its file.

        Raises:
            Unavailable: the database is damaged, or the backup cannot be written.
            NoSpace: the disk is full.
        """
        try:
            with typed():
                return backups.write(self.file, self.backup_folder, now)
        except OSError as error:
            raise Unavailable(f"The backup cannot be written: {error}.") from error

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._readers.close()
            self._connection.close()

    def _connect_to_read(self) -> sqlite3.Connection:
        connection = connect(self.file)
        connection.execute("PRAGMA query_only = ON")
        return connection
