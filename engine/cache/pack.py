"""Small entries together in one database, which costs a tenth of a file each.

It holds the bytes of entries as they would stand in files; each is checked by who reads it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

from weft.engine.cache.database import Database, registry
from weft.engine.cache.room import Occupant

ROW_BYTES = 96
"""What an entry takes beside its own bytes, about."""
_AT_ONCE = 64
"""Rows of one statement: it runs outside of Python's lock."""
_TABLES = """
CREATE TABLE IF NOT EXISTS entries
    (key BLOB NOT NULL PRIMARY KEY, used REAL NOT NULL, size INTEGER NOT NULL, entry BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS by_use ON entries (used, size, key);
"""


class Pack:
    """Small entries of a folder, by key. Its methods may be called from several threads.

    Args:
        folder: for the database; made when the first entry is written.
    """

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder, _TABLES)

    # -- entries

    def get(self, key: bytes) -> bytes | None:
        """The bytes of an entry, unchecked; None for a miss."""
        row = self.database.read(lambda db: db.execute("SELECT entry FROM entries WHERE key = ?", (key,)).fetchone())
        return row[0] if row is not None and isinstance(row[0], bytes) else None

    def put(self, entries: Sequence[tuple[bytes, bytes]]) -> int | None:
        """Write entries (key, bytes), all or none; returns how many bytes more there are now, None for none.

        Raises:
            OSError: the disk is full.
        """
        now = time.time()

        def write(db: sqlite3.Connection) -> int:
            added = 0
            for start in range(0, len(entries), _AT_ONCE):
                rows = entries[start : start + _AT_ONCE]
                values = [item for key, entry in rows for item in (key, now, len(entry) + ROW_BYTES, entry)]
                db.execute(f"INSERT OR REPLACE INTO entries VALUES {_places('(?, ?, ?, ?)', len(rows))}", values)
                added += sum(len(entry) + ROW_BYTES for _, entry in rows)
            return added

        return self.database.write(write, make=True)

    def touch(self, keys: Sequence[bytes]) -> None:
        """Say that entries were used now."""
        now = time.time()

        def write(db: sqlite3.Connection) -> None:
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                db.execute(f"UPDATE entries SET used = ? WHERE key IN ({_places('?', len(some))})", (now, *some))

        with contextlib.suppress(OSError):
            self.database.write(write)

    def drop(self, keys: Sequence[bytes]) -> tuple[int, int]:
        """Remove entries; returns how many were there, and how many bytes."""

        def write(db: sqlite3.Connection) -> tuple[int, int]:
            count = size = 0
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                where = f"WHERE key IN ({_places('?', len(some))})"
                count_here, size_here = db.execute(
                    f"SELECT COUNT(*), TOTAL(size) FROM entries {where}", some
                ).fetchone()
                db.execute(f"DELETE FROM entries {where}", some)
                count, size = count + count_here, size + int(size_here)
            return count, size

        try:
            removed = self.database.write(write) or (0, 0)
            if removed[1] >= 1 << 20:
                self.database.write(lambda db: db.execute("PRAGMA incremental_vacuum").fetchall(), transaction=False)
            return removed
        except OSError:
            return 0, 0  # too full even for that; files will have to go

    def matching(self, prefix: bytes) -> list[tuple[float, bytes]]:
        """(last use, key) of all entries whose key begins with `prefix`."""
        end = prefix + b"\xff" * 64
        query = "SELECT used, key FROM entries WHERE key >= ? AND key <= ?"
        return self.database.read(lambda db: db.execute(query, (prefix, end)).fetchall()) or []

    def all_keys(self) -> list[bytes]:
        """Of all entries."""
        rows = self.database.read(lambda db: db.execute("SELECT key FROM entries").fetchall()) or []
        return [key for (key,) in rows if isinstance(key, bytes)]

    def usage(self) -> tuple[int, int]:
        """(entries, bytes)."""
        query = "SELECT COUNT(*), TOTAL(size) FROM entries"
        count, size = self.database.read(lambda db: db.execute(query).fetchone()) or (0, 0)
        return count, int(size)

    def clear(self) -> int:
        """Remove every entry; returns how many."""
        try:
            removed = self.database.write(lambda db: db.execute("DELETE FROM entries").rowcount) or 0
            self.database.write(lambda db: db.execute("PRAGMA incremental_vacuum").fetchall(), transaction=False)
            self.database.write(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall(), transaction=False)
        except OSError:
            return 0
        return removed

    # -- as a place of a room

    def total(self) -> int:
        """Bytes of all entries."""
        return self.usage()[1]

    def oldest_first(self) -> Iterator[Occupant]:
        """All entries, the least recently used first."""
        used, key = -1.0, b""
        query = "SELECT used, size, key FROM entries WHERE (used, key) > (?, ?) ORDER BY used, key LIMIT 1000"
        while rows := self.database.read(lambda db, after=(used, key): db.execute(query, after).fetchall()):  # type: ignore[misc]
            for used, size, key in rows:
                # A damaged database may say anything; what it says goes on, and what it is worth is nothing.
                yield Occupant(used if type(used) is float else 0.0, size if type(size) is int else 0, key)

    def remove(self, occupants: list[Occupant]) -> tuple[int, int]:
        """Remove some; returns how many were there, and how many bytes."""
        return self.drop([occupant.name for occupant in occupants])


def _places(one: str, count: int) -> str:
    return ", ".join([one] * count)


_by_folder: weakref.WeakValueDictionary[str, Pack] = weakref.WeakValueDictionary()


def pack_of(folder: Path) -> Pack:
    """The pack of a folder; one object a process, however many caches there are."""
    with registry:
        name = os.path.realpath(folder)
        pack = _by_folder.get(name)
        if pack is None:
            pack = _by_folder[name] = Pack(folder)
        return pack
