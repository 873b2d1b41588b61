"""Nodes that only the graph that called them knows: those of a script or of a notebook."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.engine import toys
from weft import Cache, Catalogue, Graph, RunFailed, Workflow, WorkflowError, check, definition, node, run
from weft.engine import Node
from weft.nodes import collect, map_over

ROOT = Path(__file__).parents[2]


def adding(amount: int, name: str = "own") -> Node[..., int]:
    """A node as a cell declares it: each call makes another function of that name."""

    @node(name)
    def own(x: int) -> int:
        return x + amount

    return own


def recorded(own: Any, x: int = 1) -> Graph:
    with Graph() as graph:
        graph.name(own(x), "a")
    return graph


def test_a_graph_knows_what_it_called() -> None:
    graph = recorded(adding(1))
    for source in (graph, graph.workflow(), graph.workflow().with_values({"a.x": 1}), copy.deepcopy(graph.workflow())):
        assert check(source, targets=["a"]) == []
        assert run(source, ["a"], cache=Cache())["a"] == 2


def test_the_document_does_not(tmp_path: Path) -> None:
    workflow = recorded(adding(1)).workflow()
    workflow.save(tmp_path / "own.json")
    for source in (workflow.to_dict(), tmp_path / "own.json", pickle.loads(pickle.dumps(workflow))):
        assert [problem.code for problem in check(source, targets=["a"])] == ["unknown_node_type"]
        with pytest.raises(WorkflowError, match='"own"'):
            run(source, ["a"], cache=Cache())
    assert workflow == Workflow.load(tmp_path / "own.json") == recorded(adding(2)).workflow()
    assert "declarations" not in workflow.model_dump_json()
    assert workflow.to_dict() == json.loads((tmp_path / "own.json").read_text())


def test_a_name_that_is_nearly_that_of_a_called_node_is_told_so() -> None:
    graph = recorded(adding(1))
    graph.add("ownn", {"x": 1})
    (problem,) = check(graph, targets=["a"])
    assert (problem.code, problem.suggestion) == ("unknown_node_type", "own")


def test_a_cell_that_runs_again_counts_for_later_graphs(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    before, after = recorded(adding(1)), recorded(adding(10))
    assert [run(graph, ["a"], cache=cache)["a"] for graph in (before, after, before)] == [2, 11, 2]
    assert run(recorded(adding(10)), ["a"], cache=Cache(tmp_path / "cache")).cached == 1


def test_helpers_that_a_node_closes_over_are_part_of_its_code(tmp_path: Path) -> None:
    def using(helper: Callable[[int], int]) -> Graph:
        @node("own")
        def own(x: int) -> int:
            return helper(x)

        return recorded(own, 3)

    cache = Cache(tmp_path / "cache")
    assert run(using(lambda x: x * 2), ["a"], cache=cache)["a"] == 6
    assert run(using(lambda x: x * 5), ["a"], cache=cache)["a"] == 15


def test_one_graph_cannot_call_two_nodes_of_one_name() -> None:
    first, second = adding(1), adding(2)
    with Graph() as graph:
        first(1)
        first(2)
        with pytest.raises(ValueError, match=r"two nodes of the name 'own'.*test_called\.py:\d+.*test_called\.py:\d+"):
            second(1)
    assert len(graph) == 2
    assert check(graph, targets=["own"]) == []


def test_a_definition_cannot_have_the_name_of_a_node_that_was_called() -> None:
    own = adding(1)

    @definition(name="own")
    def other(x: int) -> int:
        return own(x)

    with Graph() as graph:
        own(1)
        with pytest.raises(ValueError, match="two nodes of the name 'own'"):
            other(2)
    assert list(graph.workflow().nodes) == ["own"]
    assert not graph.workflow().definitions
    with Graph() as graph, pytest.raises(ValueError, match="two nodes of the name 'own'"):
        other(2)
    with graph:
        own(3)
    assert run(graph, ["own"], cache=Cache())["own"] == 4


def test_what_was_called_goes_before_what_is_installed_and_is_told() -> None:
    catalogue = Catalogue([adding(100)])
    graph = recorded(adding(1))
    (note,) = check(graph, catalogue, targets=["a"])
    assert (note.severity, note.code) == ("warning", "conflict")
    assert note.message.count("test_called.py") == 2
    assert run(graph, ["a"], cache=Cache(), catalogue=catalogue)["a"] == 2
    assert run(graph.workflow().to_dict(), ["a"], cache=Cache(), catalogue=catalogue)["a"] == 101
    with Graph() as ours:
        ours.name(toys.add(1, 2), "a")
    assert check(ours, toys.catalogue(), targets=["a"]) == []


def test_the_same_cache_keeps_an_installed_node_and_ones_own_apart(tmp_path: Path) -> None:
    catalogue, cache = Catalogue([adding(100)]), Cache(tmp_path / "cache")
    graph = recorded(adding(1))
    assert run(graph.workflow().to_dict(), ["a"], cache=cache, catalogue=catalogue)["a"] == 101
    assert run(graph, ["a"], cache=cache, catalogue=catalogue)["a"] == 2
    assert run(graph.workflow().to_dict(), ["a"], cache=cache, catalogue=catalogue)["a"] == 101


def test_what_was_called_inside_definitions_and_per_item_is_known() -> None:
    own = adding(1)

    @definition
    def twice(x: int) -> int:
        return own(own(x))

    with Graph() as graph:
        graph.name(collect(twice(own(map_over([1, 2, 3])))), "all")
    assert run(graph, ["all"], cache=Cache())["all"] == [4, 5, 6]


def test_what_a_returned_graph_called_is_known_there() -> None:
    inner, outer_own = adding(10, "own"), adding(1, "own")

    @node("grown")
    def grown(x: int) -> int | Graph:
        if x > 30:
            return x
        with Graph() as graph:
            graph.returns(grown(inner(graph.given(x))))
        return graph

    with Graph() as graph:
        graph.name(grown(outer_own(1)), "all")
    assert run(graph, ["all"], cache=Cache())["all"] == 32


def test_what_a_returned_graph_called_per_item_and_inside_definitions_is_known_there() -> None:
    own = adding(10)

    @definition
    def twice(x: int) -> int:
        return own(own(x))

    @node("every")
    def every(items: list[int]) -> list[int] | Graph:
        with Graph() as graph:
            graph.returns(collect(twice(own(map_over(graph.given(items))))))
        return graph

    with Graph() as graph:
        graph.name(every([1, 2]), "all")
    assert run(graph, ["all"], cache=Cache())["all"] == [31, 32]


SCRIPT = """
from weft import Cache, Graph, RunFailed, node, run

@node("own")
def own(x: int) -> int:
    return x + 1

with Graph() as first:
    first.name(own(1), "a")
print(run(first, ["a"])["a"])

@node("own")
def own(x: int) -> int:
    return x + 2

with Graph() as second:
    second.name(own(1), "a")
print(run(second, ["a"])["a"], run(first.workflow(), ["a"])["a"], run(first, ["a"]).cached)

if __name__ == "__main__":
    try:
        run(second, ["a"], cache=Cache.none(), isolate=True)
    except RunFailed as error:
        print(error.error.message)
"""


def test_a_script_runs_its_own_nodes_and_is_told_that_a_worker_cannot(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "WEFT_CACHE": str(tmp_path / "cache")}
    for cached in (1, 1):
        done = subprocess.run(
            [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        first, second, third = done.stdout.splitlines()
        assert (first, second) == ("2", f"3 2 {cached}")
        assert "declared in the script that was started" in third


MODULE = """
from weft import Graph, node

@node("called_one")
def one(x: int) -> int:
    return x + 1

@node("called_many")
def many(x: int) -> int | Graph:
    with Graph() as graph:
        graph.returns(one(one(x)))
    return graph

old = node("called_one")(one.node_type.fn)
"""


def test_nodes_of_a_module_that_is_no_pack_run_isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "called_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import called_module  # type: ignore[import-not-found]

    with Graph() as graph:
        graph.name(called_module.many(1), "a")
    assert run(graph, ["a"], cache=Cache.none(), isolate=True)["a"] == 3
    assert run(graph, ["a"], cache=Cache.none())["a"] == 3
    with Graph() as graph:
        graph.name(called_module.old(1), "a")
    with pytest.raises(RunFailed, match="not at the head of its module"):
        run(graph, ["a"], cache=Cache.none(), isolate=True)
