"""Stores for tests: each kind of database that this machine has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from weft.server.store.protocol import JobStore
from weft.server.store.records import Job, Request
from weft.server.store.sqlite import SqliteStore

NOW = 1_800_000_000.0

Submit = Callable[..., Job]


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
