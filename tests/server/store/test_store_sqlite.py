"""What is SQLite's own: one transaction for several calls, indexes, full disks, other programs, threads."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.server.store.conftest import NOW, Submit, telling
from weft.server.store import ballast
from weft.server.store.ballast import Ballast
from weft.server.store.protocol import Closed, Fenced, JobStore, Missing, NoSpace, StoreError
from weft.server.store.records import Claim, Ending, Job, Output, Request
from weft.server.store.sqlite import SqliteStore

HISTORY = 20_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = SqliteStore(tmp_path / "weft.sqlite", most_queued=10_000)
    yield opened
    opened.close()


def fill(file: Path, count: int = HISTORY) -> None:
    """Jobs that have ended, each with two events and an output."""
    connection = sqlite3.connect(file)
    numbers = f"WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < {count})"
    connection.execute("INSERT INTO documents VALUES ('h', '{}')")
    connection.execute(
        "INSERT INTO jobs (seq, id, state, rank, place, document, targets, title, tags, model, created, finished)"
        f" {numbers} SELECT x, printf('0%017d', x), 'done', 0, x, 'h', '[]', '', '[]', '', 1.0, 1.0 FROM n"
    )
    connection.execute(f"INSERT INTO events {numbers} SELECT x / 2 + 1, x % 2, '{{}}' FROM n WHERE x < {count} - 1")
    connection.execute(
        "INSERT INTO outputs (job, number, node, kind, name, file)"
        f" {numbers} SELECT x, 0, 'n', 'file', '', 'f' || x FROM n"
    )
    connection.commit()
    connection.close()


def whole_life(store: JobStore) -> None:
    """One job from its beginning to its end, with all that servers do often."""
    request = Request("{}", slot="tab", model="m", key="k", tags=("t",))
    [(job, _)] = store.submit([request], NOW, queued=telling("queued"), cancelled=telling("cancelled"))
    store.submit([Request("{}", slot="tab")] * 2, NOW)
    store.move(store.list(state="queued")[0].id, priority=1)
    claim = store.claim("server", NOW, models=("m",))
    assert claim is not None
    store.record(claim.job.id, claim.epoch, ["{}"], (0, 0, 1))
    store.cancelling("server")
    claim = next(iter(store.abandoned("next")))
    store.give_back(claim.job.id, claim.epoch, died=True, now=NOW)
    claim = store.claim("server", NOW)
    assert claim is not None
    store.end(claim.job.id, claim.epoch, Ending("done", outputs=(Output("n", "file", file="x"),)), NOW)
    store.get(claim.job.id)
    store.events(claim.job.id)
    store.list(limit=10)
    store.list(state="failed", limit=10)
    store.list(tag="t", limit=10)
    store.oldest_queued()
    store.cancel(job.id, NOW, telling("c"))
    for id in (claim.job.id, job.id):
        store.delete(id)


def test_no_statement_of_a_jobs_life_walks_through_all_jobs(tmp_path: Path) -> None:
    statements: list[str] = []
    store = SqliteStore(tmp_path / "weft.sqlite", trace=statements.append)
    fill(store.file, 50)
    whole_life(store)
    store.close()
    connection = sqlite3.connect(store.file)
    plans = {
        text: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}")]
        for text in dict.fromkeys(statements)
        if re.match(r"SELECT|INSERT|UPDATE|DELETE", text)
    }
    connection.close()
    assert len(plans) > 25
    walks = re.compile(
        r"SCAN (jobs|events|outputs|tags|documents|document_files|idempotency|[jbt])\b(?!.*jobs_(queued|running))"
    )
    wrong = {text: plan for text, plan in plans.items() if any(walks.search(line) for line in plan)}
    # The newest job is the first row of the table from its end.
    assert {text for text in wrong if "ORDER BY seq DESC LIMIT 1" not in text} == set()
    sorted_ones = {text: plan for text, plan in plans.items() if any("TEMP B-TREE FOR ORDER" in line for line in plan)}
    assert sorted_ones == {}


def steps(file: Path, life: Callable[[JobStore], None]) -> int:
    """How many instructions of SQLite's machine a life takes, over all connections."""
    count = 0

    def one() -> int:
        nonlocal count
        count += 1
        return 0

    connect = sqlite3.connect

    def counting(*arguments: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)  # type: ignore[call-overload]
        connection.set_progress_handler(one, 1)
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", counting)
        store = SqliteStore(file)
        count = 0
        life(store)
        used = count
        store.close()
    return used


def test_a_long_history_costs_nothing(tmp_path: Path) -> None:
    for name in ("short", "long"):
        SqliteStore(tmp_path / name).close()
    fill(tmp_path / "long")
    short, long = (steps(tmp_path / name, whole_life) for name in ("short", "long"))
    assert short > 1_000
    assert long < 1.3 * short


def test_what_is_acknowledged_is_on_disk(store: SqliteStore) -> None:
    """Pragmas that a test can only read; that they are enough is SQLite's promise."""
    connection = store._connection
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


# -- several calls


def test_calls_of_one_transaction_see_each_other(store: SqliteStore) -> None:
    def submit_and_claim(inner: JobStore) -> Claim | None:
        inner.submit([Request("{}", title="a")], NOW)
        assert inner.list(state="queued")[0].title == "a"
        return inner.claim("server", NOW)

    [claim, counts] = store.apply([submit_and_claim, lambda inner: inner.counts()])
    assert claim.job.title == "a"
    assert (counts["queued"], counts["running"]) == (0, 1)


def test_a_call_that_fails_undoes_itself_alone(store: SqliteStore, submit: Submit) -> None:
    job = submit(slot="tab")

    def half(inner: JobStore) -> None:
        inner.submit([Request("{}", slot="tab")], NOW)
        inner.record("x", 1, [], (0, 0, 0))

    def broken(inner: JobStore) -> None:
        inner.submit([Request("{}", title="broken")], NOW)
        raise KeyError("a mistake of whoever calls")

    def unprintable(inner: JobStore) -> Job:
        return inner.submit([Request("{}", title="\ud800")], NOW)[0][0]

    results = store.apply(
        [
            lambda inner: inner.get("x"),
            half,
            lambda inner: inner.submit([Request("{}", title="b")], NOW),
            broken,
            unprintable,
            lambda inner: inner.apply([broken, lambda last: last.submit([Request("{}", title="c")], NOW)]),
        ]
    )
    kinds = [type(result) for result in (*results[:2], *results[3:5], results[5][0])]
    assert kinds == [Missing, Fenced, KeyError, UnicodeEncodeError, KeyError]
    assert [job.title for job in store.list()] == ["c", "b", ""]
    assert store.get(job.id).state == "queued"


def test_an_interruption_undoes_all(store: SqliteStore) -> None:
    def interrupted(inner: JobStore) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.apply([lambda inner: inner.submit([Request("{}")], NOW), interrupted])
    assert store.list() == []
    store.submit([Request("{}")], NOW)


def test_a_teller_that_fails_leaves_nothing(store: SqliteStore) -> None:
    def teller(job: Job, number: int) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.submit([Request("{}", slot="tab")], NOW, queued=teller)
    assert store.list() == []


def test_after_closing_nothing_is_done(store: SqliteStore) -> None:
    store.list()
    store.close()
    store.close()
    for call in (lambda: store.submit([Request("{}")], NOW), store.list, lambda: store.apply([])):
        with pytest.raises(Closed):
            call()


# -- full disks


class Room(Ballast):
    """A ballast whose release lets a database grow that was not to grow any more."""

    store: SqliteStore

    def release(self) -> bool:
        released = super().release()
        if released:
            self.store._connection.execute("PRAGMA max_page_count = 1000000")
        return released


def is_full(store: SqliteStore) -> None:
    """Let the database have no page more than it has."""
    store._connection.execute("PRAGMA max_page_count = 1")


def test_on_a_full_disk_jobs_end_and_none_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(tmp_path / "ballast", 1 << 20)
    assert room.file.stat().st_size == 1 << 20
    assert room.file.stat().st_blocks * 512 >= 1 << 20, "it takes room"
    store = room.store = SqliteStore(tmp_path / "weft.sqlite", ballast=room)
    [(job, _), (other, _)] = store.submit([Request("{}"), Request("{}")], NOW)
    claim = store.claim("server", NOW)
    assert claim is not None
    monkeypatch.setattr(ballast.shutil, "disk_usage", lambda folder: Free(0))
    is_full(store)
    big = Output("text", "value", value="x" * 100_000)
    long = "x" * 100_000
    results = store.apply(
        [
            lambda inner: inner.submit([Request(f'"{long}"')], NOW),
            lambda inner: inner.end(job.id, claim.epoch, Ending("done", (big,)), NOW),
            lambda inner: inner.submit([Request("{}", title="small")], NOW),
        ]
    )
    assert isinstance(results[0], NoSpace)
    assert isinstance(results[2], NoSpace), "what was released is for endings"
    assert store.get(job.id).outputs == (big,)
    assert room.released
    with pytest.raises(NoSpace, match="no new jobs are taken"):
        store.submit([Request("{}")], NOW)
    assert store.cancel(other.id, NOW, telling("c")).state == "cancelled"
    monkeypatch.setattr(ballast.shutil, "disk_usage", lambda folder: Free(2 << 20))
    store.submit([Request("{}", title="later")], NOW)
    assert not room.released
    assert [job.title for job in store.list()] == ["later", "", ""]
    store.close()
    assert sqlite3.connect(store.file).execute("PRAGMA integrity_check").fetchone() == ("ok",)


class Free:
    def __init__(self, free: int) -> None:
        self.free = free


def test_without_room_a_call_leaves_nothing(store: SqliteStore, submit: Submit) -> None:
    job = submit()
    claim = store.claim("server", NOW)
    assert claim is not None
    is_full(store)
    for _ in range(2):
        with pytest.raises(NoSpace, match="full"):
            store.end(job.id, claim.epoch, Ending("done", (Output("a", "value", value="x" * 100_000),)), NOW)
        with pytest.raises(NoSpace):
            store.apply([lambda inner: inner.submit([Request(f'"{"y" * 100_000}"')], NOW)])
    assert store.get(job.id).state == "running"
    store._connection.execute("PRAGMA max_page_count = 1000000")
    assert store.end(job.id, claim.epoch, Ending("done"), NOW).state == "done"


def test_a_ballast_is_not_made_where_there_is_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ballast.shutil, "disk_usage", lambda folder: Free((2 << 20) - 1))
    room = Ballast(tmp_path / "ballast", 1 << 20)
    assert room.released
    assert not room.release()
    monkeypatch.setattr(ballast.shutil, "disk_usage", lambda folder: Free(2 << 20))
    (tmp_path / "ballast.part").write_bytes(b"of one that was killed")
    assert room.refill()
    (tmp_path / "ballast").write_bytes(b"too small")
    assert Ballast(tmp_path / "ballast", 1 << 20).file.stat().st_size == 1 << 20


# -- others


def test_a_lock_of_another_program_is_waited_for(store: SqliteStore) -> None:
    waiting = threading.Event()
    store._connection.set_trace_callback(lambda text: waiting.set() if text == "BEGIN IMMEDIATE" else None)
    other = sqlite3.connect(store.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        submitted = pool.submit(store.submit, [Request("{}")], NOW)
        assert waiting.wait(60)
        assert store.list() == [], "who reads does not wait"
        assert not submitted.done()
        other.execute("COMMIT")
        assert submitted.result(60)[0][1]
    other.close()


def test_a_lock_that_does_not_end_is_said(store: SqliteStore) -> None:
    other = sqlite3.connect(store.file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store._connection.execute("PRAGMA busy_timeout = 1")
    with pytest.raises(StoreError, match=r"cannot be used: database is locked"):
        store.submit([Request("{}")], NOW)
    other.execute("COMMIT")
    other.close()
    store.submit([Request("{}")], NOW)


def test_threads_share_a_store(store: SqliteStore) -> None:
    """Four that submit, claim, end and look: each job is claimed once."""
    each = 40

    def work(number: int) -> list[str]:
        ids = []
        for count in range(each):
            store.submit([Request("{}", title=f"{number} {count}")], NOW)
            claim = store.claim(f"server {number}", NOW)
            assert claim is not None
            ids.append(claim.job.id)
            store.end(claim.job.id, claim.epoch, Ending("done", (Output("a", "value", value=number),)), NOW)
            assert all(bool(job.outputs) == (job.state == "done") for job in store.list(limit=5))
        return ids

    with ThreadPoolExecutor(4) as pool:
        claimed = [id for ids in pool.map(work, range(4)) for id in ids]
    assert len(claimed) == len(set(claimed)) == 4 * each
    assert store.counts()["done"] == 4 * each


def test_the_package_needs_nothing_heavy() -> None:
    code = (
        "import sys, weft.server.store.opening, weft.server.store.desk;"
        "print([name for name in ('torch', 'fastapi', 'psycopg', 'pydantic', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
