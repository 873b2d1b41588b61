"""Results on disk whatever their size: small ones in a pack, large ones in files, written behind the run's back."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.stored import change_entries, databases, flip_last_bit
from weft.engine import Cache, Files
from weft.engine.cache import pack as pack_module
from weft.engine.cache import store as store_module
from weft.engine.cache.disk import DiskTier
from weft.engine.cache.entries import Entry, serialize
from weft.engine.cache.store import ResultStore
from weft.engine.cache.writer import Writer

MIB = 1024 * 1024
ROOT = Path(__file__).parents[2]
KEY = bytes(range(20))
SIZES = {"small": 3, "large": 5000}
both = pytest.mark.parametrize("length", SIZES.values(), ids=SIZES)


def key_of(number: int) -> bytes:
    return number.to_bytes(2, "big") + bytes(18)


def result(number: int, length: int = 3) -> tuple[Any, ...]:
    return (np.full(length, number, dtype=np.int64),)


def number_in(outputs: Any) -> int:
    values = set(outputs[0].tolist())
    assert len(values) == 1
    return int(values.pop())


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    return ResultStore(tmp_path / "cache", 100 * MIB)


def again(store: ResultStore) -> ResultStore:
    """As another process finds it: with nothing that waits."""
    store.flush()
    return ResultStore(store.folder, store.max_bytes)


def run_python(code: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120, **options)


# -- what both do


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


# -- what is worth it


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


# -- behind the run's back


@pytest.mark.parametrize("length", [3, 5000, MIB], ids=["small", "medium", "large"])
def test_a_result_that_is_changed_before_it_is_written_is_not_kept_changed(tmp_path: Path, length: int) -> None:
    store = ResultStore(tmp_path, 1 << 30)
    outputs = result(1, length)
    with store._writer._writing:  # the disk is slow
        assert store.put(KEY, outputs, {})
        outputs[0][length // 2] = 9
        found = store.get(KEY)
        assert found is None or number_in(found) == 1
    store.flush()
    found = ResultStore(tmp_path, 1 << 30).get(KEY)
    assert found is None or number_in(found) == 1
    assert (found is not None) == (length < MIB), "what is not large was copied"
    store.put(KEY, result(2, length), {})
    assert number_in(again(store).get(KEY)) in ((1, 2) if length < MIB else (2,))


def waiting(writer: Writer) -> int:
    return len(writer._entries)


def test_a_slow_disk_makes_the_run_wait_instead_of_filling_memory() -> None:
    writer = Writer(waiting_bytes=10_000)
    allowed, written, most = threading.Semaphore(0), [], [0]

    def write(entries: list[Entry]) -> None:
        allowed.acquire()
        most[0] = max(most[0], waiting(writer))
        written.extend(entry.key for entry in entries)

    added: list[int] = []

    def make() -> None:
        for number in range(50):
            writer.add(serialize(key_of(number), (bytes(1000),), {}), write)
            added.append(number)

    run = threading.Thread(target=make)
    run.start()
    for _ in range(51):
        allowed.release()
    run.join(60)
    assert not run.is_alive()
    for _ in range(51):
        allowed.release()
    writer.flush()
    assert sorted(written) == [key_of(number) for number in range(50)]
    assert most[0] <= 5, "of 2 KB each, in 10 KB"
    assert waiting(writer) == 0


def test_one_that_is_larger_than_what_may_wait_waits_alone() -> None:
    writer = Writer(waiting_bytes=1000)
    written: list[bytes] = []
    for number in range(3):
        writer.add(
            serialize(key_of(number), (bytes(5000),), {}),
            lambda entries: written.extend(entry.key for entry in entries),
        )
    writer.flush()
    assert written == [key_of(number) for number in range(3)]


def test_a_fault_of_the_writer_ends_nothing(store: ResultStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a fault")

    with monkeypatch.context() as patch:
        patch.setattr(store_module.ResultStore, "_write_small", broken)
        store.put(key_of(1), result(1), {})
        store.flush()
    store.put(key_of(2), result(2), {})
    fresh = again(store)
    assert key_of(1) not in fresh
    assert key_of(2) in fresh


AT_EXIT = """
import os, sys
import numpy as np
from weft.engine import Cache
cache = Cache(sys.argv[1])
for n in range(300):
    cache.put(n.to_bytes(2, "big") + bytes(18), (np.full(3 if n % 3 else 5000, n, dtype=np.int64),))
if sys.argv[2] == "flush":
    cache.flush()
    os._exit(0)
"""


@pytest.mark.parametrize("way", ["flush", "exit"])
def test_the_end_of_a_process_loses_nothing(tmp_path: Path, way: str) -> None:
    done = run_python(AT_EXIT, tmp_path, way)
    assert (done.returncode, done.stderr) == (0, "")
    cache = Cache(tmp_path)
    assert [number_in(cache.get(key_of(n))) for n in range(300)] == list(range(300))


RUN = """
import os, sys
from weft.engine import Cache, Catalogue, node, run

@node("n")
def n(value: int) -> int:
    return value

@node("total", output=True)
def total(items: list[int]) -> int:
    return sum(items)

nodes = {f"n{i}": {"type": "n", "inputs": {"value": i}} for i in range(200)}
nodes["end"] = {"type": "total", "inputs": {"items": [{"link": name} for name in nodes]}}
result = run({"weft": 1, "nodes": nodes}, catalogue=Catalogue([n, total]), cache=Cache(sys.argv[1]))
print(result.ran, flush=True)
os._exit(0)
"""


def test_a_run_that_returned_has_its_results_on_disk(tmp_path: Path) -> None:
    script, folder = tmp_path / "script.py", tmp_path / "cache"
    script.write_text(RUN)
    start = "import runpy, sys; runpy.run_path(sys.argv[2])"
    done = run_python(start, folder, script)
    assert done.stdout == "201\n", done.stderr
    assert ResultStore(folder, MIB).usage()[0] == 201
    assert run_python(start, folder, script).stdout == "0\n"


KILLED = """
import sys
import numpy as np
from weft.engine.cache.store import ResultStore
store = ResultStore(sys.argv[1], 50_000_000)
first = int(sys.argv[2])
for n in range(first, first + 100_000):
    value = np.full(n % 7 + (3000 if n % 50 == 0 else 1), n % 20_000, dtype=np.int64)
    store.put((n % 20_000).to_bytes(2, "big") + bytes(18), (value,), {})
    if n % 97 == 0:
        store.flush()
        print(n, flush=True)
"""


def test_a_process_that_is_killed_loses_what_it_did_not_flush_and_no_more(tmp_path: Path) -> None:
    first = 0
    for round_ in range(8):
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), str(first)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        for _ in range(2 + round_):
            flushed = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = child.stdout.read().split()
        child.wait()
        last = max([flushed, *map(int, rest)])
        store = ResultStore(tmp_path, 50_000_000)
        for n in range(first, last + 1):
            assert number_in(store.get(key_of(n % 20_000))) == n % 20_000
        sound, wrong = store.verify()
        assert wrong == []
        assert sound > last - first
        first = last + 1


def in_child(folder: str, results: Any) -> None:
    cache = Cache(folder)
    found = [number_in(cache.get(key_of(n))) for n in range(5)]
    cache.put(key_of(100), result(100))
    cache.put(key_of(101), result(101, 5000))
    cache.flush()
    results.put(found)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_that_are_forked_or_spawned_share_it(tmp_path: Path, method: str) -> None:
    context = get_context(method)
    cache = Cache(tmp_path)
    for n in range(5):
        cache.put(key_of(n), result(n))
    cache.flush()
    assert cache.find(key_of(3)) == "memory"
    assert Cache(tmp_path).get(key_of(3)) is not None, "the database is open"
    cache.put(key_of(50), result(50))  # waits, and is the parent's to write
    results = context.Queue()
    children = [context.Process(target=in_child, args=(str(tmp_path), results)) for _ in range(3)]
    for child in children:
        child.start()
    for n in range(200, 260):
        cache.put(key_of(n), result(n))
        cache.flush()
    for child in children:
        assert results.get(timeout=60) == list(range(5))
        child.join(60)
        assert child.exitcode == 0
    fresh = ResultStore(tmp_path, MIB)
    for n in (50, 100, 101, *range(200, 260)):
        assert number_in(fresh.get(key_of(n))) == n
    assert fresh.verify()[1] == []
    assert fresh.counts.corrupt == 0


def test_a_fork_in_the_middle_of_writing_holds_nobody_up(tmp_path: Path) -> None:
    """Other threads read and write while one forks, again and again: every child can read and write too."""
    store = ResultStore(tmp_path, 100 * MIB)
    stop = threading.Event()

    def work(first: int) -> None:
        n = first
        while not stop.is_set():
            store.put(key_of(n % 500), result(n % 500), {})
            found = store.get(key_of(n % 500))
            assert found is None or number_in(found) == n % 500
            if n % 20 == 0:
                store.flush()
            n += 1

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 250)]
    for thread in threads:
        thread.start()
    try:
        for n in range(10):
            child = os.fork()
            if not child:
                signal.alarm(30)
                try:
                    mine = ResultStore(tmp_path, 100 * MIB)
                    mine.put(key_of(1000 + n), result(1000 + n), {})
                    mine.flush()
                    os._exit(0 if number_in(mine.get(key_of(1000 + n))) == 1000 + n else 3)
                finally:
                    os._exit(4)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    fresh = again(store)
    assert [number_in(fresh.get(key_of(1000 + n))) for n in range(10)] == list(range(1000, 1010))


# -- a database that is not as it should be


def filled(folder: Path, count: int = 300) -> ResultStore:
    store = ResultStore(folder, 100 * MIB)
    for n in range(count):
        store.put(key_of(n), result(n), {})
    store.flush()
    store._pack.close()
    return store


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
    monkeypatch.setattr(pack_module, "_READ_SECONDS", 0.05)
    monkeypatch.setattr(pack_module, "_WRITE_SECONDS", 0.05)


def test_a_locked_database_costs_caching_and_no_run(tmp_path: Path, quick: None) -> None:
    filled(tmp_path, 5)
    (path,) = databases(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("UPDATE entries SET used = used")
        store = ResultStore(tmp_path, 100 * MIB)
        assert store._pack.folder == tmp_path / "small"
        assert store.get(key_of(1)) is None
        for n in range(10, 15):
            store.put(key_of(n), result(n), {})
        store.flush()
        assert [number_in(store.get(key_of(n))) for n in range(10, 15)] == list(range(10, 15)), "in files"
        other.execute("ROLLBACK")
    store._pack._reader.off = 0.0
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
    monkeypatch.setattr(pack_module.os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
    store = ResultStore(tmp_path, 100 * MIB, small_bytes=4096)
    for n in range(5, 8):
        store.put(key_of(n), result(n), {})
    store.flush()
    assert [number_in(store.get(key_of(n))) for n in range(8)] == list(range(8)), "what cannot be packed has a file"
    assert len(list(tmp_path.rglob("*.weft"))) == 3


# -- room


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
    with store._pack._writer.lock:
        database = store._pack._open(store._pack._writer, make=True)
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


# -- threads


def test_many_caches_and_threads_on_one_folder(tmp_path: Path) -> None:
    caches = [Cache(tmp_path, memory_bytes=0) for _ in range(3)]
    faults: list[object] = []

    def work(number: int) -> None:
        rng = np.random.default_rng(number)
        for _ in range(150):
            n = int(rng.integers(60))
            cache = caches[int(rng.integers(3))]
            found = cache.get(key_of(n))
            if found is None:
                cache.put(key_of(n), result(n, 5000 if n % 5 == 0 else 3))
                if cache.find(key_of(n)) is None:
                    faults.append(n)
            elif number_in(found) != n:
                faults.append((n, found))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
