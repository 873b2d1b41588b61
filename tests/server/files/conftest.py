"""Stores to put files into."""

from __future__ import annotations

import contextlib
import datetime
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from weft.server.files.blobs import BlobStore
from weft.server.files.local import LocalFiles
from weft.server.files.remote import FsspecFiles


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def local(tmp_path: Path, clock: Clock) -> LocalFiles:
    return LocalFiles(tmp_path / "files", min_free=0, clock=clock)


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[FsspecFiles]:
    """In fsspec's memory, which takes its times from the system; here from the clock."""
    store = FsspecFiles(f"memory://{secrets.token_hex(4)}/weft", clock=clock)
    times: dict[str, float] = {}
    move = store._system.mv

    def moved(source: str, target: str) -> None:
        move(source, target)
        times[target] = clock.now

    def modified(path: str) -> datetime.datetime:
        if path not in times:
            return datetime.datetime.fromtimestamp(clock.now, datetime.UTC)
        return datetime.datetime.fromtimestamp(times[path], datetime.UTC)

    monkeypatch.setattr(store._system, "mv", moved)
    monkeypatch.setattr(store._system, "modified", modified)
    yield store
    with contextlib.suppress(FileNotFoundError):
        store._system.rm(store._root.removesuffix("/weft"), recursive=True)


@pytest.fixture(params=["local", "far"])
def store(request: pytest.FixtureRequest) -> BlobStore:
    """Each kind of store in turn."""
    found: BlobStore = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def names(tmp_path: Path) -> Callable[[], set[str]]:
    """Every file below the test's folder."""
    return lambda: {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
