"""Connections to a SQLite file, and its errors as those of the store."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from weft.server.store.protocol import NoSpace, Unavailable

_BUSY_SECONDS = 30.0
# EDQUOT comes as an error of writing, and a full disk under the index of the log as one of its size.
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
# Of one statement and its values, not of the database.
_OF_ONE = (sqlite3.IntegrityError, sqlite3.DataError, sqlite3.ProgrammingError)


def make_private(file: Path) -> None:
    """Make a file that nobody else may read, where there is none: it will hold prompts. SQLite gives the files beside
    a database the same rights."""
    if not file.exists():
        file.touch(0o600)


def connect(file: Path) -> sqlite3.Connection:
    """A connection that begins no transactions by itself and may be used by one thread after another."""
    connection = sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def connect_to_look(file: Path, *, immutable: bool = False) -> sqlite3.Connection:
    """A connection that cannot write. With `immutable` nothing is made beside the file, which nobody may write then."""
    uri = f"{file.absolute().as_uri()}?mode=ro{'&immutable=1' if immutable else ''}"
    return sqlite3.connect(uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


def is_damage(error: BaseException | None) -> bool:
    """Whether an error says that the file is no sound database, and not only that it cannot be had now."""
    return isinstance(error, sqlite3.DatabaseError) and _code(error) & 0xFF in _DAMAGED


def concerns_all(error: BaseException) -> bool:
    """Whether an error of the database would meet every other call too."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, _OF_ONE)


@contextlib.contextmanager
def typed() -> Iterator[None]:
    """Raises NoSpace and Unavailable in place of SQLite's errors that concern the whole database."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if not concerns_all(error):
            raise
        if _code(error) in _FULL:
            raise NoSpace(f"The disk of the database is full: {error}.") from error
        raise Unavailable(f"The database cannot be used: {error}.") from error


def faults(connection: sqlite3.Connection) -> list[str]:
    """What `quick_check` finds; empty for a sound database."""
    try:
        rows = [row[0] for row in connection.execute("PRAGMA quick_check")]
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return [str(error)]
    return [] if rows == ["ok"] else rows


def _code(error: sqlite3.Error) -> int:
    # Errors that Python raises by itself have none.
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
