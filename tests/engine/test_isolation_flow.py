"""Lanes, lazy inputs, returned graphs and mapped parts, when nodes run in a worker process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine import isolated_flow
from tests.engine.flow import document, link
from weft.engine import Cache, Result, RunFailed, Settings, run
from weft.engine.isolation import Workers
from weft.engine.running.lanes import LaneSizes


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    found = Workers()
    yield found
    found.close()


def go(workers: Workers, doc: dict[str, Any], targets: list[str], **options: Any) -> Result:
    options.setdefault("cache", Cache())
    return run(doc, targets, catalogue=isolated_flow.catalogue(), isolate=workers, **options)


def test_ordinary_nodes_run_beside_each_other_in_the_worker(workers: Workers, tmp_path: Path) -> None:
    a, b = str(tmp_path / "a"), str(tmp_path / "b")
    doc = document(x=("iso_meets", {"mine": a, "other": b}), y=("iso_meets", {"mine": b, "other": a}))
    result = go(workers, doc, ["x", "y"], settings=Settings(lanes=LaneSizes(cpu=2)))
    assert (result["x"], result["y"]) == (a, b)


def test_what_a_node_asks_for_runs_in_the_same_worker_meanwhile(workers: Workers) -> None:
    doc = document(
        n=("iso_number", {"value": 4}),
        d=("iso_on_device", {"value": link("n")}),
        a=("iso_asks", {"value": link("d")}),
        b=("iso_asks", {"value": link("a")}),
        c=("iso_asks", {"value": link("x"), "wanted": False}),
        x=("iso_meets", {"mine": "never", "other": "either"}),
    )
    doc["nodes"]["c"]["inputs"]["value"] = link("d")
    result = go(workers, doc, ["b", "c"])
    assert (result["b"], result["c"]) == (40, -1)


def test_async_nodes_await_what_async_nodes_make(workers: Workers) -> None:
    doc = document(
        l=("iso_later", {"value": 4}), a=("iso_awaits", {"value": link("l")}), b=("iso_awaits", {"value": link("a")})
    )
    assert go(workers, doc, ["b"])["b"] == 4


def test_graphs_come_back_with_their_values(workers: Workers) -> None:
    doc = document(
        l=("iso_live", {"number": 100}),
        r=("iso_array", {"count": 7}),
        u=("iso_unfolds", {"live": link("l"), "array": link("r"), "value": 20000}),
    )
    cache = Cache()
    assert go(workers, doc, ["u"], cache=cache)["u"] == 100 + 7 + 20000 + 1000
    assert go(workers, doc, ["u"], cache=cache).ran == 0


def test_a_graph_that_is_wrong_fails_on_the_visible_node(workers: Workers) -> None:
    with pytest.raises(RunFailed, match=r"x \(iso_fails_inside\): .*a must be a whole number"):
        go(workers, document(x=("iso_fails_inside", {})), ["x"])


def test_loops_choices_and_lists(workers: Workers) -> None:
    doc = document(
        m=("map_over", {"items": [1, 2, 3]}),
        p=("iso_pid", {"value": link("m")}),
        r=("repeat", {"value": link("m"), "body": "iso_add", "feed": "a", "times": 3}),
        k=("compare", {"a": link("r"), "b": 5.5}),
        i=("if", {"condition": link("k"), "then": link("r"), "otherwise": 0}),
        c=("collect", {"item": link("i")}),
    )
    result = go(workers, doc, ["c", "p"])
    assert result["c"] == [4, 5, 0]
    assert os.getpid() not in result["p"]
    assert len(set(result["p"])) == 1
