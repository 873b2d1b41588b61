"""The database of small results when it is damaged, locked, removed or not to be had."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from tests.engine.stored import (
    MIB,
    again,
    databases,
    filled,
    key_of,
    number_in,
    result,
    run_python,
)
from weft.engine.cache import database as database_module
from weft.engine.cache.store import ResultStore

KEY = bytes(range(20))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwrite(path: Path) -> None:
    path.write_bytes(b"no database at all" * 1000)


def scramble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(data), len(data) // 20):
        data[place] = int(rng.integers(256))
    path.write_bytes(data)


def without_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE entries")


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES: list[Callable[[Path], None]] = [cut, overwrite, scramble, without_tables, empty]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("is_open", [False, True], ids=["closed", "open"])
def test_a_damaged_database_is_begun_anew(tmp_path: Path, damage: Callable[[Path], None], is_open: bool) -> None:
    store = filled(tmp_path)
    if is_open:
        assert number_in(store.get(key_of(1))) == 1
    (path,) = databases(tmp_path)
    damage(path)
    for n in range(300):
        found = store.get(key_of(n))
        assert found is None or number_in(found) == n
    for n in range(300):
        store.put(key_of(n), result(n), {})
    store.flush()
    store.verify()
    for n in range(300):
        store.put(key_of(n), result(n), {})
    store.flush()
    fresh = ResultStore(tmp_path, 100 * MIB)
    assert [number_in(fresh.get(key_of(n))) for n in range(300)] == list(range(300))
    assert fresh.verify() == (300, [])
    assert len(databases(tmp_path)) == 1, "the damaged one is gone"


@pytest.mark.parametrize("seed", range(30))
def test_a_changed_byte_of_the_database_is_never_a_wrong_result(tmp_path: Path, seed: int) -> None:
    store = filled(tmp_path, 60)
    (path,) = databases(tmp_path)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(0, len(data), 1 + seed % 3):
        data[place] ^= int(rng.integers(1, 256))
    path.write_bytes(data)
    for n in range(60):
        found = store.get(key_of(n))
        assert found is None or number_in(found) == n
    store.put(KEY, result(77), {})
    store.verify()
    store.put(KEY, result(77), {})
    assert number_in(again(store).get(KEY)) == 77


def test_a_database_that_is_removed_while_it_is_open_is_made_again(tmp_path: Path) -> None:
    store = filled(tmp_path, 5)
    assert store.get(key_of(1)) is not None
    for path in (tmp_path / "small").iterdir():
        path.unlink()
    store.put(key_of(9), result(9), {})
    store.flush()
    done = run_python(
        "import sys; from weft.engine.cache.store import ResultStore; s = ResultStore(sys.argv[1], 1 << 20);"
        "print(s.get(bytes.fromhex(sys.argv[2])))",
        tmp_path,
        key_of(9).hex(),
    )
    assert "9" in done.stdout, done.stderr


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for locks are short, and a database that is off comes back at once."""
    monkeypatch.setattr(database_module, "_READ_SECONDS", 0.05)
    monkeypatch.setattr(database_module, "_WRITE_SECONDS", 0.05)


def test_a_locked_database_costs_caching_and_no_run(tmp_path: Path, quick: None) -> None:
    filled(tmp_path, 5)
    (path,) = databases(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("UPDATE entries SET used = used")
        store = ResultStore(tmp_path, 100 * MIB)
        assert store.get(key_of(1)) is None
        for n in range(10, 15):
            store.put(key_of(n), result(n), {})
        store.flush()
        assert [number_in(store.get(key_of(n))) for n in range(10, 15)] == list(range(10, 15)), "in files"
        other.execute("ROLLBACK")
    store._pack.database._reader.off = 0.0
    assert number_in(store.get(key_of(1))) == 1
    assert store.verify() == (10, [])


def test_a_folder_that_takes_no_database_has_files(tmp_path: Path) -> None:
    (tmp_path / "small").write_text("in the way")
    store = ResultStore(tmp_path, MIB)
    store.put(KEY, result(3), {})
    assert number_in(again(store).get(KEY)) == 3
    assert len(list(tmp_path.rglob("*.weft"))) == 1


def test_a_folder_that_cannot_be_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path, 5)
    access = os.access
    monkeypatch.setattr(database_module.os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    store = ResultStore(tmp_path, 100 * MIB, small_bytes=4096)
    for n in range(5, 8):
        store.put(key_of(n), result(n), {})
    store.flush()
    assert [number_in(store.get(key_of(n))) for n in range(8)] == list(range(8)), "what cannot be packed has a file"
    assert len(list(tmp_path.rglob("*.weft"))) == 3
