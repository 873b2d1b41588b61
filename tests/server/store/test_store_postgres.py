"""Several servers on one database of PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.server.store.conftest import NOW, telling
from weft.server.store.protocol import Closed, Fenced, JobStore, NewerDatabase, QueueFull, StoreError, Unavailable
from weft.server.store.records import Ending, Request

if TYPE_CHECKING:
    from weft.server.store.postgres import PostgresStore


@pytest.fixture
def servers(postgres: str) -> Iterator[list[PostgresStore]]:
    """Four stores, as four servers have them."""
    from weft.server.store.postgres import PostgresStore

    stores = [PostgresStore(postgres, most_queued=100) for _ in range(4)]
    yield stores
    for store in stores:
        store.close()


def test_no_job_is_claimed_twice(servers: list[PostgresStore]) -> None:
    servers[0].submit([Request("{}", model=str(number % 3)) for number in range(100)], NOW)

    def work(number: int) -> list[str]:
        ids = []
        while (claim := servers[number].claim(f"server {number}", NOW, models=(str(number),))) is not None:
            ids.append(claim.job.id)
            servers[number].record(claim.job.id, claim.epoch, ["{}"], (0, 0, 1))
            servers[number].end(claim.job.id, claim.epoch, Ending("done"), NOW)
        return ids

    with ThreadPoolExecutor(4) as pool:
        ids = [id for some in pool.map(work, range(4)) for id in some]
    assert len(ids) == len(set(ids)) == 100
    assert servers[0].counts()["done"] == 100


def test_all_servers_number_jobs_and_keep_the_limit_and_the_keys(servers: list[PostgresStore]) -> None:
    def work(number: int) -> int:
        refused = 0
        for count in range(30):
            try:
                servers[number].submit([Request(f'"{count}"', key=f"key {count % 15}"), Request(f'"{count}"')], NOW)
            except QueueFull:
                refused += 1
        return refused

    with ThreadPoolExecutor(4) as pool:
        refused = sum(pool.map(work, range(4)))
    jobs = servers[0].list(state="queued", limit=1000)
    assert refused
    assert len(jobs) == 100
    assert sorted(job.position for job in jobs if job.position is not None) == list(range(100))
    assert [job.id for job in sorted(jobs, key=lambda job: job.position or 0)] == sorted(job.id for job in jobs)


def test_documents_come_and_go_at_once(servers: list[PostgresStore]) -> None:
    """The last job of a document is deleted while another server takes one more."""

    def work(store: PostgresStore) -> None:
        for _ in range(25):
            [(job, _)] = store.submit([Request('"shared"', slot=None)], NOW)
            store.cancel(job.id, NOW, telling("c"))
            assert store.document(job.id) == '"shared"'
            store.delete(job.id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, servers))
    assert servers[0].list() == []


def test_a_server_is_gone_when_its_connection_is(servers: list[PostgresStore]) -> None:
    one, other, *_ = servers
    one.submit([Request("{}")], NOW)
    claim = one.claim("one", NOW)
    assert claim is not None
    assert other.abandoned("other") == [], "it runs"
    process = one._connection.execute("SELECT pg_backend_pid() AS process").fetchone()["process"]
    one.close()
    while other._connection.execute("SELECT 1 FROM pg_stat_activity WHERE pid = ?", (process,)).fetchone():
        time.sleep(0.001)  # PostgreSQL sees a moment later that nobody is there
    [taken] = other.abandoned("other")
    assert taken.job.id == claim.job.id
    with pytest.raises(Fenced):
        servers[2].record(claim.job.id, claim.epoch, [], (0, 0, 0))
    assert servers[2].abandoned("third") == [], "the other one has it now"
    other.give_back(taken.job.id, taken.epoch, died=True, now=NOW)


def test_a_server_whose_connection_breaks_goes_on(servers: list[PostgresStore]) -> None:
    one, other, *_ = servers
    one.submit([Request("{}"), Request("{}")], NOW)
    assert one.claim("one", NOW) is not None
    process = one._connection.execute("SELECT pg_backend_pid() AS process").fetchone()["process"]
    other._connection.execute("SELECT pg_terminate_backend(?, 60000)", (process,))
    with pytest.raises(Unavailable):
        one.submit([Request("{}")], NOW)
    assert one.claim("one", NOW) is not None
    assert other.abandoned("other") == [], "its lock is there again"


def test_a_server_wakes_when_another_has_work(servers: list[PostgresStore]) -> None:
    one, other, *_ = servers
    assert one.wait(0), "what was before it listened is not known"
    assert not one.wait(0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(one.wait, 60)
        [(job, _)] = other.submit([Request("{}")], NOW)
        assert waiting.result(60)
    claim = one.claim("one", NOW)
    assert claim is not None
    other.cancel(job.id, NOW, telling("c"))
    assert one.wait(60)
    assert one.cancelling("one") == [job.id]


def test_what_any_server_stores_is_heard_in_its_order(servers: list[PostgresStore]) -> None:
    one, other, third, _ = servers
    assert one.heard(0).anew, "what was before it listened is not known"
    [(job, _)] = other.submit([Request("{}")], NOW, queued=telling("q"))
    claim = third.claim("third", NOW)
    assert claim is not None
    third.record(claim.job.id, claim.epoch, ["a", "b"], (0, 0, 1))

    def refused(inner: JobStore) -> None:
        inner.record(claim.job.id, claim.epoch, ["c"], (0, 0, 1))
        raise KeyError

    third.apply([refused])
    third.end(claim.job.id, claim.epoch, Ending("done", events=("d",)), NOW)
    one.pause(True)
    events: list[tuple[str, int, int]] = []
    while len(events) < 3:
        heard = one.heard(60)
        assert heard.queue
        events += heard.events
    assert events == [(job.id, 0, 1), (job.id, 1, 3), (job.id, 3, 4)]
    while one.heard(0.2).queue:
        pass
    process = one._follower.connection.info.backend_pid  # type: ignore[union-attr]
    other._connection.execute("SELECT pg_terminate_backend(?, 60000)", (process,))
    with pytest.raises(Unavailable):
        one.heard(60)
    assert one.heard(60).anew


def test_calls_of_one_transaction(servers: list[PostgresStore]) -> None:
    def broken(inner: JobStore) -> None:
        inner.submit([Request("{}", title="broken")], NOW)
        raise KeyError

    unwritable = Request("{}", title="\0")
    results = servers[0].apply(
        [
            lambda inner: inner.submit([Request("{}", title="a")], NOW),
            broken,
            lambda inner: inner.submit([unwritable], NOW),
            lambda inner: [job.title for job in inner.list()],
        ]
    )
    assert isinstance(results[1], KeyError)
    assert isinstance(results[2], Exception)
    assert results[3] == ["a"]
    assert [job.title for job in servers[1].list()] == ["a"]


def test_servers_that_begin_at_once_make_the_tables_once(postgres: str) -> None:
    from weft.server.store.postgres import PostgresStore

    barrier = threading.Barrier(4)

    def begin(_: int) -> PostgresStore:
        barrier.wait(60)
        return PostgresStore(postgres)

    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(begin, range(4)))
    stores[0].submit([Request("{}")], NOW)
    assert len(stores[3].list()) == 1
    for store in stores:
        store.close()
    with pytest.raises(Closed):
        stores[0].submit([], NOW)
    with pytest.raises(Closed):
        stores[0].list()


def test_tables_of_others_are_left_alone(postgres: str) -> None:
    import psycopg

    from weft.server.store.postgres import PostgresStore

    PostgresStore(postgres).close()
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("UPDATE facts SET value = '7' WHERE name = 'version'")
        with pytest.raises(NewerDatabase, match="version 7"):
            PostgresStore(postgres)
        connection.execute("DELETE FROM facts")
        with pytest.raises(StoreError, match="another program"):
            PostgresStore(postgres)
    with pytest.raises(Unavailable):
        PostgresStore("postgresql://weft@/nowhere?host=/nowhere")
