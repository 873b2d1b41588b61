"""Results are written behind the run's back, by processes that end, are killed, or fork."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.stored import (
    MIB,
    ROOT,
    again,
    key_of,
    number_in,
    result,
    run_python,
)
from weft.engine import Cache
from weft.engine.cache import store as store_module
from weft.engine.cache.entries import Entry, serialize
from weft.engine.cache.store import ResultStore
from weft.engine.cache.writer import Writer

KEY = bytes(range(20))


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
    assert ResultStore(tmp_path, 1 << 30).verify()[1] == [], "nothing was written that would be damaged"
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
