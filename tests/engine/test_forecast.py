"""What a run would do now, case by case."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.engine.flow import catalogue, document, link
from weft.engine import Cache, Context, RunFailed, WorkflowError, forecast, node, run, why
from weft.engine.forecaster import Forecast
from weft.graphs import Graph

CATALOGUE = catalogue()


def said(source: dict[str, Any], targets: Any = None, cache: Cache | None = None, **options: Any) -> Forecast:
    return forecast(source, targets, cache=cache or Cache(), catalogue=CATALOGUE, **options)


def will(source: dict[str, Any], targets: Any = None, cache: Cache | None = None) -> dict[str, str]:
    return {id: node.will for id, node in said(source, targets, cache).nodes.items()}


def test_a_choice_by_a_literal_is_known_and_one_by_a_value_is_not() -> None:
    nodes: dict[str, Any] = {
        "a": ("number", {"value": 1}),
        "b": ("number", {"value": 2}),
        "chosen": ("if", {"condition": True, "then": link("a"), "otherwise": link("b")}),
        "end": ("add", {"a": link("chosen")}),
    }
    assert will(document(**nodes), ["end"]) == {"a": "run", "b": "skip", "chosen": "run", "end": "run"}
    nodes["test"] = ("compare", {"a": link("a"), "b": 5})
    nodes["chosen"] = ("if", {"condition": link("test"), "then": link("a"), "otherwise": link("b")})
    found = said(document(**nodes), ["end"])
    assert {id: node.will for id, node in found.nodes.items()} == {
        "a": "run", "b": "unknown", "chosen": "run", "end": "run", "test": "run",
    }  # fmt: skip
    assert found.nodes["b"].reason == "chosen may ask for it"
    assert found.counts == {"run": 3, "resume": 0, "cached": 0, "skip": 0, "unknown": 1}


def test_items_of_a_known_list_are_counted_and_others_are_unknown() -> None:
    cache = Cache()

    def sweep(items: Any) -> dict[str, Any]:
        return document(
            items=("map_over", {"items": items}),
            each=("add", {"a": link("items"), "b": 10}),
            all=("collect", {"item": link("each")}),
            sum=("total", {"items": link("all")}),
            row=("integers", {"count": 3}),
        )

    run(sweep([1, 2, 3]), ["sum"], catalogue=CATALOGUE, cache=cache)
    each = said(sweep([1, 2, 4, 5]), ["sum"], cache).nodes["each"]
    assert (each.will, each.items, each.items_cached) == ("run", 4, 2)
    each = said(sweep([3, 1]), ["sum"], cache).nodes["each"]
    assert (each.will, each.tier, each.items) == ("cached", "memory", 2)
    nodes = said(sweep(link("row")), ["sum"], cache).nodes
    assert (nodes["each"].will, nodes["each"].reason) == ("unknown", "the items of items are not known yet")
    assert nodes["row"].will == "run"


def test_muted_bypassed_and_unwanted_nodes() -> None:
    source = document(
        a=("number", {"value": 1}),
        b=("add", {"a": link("a")}),
        c=("show", {"value": link("b")}),
        d=("show", {"value": link("a")}),
        e=("number", {"value": 4}),
    )
    source["nodes"]["b"]["mode"] = "mute"
    nodes = said(source).nodes
    assert {id: node.will for id, node in nodes.items()} == dict(a="run", b="skip", c="skip", d="run", e="skip")
    assert (nodes["b"].reason, nodes["c"].reason) == ("muted", "it depends on b, which is muted")
    assert nodes["e"].reason == "no target needs it"


def test_equal_nodes_and_those_that_always_run() -> None:
    nodes = said(document(a=("add", {"a": 1}), b=("add", {"a": 1, "b": 1}), c=("clock", {})), ["a", "b", "c"]).nodes
    assert (nodes["a"].will, nodes["b"].will, nodes["b"].reason) == ("run", "cached", "it is equal to a")
    assert (nodes["c"].will, nodes["c"].reason) == ("run", "it runs each time")


def test_a_graph_that_a_node_returns_leaves_doubt_about_what_it_may_need() -> None:
    nodes: dict[str, Any] = {
        "a": ("number", {"value": 1}),
        "b": ("add", {"a": link("a")}),
        "loop": ("repeat", {"value": link("b"), "body": "add", "feed": "a", "times": 2}),
    }
    cache = Cache()
    run(document(**nodes), ["b"], catalogue=CATALOGUE, cache=cache)
    assert will(document(**nodes), ["loop"], cache) == {"a": "skip", "b": "cached", "loop": "run"}
    cache.memory.drop(next(key for key in cache.memory.oldest_first()))
    assert will(document(**nodes), ["loop"], cache)["a"] == "unknown"


def test_a_file_that_is_gone_is_written_again(tmp_path: Path) -> None:
    source = document(t=("text", {"value": "x"}), w=("write", {"text": link("t"), "name": "n"}))
    cache = Cache(tmp_path / "cache")
    run(source, catalogue=CATALOGUE, cache=cache, out=tmp_path)
    assert said(source, cache=cache, out=tmp_path).nodes["w"].tier == "memory"
    assert said(source, cache=Cache(tmp_path / "cache"), out=tmp_path).nodes["w"].tier == "disk"
    (tmp_path / "n.txt").unlink()
    nodes = said(source, cache=cache, out=tmp_path).nodes
    assert (nodes["w"].will, nodes["t"].will) == ("run", "cached")
    assert said(source, cache=cache, out=tmp_path / "other").nodes["w"].will == "run"


def test_the_least_recently_used_stays_that(calls: Counter[str]) -> None:
    cache = Cache()
    sources = [document(n=("number", {"value": value})) for value in (1, 2)]
    for source in sources:
        run(source, ["n"], catalogue=CATALOGUE, cache=cache)
    before = cache.memory.oldest_first()
    said(sources[0], ["n"], cache)
    assert cache.memory.oldest_first() == before
    assert calls["number"] == 2


def test_seconds_are_those_of_the_type_lately(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    assert said(document(s=("steps", {})), ["s"], cache).seconds is None
    run(document(s=("steps", {})), ["s"], catalogue=CATALOGUE, cache=cache)
    again = said(document(s=("steps", {"count": 4})), ["s"], Cache(tmp_path))
    assert again.seconds == again.nodes["s"].seconds
    assert again.seconds is not None
    assert again.seconds >= 0
    assert said(document(s=("steps", {})), ["s"], cache).seconds == 0, "nothing runs"


@node("walk", resumes=("way",))
def walk(way: str, steps: int = 4, ctx: Context | None = None) -> int:
    """Goes step by step along its way, and on from where an earlier walk was."""
    assert ctx is not None
    assert ctx.trails is not None
    chain = [f"{way[: place + 1]}{steps}".encode().ljust(20) for place in range(steps)]
    trail = ctx.trails.longest(b"walk".ljust(20), chain)
    begun = trail.shared if trail is not None else 0
    end = min(steps, STOP[0])
    if end > begun:
        ctx.trails.put(b"walk".ljust(20), chain[:end], end, of=steps)
    if end < steps:
        raise RuntimeError("stopped")
    return begun


STOP = [99]


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_run_that_was_stopped_resumes_and_one_that_is_like_it_may(tmp_path: Path, on_disk: bool) -> None:
    walks = catalogue(walk)

    def cache() -> Cache:
        return Cache(tmp_path) if on_disk else memory

    def ahead(way: str) -> Any:
        return forecast(document(w=("walk", {"way": way})), ["w"], cache=cache(), catalogue=walks).nodes["w"]

    memory = Cache()
    assert (ahead("abcd").will, ahead("abcd").reason) == ("run", "")
    STOP[0] = 3
    with pytest.raises(RunFailed, match="stopped"):
        run(document(w=("walk", {"way": "abcd"})), ["w"], cache=cache(), catalogue=walks)
    STOP[0] = 99
    again = ahead("abcd")
    assert (again.will, again.steps, again.of) == ("resume", 3, 4)
    assert (ahead("abxy").will, ahead("abxy").reason) == ("run", "may go on from up to 3 steps of an earlier run")
    assert run(document(w=("walk", {"way": "abcd"})), ["w"], cache=cache(), catalogue=walks)["w"] == 3
    assert ahead("abcd").will == "cached"
    other = cache()
    assert other.trails is not None
    other.trails.clear()
    assert (ahead("abxy").will, ahead("abxy").reason) == ("run", "")


def test_nodes_that_only_the_graph_knows() -> None:
    with Graph() as graph:
        way = walk("ab", steps=2)
    cache = Cache()
    assert forecast(graph, [way], cache=cache).counts["run"] == 1
    run(graph, [way], cache=cache)
    assert forecast(graph, [way], cache=cache).counts["cached"] == 1
    assert why(graph, way.node, cache=cache).state == "cached"


def test_errors_are_raised_as_by_run() -> None:
    with pytest.raises(WorkflowError, match="unknown_node_type"):
        said(document(n=("nmber", {})))


def test_json() -> None:
    data = said(document(a=("add", {"a": 1}), s=("show", {"value": link("a")}))).to_dict()
    assert data == {
        "nodes": {"a": {"will": "run"}, "s": {"will": "run"}},
        "counts": {"run": 2, "resume": 0, "cached": 0, "skip": 0, "unknown": 0},
        "seconds": None,
        "problems": [],
    }


def test_torch_is_not_imported(tmp_path: Path) -> None:
    code = """
import sys
from weft import Cache, forecast
from weft.graphs import examples
assert forecast(examples.load("map_sweep"), cache=Cache(sys.argv[1])).counts["run"] > 3
assert "torch" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr
