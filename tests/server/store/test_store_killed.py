"""A server that is killed in the middle of a commit: what it had submitted is there entirely or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from weft.server.store.sqlite import SqliteStore

JOBS = 100
CODE = """
import os, signal, sys
from pathlib import Path
from weft.server.store.records import Request
from weft.server.store.sqlite import SqliteStore

store = SqliteStore(Path(sys.argv[1]))
print("open", flush=True)
for batch in range(1_000_000):
    requests = [Request('{"weft": 1}', title=f"{batch} {number}", tags=("t",)) for number in range(%d)]
    tell = lambda job, number: "{}"
    store.apply([lambda inner, one=one: inner.submit([one], 1.8e9, queued=tell) for one in requests])
    print(batch, flush=True)
"""


def batches(file: Path) -> dict[int, int]:
    """How many jobs there are of each batch."""
    store = SqliteStore(file, most_queued=1_000_000)
    jobs = store.list(limit=1_000_000)
    assert all(store.events(job.id) == ["{}"] for job in jobs[:JOBS])
    assert store.counts()["queued"] == len(jobs) == len(store.list(tag="t", limit=1_000_000))
    assert store._connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    store.close()
    numbers = [int(job.title.split()[0]) for job in jobs]
    return {number: numbers.count(number) for number in sorted(set(numbers))}


@pytest.mark.parametrize("acknowledged", [1, 3])
def test_a_batch_of_a_killed_server_is_there_or_not(tmp_path: Path, acknowledged: int) -> None:
    """Killed from outside, wherever it is by then, after some batches were acknowledged."""
    file = tmp_path / "weft.sqlite"
    with subprocess.Popen([sys.executable, "-c", CODE % JOBS, str(file)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(acknowledged + 1):
            process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
        said = [int(line) for line in process.stdout.read().split()]
    last = said[-1] if said else acknowledged - 1
    found = batches(file)
    assert set(found.values()) == {JOBS}
    assert list(found) in ([*range(last + 1)], [*range(last + 2)]), "all that was acknowledged, and perhaps one more"


KILLED = """
import os, signal, sys
import sqlite3
from pathlib import Path
from weft.server.store.records import Request
from weft.server.store.sqlite import SqliteStore

left = int(sys.argv[2])

def before(text):
    global left
    left -= text == sys.argv[3]
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

store = SqliteStore(Path(sys.argv[1]), trace=before)
store._connection.execute("PRAGMA cache_size = 1")
for batch in range(2):
    requests = [Request('{"weft": 1}', title=f"{batch} {number}", tags=("t",)) for number in range(%d)]
    tell = lambda job, number: "{}"
    store.apply([lambda inner, one=one: inner.submit([one], 1.8e9, queued=tell) for one in requests])
"""


@pytest.mark.parametrize(
    ("count", "statement", "left"), [(0, "COMMIT", 0), (1, "COMMIT", 1), (150, "SAVEPOINT one", 1)]
)
def test_a_server_that_is_killed_within_a_commit_leaves_nothing_half(
    tmp_path: Path, count: int, statement: str, left: int
) -> None:
    """With a cache of one page, so that what is not committed is in the files too."""
    file = tmp_path / "weft.sqlite"
    command = [sys.executable, "-c", KILLED % JOBS, str(file), str(count), statement]
    done = subprocess.run(command, check=False)
    assert done.returncode == -signal.SIGKILL
    assert batches(file) == dict.fromkeys(range(left), JOBS)
