"""Stores for tests: each kind of database that this machine has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.store import postgres_server
from weft.server.store.protocol import JobStore
from weft.server.store.records import Job, Request
from weft.server.store.sqlite import SqliteStore

NOW = 1_800_000_000.0

Submit = Callable[..., Job]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A database of PostgreSQL, the same for all tests."""
    reason = postgres_server.why_not()
    if reason is not None:
        pytest.skip(reason)
    with postgres_server.server() as url:
        yield url


@pytest.fixture
def postgres(postgres_url: str) -> str:
    """A database of PostgreSQL without tables."""
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS public CASCADE")
        connection.execute("CREATE SCHEMA public")
    return postgres_url


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobStore]:
    """Of at most 20 queued jobs."""
    opened: JobStore
    if request.param == "sqlite":
        opened = SqliteStore(tmp_path / "weft.sqlite", most_queued=20)
    else:
        url = request.getfixturevalue("postgres")
        from weft.server.store.postgres import PostgresStore

        opened = PostgresStore(url, most_queued=20)
    yield opened
    opened.close()


@pytest.fixture
def submit(store: JobStore) -> Submit:
    """`submit(title="a", now=...)` queues one job and gives it."""

    def one(document: str = "{}", now: float = NOW, **fields: object) -> Job:
        return store.submit([Request(document=document, **fields)], now)[0][0]  # type: ignore[arg-type]

    return one


def telling(kind: str) -> Callable[[Job, int], str]:
    """Gives state events that say what they were made of."""
    return lambda job, number: json.dumps([kind, job.id, job.state, number])
