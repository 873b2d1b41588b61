"""The limit of the disk: that of all processes together, for small and large results, and on a full disk."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.stored import (
    MIB,
    ROOT,
    again,
    filled,
    key_of,
    number_in,
    result,
)
from weft.engine.cache import pack as pack_module
from weft.engine.cache.disk import DiskTier
from weft.engine.cache.store import ResultStore

KEY = bytes(range(20))


@pytest.fixture
def sizes(tmp_path: Path) -> Callable[[], int]:
    return lambda: sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())


def test_one_order_of_last_use_for_small_and_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr("weft.engine.cache.pack.time.time", lambda: now[0])
    store = ResultStore(tmp_path, 400_000, small_bytes=20_000)

    def put(n: int, length: int) -> None:
        now[0] += 1
        store.put(key_of(n), result(n, length), {})
        store.flush()
        path = store.files._path(key_of(n))
        if path.exists():
            os.utime(path, (now[0], now[0]))

    for n in range(12):
        put(n, 2000 if n % 2 else 5000)  # 16 KB in the pack, 40 KB in a file
    now[0] += 1
    assert store.get(key_of(1)) is not None, "in the pack, and used now"
    os.utime(store.files._path(key_of(2)), (now[0], now[0]))
    for n in range(12, 15):
        put(n, 5000)
    assert store.usage()[1] <= 400_000
    held = [n for n in range(15) if key_of(n) in store]
    assert {1, 2, 12, 13, 14} <= set(held)
    gone = [n for n in range(15) if n not in held]
    assert gone == [0, *range(3, 3 + len(gone) - 1)], "the oldest, of both kinds"
    assert store.counts.evicted == len(gone)


WRITER = """
import sys
import numpy as np
from weft.engine.cache.store import ResultStore
store = ResultStore(sys.argv[1], int(sys.argv[2]))
rng = np.random.default_rng(int(sys.argv[3]))
print("ready", flush=True)
for line in sys.stdin:
    for n in range(8):
        store.put(rng.bytes(20), (rng.bytes(int(sys.argv[4])),), {})
    store.flush()
    print("done", flush=True)
assert store.counts.corrupt == store.counts.failed_writes == 0, store.counts
"""


@pytest.mark.parametrize("size", [100_000, 2_000], ids=["files", "pack"])
def test_the_limit_is_that_of_all_processes_together(tmp_path: Path, size: int, sizes: Callable[[], int]) -> None:
    """Six that write all the time: what they have together stays near the limit, and is not far below either."""
    limit, rounds = (4 * MIB, 12) if size > 4096 else (MIB, 25)
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(limit), str(n), str(size)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for n in range(6)
    ]  # fmt: skip
    try:
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for _ in range(rounds):
            for writer in writers:
                assert writer.stdin is not None
                writer.stdin.write("go\n")
                writer.stdin.flush()
            for writer in writers:
                assert writer.stdout is not None
                assert writer.stdout.readline() == "done\n"
            assert ResultStore(tmp_path, limit).usage()[1] <= 1.25 * limit
    finally:
        ends = [writer.communicate()[1] for writer in writers]
    assert ends == [""] * 6
    store = ResultStore(tmp_path, limit)
    assert 0.5 * limit < store.usage()[1] <= 1.25 * limit
    if size > 4096:
        assert sizes() <= 1.25 * limit + MIB
    assert store.verify()[1] == []


TALLIES: list[Callable[[Path], object]] = [
    lambda path: path.unlink(),
    lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(b"nonsense" * 100),
    lambda path: path.write_bytes(path.read_bytes()[:-3]),
    lambda path: path.write_bytes(path.read_bytes() + b"12345"),
    lambda path: path.write_bytes(path.read_bytes() + b"\x00" * 12),
    lambda path: path.write_bytes(path.read_bytes()[:30] + b"\xff" + path.read_bytes()[31:]),
]


@pytest.mark.parametrize("damage", TALLIES)
def test_a_damaged_tally_costs_a_count(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    store = ResultStore(tmp_path, 400_000)
    for n in range(5):
        store.put(key_of(n), result(n, 5000), {})
    store.flush()
    used = store.usage()[1]
    assert store.files.room.tally.total() == used
    tally = store.files.entries / "tally"
    assert tally.exists()
    damage(tally)
    other = ResultStore(tmp_path, 400_000)
    assert other.files.room.tally.total() == used
    assert store.files.room.tally.total() == used
    for n in range(5, 30):
        (store, other)[n % 2].put(key_of(n), result(n, 5000), {})
    store.flush()
    assert store.usage()[1] <= 400_000
    assert store.files.room.tally.total() == store.usage()[1]


def test_what_others_remove_and_write_is_in_the_tally(tmp_path: Path) -> None:
    first, second = (DiskTier(tmp_path, MIB) for _ in range(2))
    for n in range(10):
        (first, second)[n % 2].put(key_of(n), result(n, 1000), {})
    second.drop(key_of(0))
    for tier in (first, second):
        assert tier.room.tally.total() == tier.usage()[1] > 0
    second.clear()
    assert first.room.tally.total() == 0


def test_a_long_tally_is_summed_up(tmp_path: Path) -> None:
    tier = DiskTier(tmp_path, MIB)
    tier.put(key_of(0), result(0, 1000), {})
    total = tier.room.tally.total()
    for _ in range(10_000):
        tier.room.tally.add(1)
        tier.room.tally.add(-1)
        if not _ % 1000:
            assert DiskTier(tmp_path, MIB).room.tally.total() == total
    assert tier.room.tally.total() == total
    assert (tier.entries / "tally").stat().st_size < 100_000


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: Callable[[], int]) -> Iterator[None]:
    """A disk of 300 KB for what is written to files."""
    from weft.engine.cache import disk

    write = disk._write_all

    def limited(file: Any, part: Any) -> None:
        if sizes() + memoryview(part).nbytes > 300_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, part)

    monkeypatch.setattr(disk, "_write_all", limited)
    return


@pytest.mark.usefixtures("small_disk")
def test_on_a_full_disk_below_the_limit_the_oldest_go(tmp_path: Path) -> None:
    tier = DiskTier(tmp_path, 100 * MIB)
    for n in range(20):
        assert tier.put(key_of(n), result(n, 5000), {}), "new results are kept as ever"
        os.utime(tier._path(key_of(n)), (1000 + n, 1000 + n))
    assert key_of(19) in tier
    assert key_of(0) not in tier
    assert tier.counts.failed_writes == 0
    assert tier.counts.evicted > 0
    assert not tier.put(KEY, result(1, 50_000), {}), "larger than the disk"
    assert tier.put(KEY, result(1, 1000), {})


def test_a_full_database_makes_room_and_is_written_again(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(20):
        store.put(key_of(n), result(n, 5000), {})
    store.flush()
    full = [1]
    put = pack_module.Pack.put

    def limited(pack: Any, entries: Any) -> Any:
        if full[0]:
            full[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return put(pack, entries)

    monkeypatch.setattr(pack_module.Pack, "put", limited)
    store.put(KEY, result(1), {})
    assert number_in(again(store).get(KEY)) == 1
    assert store.counts.failed_writes == 0
    assert store.counts.evicted > 0


def test_a_database_that_says_it_is_full_is_a_full_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = filled(tmp_path, 1)
    with store._pack.database._writer.lock:
        database = store._pack.database._open(store._pack.database._writer, make=True)
        assert database is not None
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count = {pages}")
    for n in range(1, 400):
        store.put(key_of(n), result(n), {})
    store.flush()
    assert "the disk is full" in caplog.text or store.counts.evicted
    for n in range(400):
        found = store.get(key_of(n))
        assert found is None or number_in(found) == n
    assert store.counts.corrupt == 0
