"""Jobs in PostgreSQL, for several servers that share the work. Needs the extra `weft[postgres]`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row

from weft.server.store.base import Dialect, Sql
from weft.server.store.protocol import Also, Closed, NewerDatabase, NoSpace, StoreError, Unavailable
from weft.server.store.readers import Readers
from weft.server.store.records import Claim, Heard
from weft.server.store.schema import MIGRATIONS
from weft.server.store.sql_store import SqlStore

T = TypeVar("T")

_CHANNEL = "weft_queue"
_EVENTS = "weft_events"
"""Takes which state events of which job were stored, as `id first end`; nothing where a job was taken."""
_LOCK = 0x57656674
"""Of the changes that only one server makes at a time."""
_TRIES = 5
_VERSION = "version"
_OF_ONE = (psycopg.IntegrityError, psycopg.DataError, psycopg.ProgrammingError, psycopg.NotSupportedError)
_AGAIN = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)


class PostgresStore(SqlStore):
    """A `JobStore` that several servers use at once.

    Tables are made, and those of an older version migrated, in one transaction; backups are for PostgreSQL's own
    tools. Whether a server is gone is known from a lock that belongs to its connection, so no clock is asked.

    Args:
        url: such as "postgresql://user@host/database".
        most_queued: so many jobs may be queued.

    Raises:
        NewerDatabase: a newer Weft made the tables.
        Unavailable: the database cannot be reached.
    """

    dialect = Dialect(
        unless_taken=" FOR UPDATE SKIP LOCKED",
        alone=f"SELECT pg_advisory_xact_lock({_LOCK})",
        wake=f"NOTIFY {_CHANNEL}",
        words=(
            ("INTEGER", "BIGINT"),
            ("REAL", "DOUBLE PRECISION"),
            (" WITHOUT ROWID", ""),
            ("COLLATE BINARY", 'COLLATE "C"'),
        ),
    )

    def __init__(self, url: str, *, most_queued: int = 10_000) -> None:
        self.url = url
        self.most_queued = most_queued
        self._lock = threading.RLock()
        self._thread: int | None = None
        self._closed = False
        self._owners: set[str] = set()
        """Servers whose lock the connection that writes has."""
        self._listener: _Connection | None = None
        self._follower: _Connection | None = None
        self._readers = Readers(self._connect, _is_sound)
        self._connection = self._connect()
        try:
            self._transaction(self._migrate)
        except BaseException:
            self._connection.close()
            raise

    def _connect(self) -> _Connection:
        with _typed():
            return _Connection(self.url)

    # -- transactions

    def _write(self, change: Callable[[Sql], T]) -> T:
        if self._thread == threading.get_ident():
            return change(self._connection)
        with self._lock:
            if self._closed:
                raise Closed("The store is closed.")
            if not _is_sound(self._connection):
                self._connection.close()
                self._owners.clear()
                self._connection = self._connect()
            for _ in range(_TRIES - 1):
                with contextlib.suppress(*_AGAIN):
                    return self._transaction(change)
            with _typed():
                return self._transaction(change)

    def _transaction(self, change: Callable[[Sql], T]) -> T:
        with _typed(but=_AGAIN):
            self._connection.execute("BEGIN")
            self._thread = threading.get_ident()
            try:
                value = change(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if _is_sound(self._connection):
                    self._connection.execute("ROLLBACK")
                raise
            finally:
                self._thread = None
            return value

    def _read(self, look: Callable[[Sql], T]) -> T:
        if self._thread == threading.get_ident():
            return look(self._connection)
        with self._readers.lend() as connection, _typed():
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                return look(connection)
            finally:
                if _is_sound(connection):
                    connection.execute("ROLLBACK")

    def _concerns_all(self, error: Exception) -> bool:
        return isinstance(error, psycopg.Error) and not isinstance(error, _OF_ONE)

    def _migrate(self, sql: Sql) -> None:
        sql.execute(self.dialect.alone)
        there = sql.execute("SELECT to_regclass('facts') AS facts").fetchone()["facts"] is not None
        row = sql.execute("SELECT value FROM facts WHERE name = ?", (_VERSION,)).fetchone() if there else None
        version = 0 if row is None else int(row["value"])
        if version > len(MIGRATIONS):
            raise NewerDatabase(
                f"The tables have version {version}, and this Weft knows versions up to {len(MIGRATIONS)}: use the Weft"
                " that made them, or a newer one. They were left as they are."
            )
        if there and row is None:
            raise StoreError("The database has tables of another program: use a schema or database of its own.")
        if version == len(MIGRATIONS):
            return
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                sql.execute(self.dialect.table(statement))
        sql.execute(
            "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (_VERSION, str(len(MIGRATIONS))),
        )

    # -- several servers

    def claim(
        self,
        owner: str,
        now: float,
        *,
        models: Sequence[str] = (),
        look_ahead: int = 32,
        patience: float = 60.0,
        also: Also | None = None,
    ) -> Claim | None:
        def leased(sql: Sql) -> Claim | None:
            self._live(sql, owner)
            claim = super(PostgresStore, self).claim(
                owner, now, models=models, look_ahead=look_ahead, patience=patience, also=also
            )
            if claim is not None:
                sql.execute(f"NOTIFY {_EVENTS}")
            return claim

        return self._write(leased)

    def abandoned(self, owner: str) -> list[Claim]:
        def leased(sql: Sql) -> list[Claim]:
            self._live(sql, owner)
            return super(PostgresStore, self).abandoned(owner)

        return self._write(leased)

    def _live(self, sql: Sql, owner: str) -> None:
        """Have the lock that says that this server runs, for as long as the connection does."""
        if owner not in self._owners:
            sql.execute("SELECT pg_advisory_lock(hashtextextended(?, 0))", (owner,))
            self._owners.add(owner)

    def _are_gone(self, sql: Sql, owners: Sequence[str]) -> list[str]:
        gone = "SELECT pg_try_advisory_xact_lock(hashtextextended(?, 0)) AS gone"
        return [owner for owner in owners if sql.execute(gone, (owner,)).fetchone()["gone"]]

    def _append(self, sql: Sql, seq: int, first: int, events: Sequence[str]) -> None:
        super()._append(sql, seq, first, events)
        if events:
            sql.execute(
                "SELECT pg_notify(?, id || ?) FROM jobs WHERE seq = ?",
                (_EVENTS, f" {first} {first + len(events)}", seq),
            )

    def _check_space(self) -> None:
        """The disk is the database's."""

    def wait(self, timeout: float) -> bool:
        """Wait until some server submits, gives back, cancels or lets the queue go on; whether one did. What happened
        since the last call counts. For one thread, and not the one that writes."""
        with _typed():
            if self._listener is None or not _is_sound(self._listener):
                self._listener = self._connect()
                self._listener.execute(f"LISTEN {_CHANNEL}")
                return True  # what happened before nobody has said
            return any(True for _ in self._listener.connection.notifies(timeout=timeout, stop_after=1))

    def heard(self, timeout: float) -> Heard:
        """Wait until some server, this one too, stored state events or changed the queue, and say which. What happened
        since the last call counts. For one thread, and not the one that writes.

        Raises:
            Unavailable: the database cannot be reached.
        """
        with _typed():
            if self._follower is None or not _is_sound(self._follower):
                self._follower = self._connect()
                for channel in (_EVENTS, _CHANNEL):
                    self._follower.execute(f"LISTEN {channel}")
                return Heard(anew=True)
            heard = Heard()
            for notice in self._follower.connection.notifies(timeout=timeout, stop_after=1):
                heard.queue = True
                if notice.channel == _EVENTS and notice.payload:
                    id, first, end = notice.payload.split()
                    heard.events.append((id, int(first), int(end)))
            return heard

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._readers.close()
            self._connection.close()
            for listening in (self._listener, self._follower):
                if listening is not None:
                    listening.close()


class _Connection:
    """A connection of psycopg that takes statements as they are written for SQLite."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True, row_factory=dict_row)

    def execute(self, text: str, values: Sequence[Any] = (), /) -> Any:
        return self.connection.execute(_statement(text), values or None)

    def executemany(self, text: str, values: Any, /) -> Any:
        cursor = self.connection.cursor()
        cursor.executemany(_statement(text), list(values))
        return cursor

    def close(self) -> None:
        self.connection.close()


def _statement(text: str) -> bytes:
    return text.replace("?", "%s").encode()


def _is_sound(connection: _Connection) -> bool:
    return not connection.connection.closed and not connection.connection.broken


@contextlib.contextmanager
def _typed(but: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Raises NoSpace and Unavailable in place of psycopg's errors that concern the whole database."""
    untouched: tuple[type[BaseException], ...] = (*but, *_OF_ONE)
    try:
        yield
    except untouched:
        raise
    except psycopg.errors.DiskFull as error:
        raise NoSpace(f"The disk of the database is full: {error}") from error
    except psycopg.Error as error:
        raise Unavailable(f"The database cannot be used: {error}") from error
