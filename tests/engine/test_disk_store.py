"""Results on disk whatever their size: small ones in a pack, large ones in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.stored import (
    MIB,
    again,
    change_entries,
    databases,
    flip_last_bit,
    key_of,
    number_in,
    result,
)
from weft.engine import Cache, Files
from weft.engine.cache.disk import DiskTier
from weft.engine.cache.entries import serialize
from weft.engine.cache.store import ResultStore

KEY = bytes(range(20))
SIZES = {"small": 3, "large": 5000}
both = pytest.mark.parametrize("length", SIZES.values(), ids=SIZES)


@both
def test_a_result_is_found_while_it_waits_and_afterwards(store: ResultStore, length: int) -> None:
    assert store.put(KEY, result(7, length), {"type": "t"})
    other = ResultStore(store.folder, MIB)
    for tier in (store, other):
        assert KEY in tier
        assert number_in(tier.get(KEY)) == 7
        assert (tier.note(KEY) or {})["type"] == "t"
    fresh = again(store)
    assert number_in(fresh.get(KEY)) == 7
    assert (fresh.note(KEY) or {})["type"] == "t"
    small = length == SIZES["small"]
    assert len(databases(store.folder)) == small
    assert len(list(store.folder.rglob("*.weft"))) == (not small)


@both
def test_drop_clear_usage_and_matching(store: ResultStore, length: int) -> None:
    keys = [b"ab" + bytes([n]) * 18 for n in range(4)] + [b"cd" + bytes(18)]
    for number, key in enumerate(keys):
        store.put(key, result(number, length), {})
    store.drop(keys[0])
    assert keys[0] not in store
    assert keys[0] not in again(store), "and what waited is not written afterwards"
    store.drop(keys[1])
    assert keys[1] not in store
    assert sorted(store.matching(b"ab")) == keys[2:4]
    assert store.matching(b"zz") == []
    count, size = store.usage()
    assert count == 3
    assert 3 * length * 8 < size < 3 * (length * 8 + 600)
    store.put(keys[0], result(0, length), {})
    assert store.clear() == 4
    assert store.usage() == (0, 0)
    assert all(key not in store for key in keys)
    store.put(keys[0], result(9, length), {})
    assert number_in(again(store).get(keys[0])) == 9


@both
def test_a_damaged_entry_is_a_miss_and_goes(store: ResultStore, length: int, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        store.put(key_of(number), result(number, length), {})
    store.flush()
    assert change_entries(store.folder, flip_last_bit) == 3
    fresh = again(store)
    assert fresh.get(key_of(0)) is None
    assert "removed the damaged cache entry" in caplog.text
    sound, wrong = fresh.verify()
    assert (sound, len(wrong)) == (0, 2)
    assert key_of(1).hex() in "".join(wrong)
    assert fresh.usage()[0] == 0
    assert fresh.counts.corrupt == 3


@both
def test_an_entry_of_another_key_is_no_result(store: ResultStore, length: int) -> None:
    store.put(key_of(1), result(1, length), {})
    store.flush()
    data = serialize(key_of(1), result(1, length), {}).joined()
    store.put(key_of(2), result(2, length), {})
    store.flush()
    change_entries(store.folder, lambda _: data)
    fresh = again(store)
    assert number_in(fresh.get(key_of(1))) == 1
    assert fresh.get(key_of(2)) is None


@both
def test_an_outdated_entry_is_written_over(tmp_path: Path, length: int, caplog: pytest.LogCaptureFixture) -> None:
    """Also by a cache that was asked for the result before, as a run asks, and by one that was not."""
    for ask in (True, False):
        folder = tmp_path / str(ask)
        Cache(folder).put(KEY, result(1, length))
        Cache(folder).flush()
        assert change_entries(folder, lambda entry: b"WEFTc01\n" + entry[8:]) == 1
        cache = Cache(folder)
        if ask:
            assert cache.find(KEY) is None
        cache.put(KEY, result(2, length))
        cache.flush()
        other = Cache(folder)
        assert other.find(KEY) == "disk"
        outputs = other.get(KEY)
        assert number_in(outputs) == 2
        assert other.disk is not None
        assert other.disk.verify() == (1, [])
    assert "damaged" not in caplog.text, "it is no fault"


def test_files_of_small_entries_are_read_still(tmp_path: Path) -> None:
    files = DiskTier(tmp_path, MIB)
    assert files.put(KEY, result(5), {})
    store = ResultStore(tmp_path, MIB)
    assert KEY in store
    assert number_in(store.get(KEY)) == 5
    assert store.usage()[0] == 1


def test_without_a_pack_each_has_a_file(tmp_path: Path) -> None:
    cache = Cache(tmp_path, disk_small_bytes=0)
    cache.put(KEY, result(5))
    cache.flush()
    assert len(list(tmp_path.rglob("*.weft"))) == 1
    assert databases(tmp_path) == []


def test_what_is_made_as_fast_is_not_written(tmp_path: Path) -> None:
    cache = Cache(tmp_path, disk_min_seconds=0.5, disk_min_bytes=2000)
    (tmp_path / "a.txt").write_text("a")
    cases = {
        b"quick and small": (result(1), {"seconds": 0.1}, False),
        b"slow": (result(1), {"seconds": 0.5}, True),
        b"large": (result(1, 2000), {"seconds": 0.1}, True),
        b"nobody says": (result(1), {}, True),
        b"files": ((Files.of(tmp_path / "a.txt"),), {"seconds": 0.1}, True),
    }
    for key, (outputs, note, _) in cases.items():
        cache.put(key, outputs, note)
        assert cache.find(key) == "memory"
    cache.flush()
    fresh = Cache(tmp_path)
    assert {key: fresh.find(key) for key in cases} == {
        key: "disk" if kept else None for key, (_, _, kept) in cases.items()
    }
