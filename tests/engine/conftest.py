from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine import toys
from tests.engine.stored import MIB
from weft.engine import Cache, Catalogue, Result, run
from weft.engine.cache.store import ResultStore


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test touches the cache of the person who runs it, or leaves files in the repository."""
    monkeypatch.setenv("WEFT_CACHE", str(tmp_path / "default-cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> ResultStore:
    """Results on disk, with room for all that a test puts there."""
    return ResultStore(tmp_path / "cache", 100 * MIB)


@pytest.fixture
def calls() -> Counter[str]:
    toys.calls.clear()
    return toys.calls


@pytest.fixture
def catalogue() -> Catalogue:
    return toys.catalogue()


@pytest.fixture
def document() -> Callable[..., dict[str, Any]]:
    """`document(a=("add", {"a": 1}))` is a document with the node `a`."""

    def make(**nodes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
        return {"weft": 1, "nodes": {id: {"type": type, "inputs": inputs} for id, (type, inputs) in nodes.items()}}

    return make


@pytest.fixture
def run_toys(catalogue: Catalogue) -> Callable[..., Result]:
    """`run` with the toys and, unless told otherwise, a cache of its own."""

    def go(source: Any, targets: Any = None, **options: Any) -> Result:
        options.setdefault("cache", Cache())
        return run(source, targets, catalogue=catalogue, **options)

    return go
