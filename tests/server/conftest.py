from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.server.store import postgres_server
from weft.server.cli.app import app

TOYS = Path(__file__).parent / "toys"


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the cache of the person who runs it, or leaves files in the repository."""
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "default-cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def weft() -> Callable[..., Result]:
    """`weft("run", "f.json")` in this process."""
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """`write(a=("toy_add", {"a": 1}))` writes a document with the node `a` and gives its path."""

    def make(name: str = "f.json", parameters: dict[str, str] | None = None, **nodes: tuple[str, Any]) -> Path:
        document = {
            "weft": 1,
            "nodes": {id: {"type": type, "inputs": inputs} for id, (type, inputs) in nodes.items()},
            "parameters": {key: {"input": target} for key, target in (parameters or {}).items()},
        }
        path = tmp_path / name
        path.write_text(json.dumps(document))
        return path

    return make


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
    return postgres_server.emptied(postgres_url)


@pytest.fixture
def no_umask() -> Iterator[None]:
    """What is written says itself who may read it."""
    before = os.umask(0)
    yield
    os.umask(before)
