"""What a caller or a node does to what it got changes nothing for others, and is noticed in debug mode."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine import changing
from tests.engine.changing import SAMPLES, STORED, change, shown
from tests.engine.flow import document, link
from weft.engine import Cache, Result, RunFailed, Settings, run
from weft.engine.cache.trails import Trails
from weft.engine.isolation import Workers
from weft.engine.running.lanes import LaneSizes

FREE = Settings(debug=False)
"""Nodes may do as they like; the suite runs in debug mode else."""
ONE_BY_ONE = Settings(debug=False, lanes=LaneSizes(cpu=1))
"""For nodes that would disturb each other by what they keep, whoever ran them."""
KINDS = list(SAMPLES)


def go(nodes: dict[str, tuple[str, dict[str, Any]]], targets: Any = None, **options: Any) -> Result:
    options.setdefault("cache", Cache())
    options.setdefault("settings", FREE)
    targets = list(nodes) if targets is None else targets
    return run(document(**nodes), targets, catalogue=changing.catalogue(), **options)


@pytest.fixture(scope="module")
def workers() -> Any:
    workers = Workers()
    yield workers
    workers.close()


@pytest.fixture(params=["memory", "disk"])
def caches(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Cache]:
    """Gives the cache of the next run: one that keeps results in memory, or a new one each time over one folder."""
    if request.param == "disk":
        return lambda: Cache(tmp_path / "cache")
    cache = Cache()
    return lambda: cache


def kinds_of(caches: Callable[[], Cache]) -> list[str]:
    return KINDS if caches() is caches() else list(STORED)


def test_by_the_caller(caches: Callable[[], Cache]) -> None:
    for kind in kinds_of(caches):
        nodes = {"m": ("ch_make", {"kind": kind})}
        for ran in (1, 0, 0):
            result = go(nodes, cache=caches())
            assert result.ran == ran, kind
            for _ in range(2):
                value = result["m"]
                assert shown(value) == shown(SAMPLES[kind]()), kind
                change(value)
                assert shown(value) != shown(SAMPLES[kind]()), kind


@pytest.mark.parametrize("name", ["ch_change", "ch_change_lazy", "ch_change_later", "ch_await"])
def test_by_a_node_beside_others(name: str, caches: Callable[[], Cache]) -> None:
    for kind in kinds_of(caches):
        before = shown(SAMPLES[kind]())
        nodes = {
            "a": ("ch_show", {"item": link("m"), "n": 1}),
            "c": (name, {"item": link("m")}),
            "d": (name, {"item": link("m"), "n": 2}),
            "m": ("ch_make", {"kind": kind}),
            "z": ("ch_show_lazy", {"item": link("m"), "n": 2}),
        }
        result = go(nodes, cache=caches())
        assert (result["a"], result["z"], shown(result["m"])) == (before, before, before)
        assert result["c"] == result["d"] != before
        later = go({"m": nodes["m"], "s": ("ch_show", {"item": link("m"), "n": 3})}, cache=caches())
        assert (later["s"], shown(later["m"]), later.ran) == (before, before, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_node_that_returns_what_it_changed(kind: str) -> None:
    nodes = {
        "m": ("ch_make", {"kind": kind}),
        "c": ("ch_change_and_return", {"item": link("m")}),
        "d": ("ch_change_and_return", {"item": link("c")}),
    }
    once, twice = SAMPLES[kind](), SAMPLES[kind]()
    change(once)
    change(twice)
    change(twice)
    result = go(nodes, ["m", "c", "d"])
    assert [shown(result[id]) for id in "mcd"] == [shown(SAMPLES[kind]()), shown(once), shown(twice)]


@pytest.mark.parametrize("kind", KINDS)
def test_two_inputs_and_lists_of_one_value_are_apart(kind: str) -> None:
    nodes = {
        "m": ("ch_make", {"kind": kind}),
        "b": ("ch_both", {"a": link("m"), "b": link("m")}),
        "l": ("ch_change_items", {"items": [link("m"), [1], link("n")], "other": link("n")}),
        "n": ("ch_make", {"kind": kind}),
    }
    result = go(nodes)
    before = shown(SAMPLES[kind]())
    assert result["b"] == before
    assert result["l"] == f"list({before}, list(1), {before})"
    assert shown(result["m"]) == shown(result["n"]) == before


@pytest.mark.parametrize("isolate", [False, True])
def test_a_default_is_the_same_at_every_call(isolate: bool, workers: Workers) -> None:
    nodes: dict[str, tuple[str, dict[str, Any]]] = {f"d{n}": ("ch_default", {"n": n}) for n in range(3)}
    result = go(nodes, isolate=workers if isolate else False)
    assert [result[id] for id in nodes] == ["list(1, 99)"] * 3
    with pytest.raises(RunFailed, match=r"changed its input 'items' \(its default\) in place"):
        go(nodes, settings=Settings(debug=True), isolate=workers if isolate else False)


@pytest.mark.parametrize("kind", KINDS)
def test_by_a_node_that_keeps_what_it_returned(kind: str) -> None:
    changing.KEPT.clear()
    cache = Cache()
    nodes = {f"k{n}": ("ch_keep", {"kind": kind, "n": n}) for n in range(3)}
    expected, texts = SAMPLES[kind](), []
    for _ in range(3):
        texts.append(shown(expected))
        change(expected)
    result = go(nodes, cache=cache, settings=ONE_BY_ONE)
    found = [shown(result[id]) for id in nodes]
    assert sorted(found) == sorted(texts), "each as it was when it was returned"
    again = go(nodes, cache=cache)
    assert ([shown(again[id]) for id in nodes], again.ran) == (found, 0)


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("name", ["ch_change", "ch_change_lazy"])
def test_items_of_a_mapped_list(name: str, isolate: bool, workers: Workers) -> None:
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "m": ("ch_make", {"kind": "nested"}),
        "e": ("map_over", {"items": [link("m"), link("m"), [5]]}),
        "c": (name, {"item": link("e")}),
        "s": ("ch_show", {"item": link("e")}),
        "changed": ("collect", {"item": link("c")}),
        "shown": ("collect", {"item": link("s")}),
        "items": ("collect", {"item": link("e")}),
    }
    cache = Cache()
    before = shown(SAMPLES["nested"]())
    for _ in range(2):
        result = go(nodes, ["changed", "shown", "items"], cache=cache, isolate=workers if isolate else False)
        assert result["changed"] != result["shown"] == [before, before, "list(5)"]
        change(result["items"])
        assert [shown(item) for item in result["items"]] == result["shown"]


@pytest.mark.parametrize("name", ["ch_change", "ch_change_lazy", "ch_change_later"])
def test_in_a_worker(name: str, workers: Workers) -> None:
    for kind in KINDS:  # those that cannot leave it stay in the worker, and are its neighbours' too
        cache = Cache()
        before = shown(SAMPLES[kind]())
        for n in range(2):
            nodes = {
                "m": ("ch_make", {"kind": kind}),
                "c": (name, {"item": link("m"), "n": n}),
                "s": ("ch_show", {"item": link("m"), "n": n}),
            }
            result = go(nodes, ["c", "s"], cache=cache, isolate=workers)
            assert result["c"] != result["s"] == before, kind


def test_what_a_node_of_a_worker_keeps_of_what_it_returned(workers: Workers) -> None:
    for kind in KINDS:
        nodes: dict[str, tuple[str, dict[str, Any]]] = {f"k{n}": ("ch_keep", {"kind": kind, "n": n}) for n in range(3)}
        nodes |= {f"s{n}": ("ch_show", {"item": link(f"k{n}")}) for n in range(3)}
        result = go(nodes, ["s0", "s1", "s2"], isolate=workers, settings=ONE_BY_ONE)
        expected, texts = SAMPLES[kind](), []
        for _ in range(3):
            texts.append(shown(expected))
            change(expected)
        assert sorted(result[f"s{n}"] for n in range(3)) == sorted(texts), kind


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("alone", [False, True])
def test_a_graph_that_is_given_a_changed_input(alone: bool, isolate: bool, workers: Workers) -> None:
    """What is made of the changed value must not be kept as what is made of the value."""
    cache = Cache()
    texts = {}
    for first in ("change", "pop", ""):
        nodes = {
            "m": ("ch_make", {"kind": "tensors"}),
            "g": ("ch_give", {"items": link("m"), "first": first, "alone": alone}),
        }
        texts[first] = go(nodes, ["g"], cache=cache, isolate=workers if isolate else False)["g"]
    values = SAMPLES["tensors"]()
    assert texts[""] == shown(values[0] if alone else values)
    assert texts["pop"] == shown(values[1] if alone else values[1:])
    change(values)
    assert texts["change"] == shown(values[0] if alone else values)


def test_an_input_that_a_graph_is_given_unchanged_is_known_by_its_key() -> None:
    nodes = {"m": ("ch_make", {"kind": "tensors"}), "g": ("ch_give", {"items": link("m")})}
    cache = Cache()
    go(nodes, ["g"], cache=cache)
    outside = {"m": nodes["m"], "s": ("ch_show", {"item": link("m")})}
    assert go(outside, ["s"], cache=cache).ran == 0


def test_of_a_trail(tmp_path: Path) -> None:
    trails = Trails(1 << 20)
    base, chain = b"base".ljust(20), [b"step".ljust(20)]
    value = {"path": [torch.zeros(3)]}
    trails.put(base, chain, value)
    change(value)
    for _ in range(2):
        trail = trails.longest(base, chain)
        assert trail is not None
        assert shown(trail.value) == "{path: list(Tensor(0.0, 0.0, 0.0))}"
        change(trail.value)


# -- the debug mode


@pytest.mark.parametrize("isolate", [False, True])
@pytest.mark.parametrize("name", ["ch_change", "ch_change_lazy", "ch_change_later", "ch_await"])
def test_debug_mode_names_node_and_input_and_source(name: str, isolate: bool, workers: Workers) -> None:
    for kind in STORED if isolate else KINDS:
        nodes = {"m": ("ch_make", {"kind": kind}), "c": (name, {"item": link("m")})}
        with pytest.raises(RunFailed) as failed:
            go(nodes, ["c"], settings=Settings(debug=True), isolate=workers if isolate else False)
        error = failed.value.errors[0]
        assert (error.node, error.type) == ("c", name)
        assert "changed its input 'item' (the result of m) in place" in error.message, kind


def test_debug_mode_says_which_input() -> None:
    nodes = {
        "m": ("ch_make", {"kind": "list"}),
        "o": ("ch_make", {"kind": "tensor"}),
        "b": ("ch_change_items", {"items": [link("m"), link("o")], "other": link("m")}),
    }
    with pytest.raises(RunFailed, match=r"changed its input 'items' \(the result of m, o\) in place"):
        go(nodes, ["b"], settings=Settings(debug=True))


def test_debug_mode_lets_pass_what_changes_nothing() -> None:
    for kind in KINDS:
        nodes = {"m": ("ch_make", {"kind": kind}), "s": ("ch_show", {"item": link("m")})}
        assert go(nodes, ["s"], settings=Settings(debug=True))["s"] == shown(SAMPLES[kind]())


def test_debug_mode_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().debug, "the suite sets it"
    for text, debug in (("0", False), ("", False), ("1", True)):
        monkeypatch.setenv("WEFT_DEBUG", text)
        assert Settings().debug is debug
    monkeypatch.delenv("WEFT_DEBUG")
    assert not Settings().debug
