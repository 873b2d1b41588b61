"""What a cache has on disk, as bytes: to damage it as a disk would."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path


def databases(folder: Path) -> list[Path]:
    """The packs of small entries."""
    return sorted((folder / "small").glob("*.sqlite"))


def change_entries(folder: Path, change: Callable[[bytes], bytes]) -> int:
    """Put `change(bytes)` in the place of every entry, wherever it lies; returns how many there are."""
    count = 0
    for path in folder.rglob("*.weft"):
        path.write_bytes(change(path.read_bytes()))
        count += 1
    for path in databases(folder):
        with closing(sqlite3.connect(path)) as database, database:
            for key, entry in database.execute("SELECT key, entry FROM entries").fetchall():
                database.execute("UPDATE entries SET entry = ? WHERE key = ?", (change(entry), key))
                count += 1
    return count


def flip_last_bit(entry: bytes) -> bytes:
    """Damage that a head or body has at its end."""
    return entry[:-1] + bytes([entry[-1] ^ 1])
