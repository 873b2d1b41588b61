"""Results to put on disk, and what a cache has there as bytes, to damage it as a disk would."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from weft.engine.cache.store import ResultStore

MIB = 1024 * 1024
ROOT = Path(__file__).parents[2]


def key_of(number: int) -> bytes:
    """A key for each number."""
    return number.to_bytes(2, "big") + bytes(18)


def result(number: int, length: int = 3) -> tuple[Any, ...]:
    """A result of a number: up to some hundred of them are small."""
    return (np.full(length, number, dtype=np.int64),)


def number_in(outputs: Any) -> int:
    """The number of a result that is as it was made."""
    values = set(outputs[0].tolist())
    assert len(values) == 1
    return int(values.pop())


def again(store: ResultStore) -> ResultStore:
    """As another process finds it: with nothing that waits."""
    store.flush()
    return ResultStore(store.folder, store.max_bytes)


def filled(folder: Path, count: int = 300) -> ResultStore:
    """A store with so many small results, its database closed."""
    store = ResultStore(folder, 100 * MIB)
    for n in range(count):
        store.put(key_of(n), result(n), {})
    store.flush()
    store._pack.database.close()
    return store


def run_python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Another process."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)


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
