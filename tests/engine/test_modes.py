"""Muted and bypassed nodes."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.test_definitions import TWICE
from tests.graphs.documents import problem_of
from weft.engine import Cache, Catalogue, Result, WorkflowError, check
from weft.graphs import Workflow

Run = Callable[..., Result]


def doc(**nodes: Any) -> dict[str, Any]:
    return {"weft": 1, "nodes": nodes}


def add(a: Any, b: Any = 1, mode: str | None = None) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": "add", "inputs": {"a": a, "b": b}}
    return spec | ({"mode": mode} if mode else {})


def link(text: str) -> dict[str, str]:
    return {"link": text}


def test_a_bypassed_node_passes_its_input_on(run_toys: Run, calls: Counter[str]) -> None:
    chain = {
        "n": {"type": "number", "inputs": {"value": 3}},
        "x": add(link("n"), 10),
        "y": add(link("x"), 100),
        "z": add(link("y"), 1000),
    }
    cache = Cache()
    assert run_toys(doc(**chain), ["z"], cache=cache)["z"] == 1113
    chain["y"]["mode"] = "bypass"
    assert run_toys(doc(**chain), ["z"], cache=cache)["z"] == 1013
    chain["x"]["mode"] = "bypass"
    result = run_toys(doc(**chain), ["z", "y"], cache=cache)
    assert (result["z"], result["y"]) == (1003, 3), "a bypassed target is what it passes on"
    calls.clear()
    short = {"n": chain["n"], "z": add(link("n"), 1000)}
    assert run_toys(doc(**short), ["z"], cache=cache).ran == 0, "keys are those of the graph without the node"


def test_what_a_bypassed_node_cannot_pass_is_as_not_linked(run_toys: Run, catalogue: Catalogue) -> None:
    total = {"type": "total", "inputs": {"items": [1, 2]}, "mode": "bypass"}
    nodes = {"t": total, "x": add(5, link("t")), "y": {"type": "total", "inputs": {"items": [link("t"), 4]}}}
    result = run_toys(doc(**nodes), ["x", "y"])
    assert (result["x"], result["y"]) == (6, 4), "the default of an input; an item that is left out"
    nodes["x"] = add(link("t"))
    (problem,) = check(doc(**nodes), catalogue, targets=["x"])
    assert (problem.code, problem.where) == ("missing_input", "x.a")
    assert "t, which is bypassed" in problem.message


def test_a_muted_node_and_what_depends_on_it_do_not_run(
    run_toys: Run, calls: Counter[str], catalogue: Catalogue
) -> None:
    nodes = {
        "a": add(1, 1, "mute"),
        "b": add(link("a")),
        "c": add(2),
        "left": {"type": "show", "inputs": {"value": link("b")}},
        "right": {"type": "show", "inputs": {"value": link("c")}},
    }
    assert check(doc(**nodes), catalogue) == []
    result = run_toys(doc(**nodes))
    assert (calls["add"], result["right"], "left" in result) == (1, 3, False)
    assert run_toys(doc(**nodes), ["c"])["c"] == 3
    with pytest.raises(WorkflowError, match="is left out, since it depends on a, which is muted") as caught:
        run_toys(doc(**nodes), ["b"])
    assert [problem.code for problem in caught.value.problems] == ["no_output"]
    (problem,) = check(doc(**nodes), catalogue, targets=["a"])
    assert (problem.code, "is muted" in problem.message) == ("no_output", True)
    del nodes["right"]
    (problem,) = check(doc(**nodes), catalogue)
    assert (problem.code, "Muted, with all that depends on them: a" in problem.message) == ("no_output", True)


def test_what_is_muted_may_be_wrong(run_toys: Run) -> None:
    nodes = {"x": {"type": "no such", "mode": "mute"}, "y": add(link("x"), "text"), "z": add(1)}
    assert run_toys(doc(**nodes), ["z"])["z"] == 2


def test_muting_goes_through_what_is_bypassed(catalogue: Catalogue) -> None:
    nodes = {"a": add(1, 1, "mute"), "b": add(link("a"), 1, "bypass"), "c": add(link("b"))}
    (problem,) = check(doc(**nodes), catalogue, targets=["c"])
    assert "depends on a" in problem.message


def test_modes_of_definitions(run_toys: Run, catalogue: Catalogue) -> None:
    def document(mode: str | None) -> dict[str, Any]:
        use = {"type": "twice", "inputs": {"a": link("n")}} | ({"mode": mode} if mode else {})
        nodes = {"n": add(1), "u": use, "z": add(link("u.sum"), 100), "w": add(link("u.half"), 0)}
        return {"weft": 1, "nodes": nodes, "definitions": {"twice": TWICE}}

    assert run_toys(document(None), ["z"])["z"] == 112
    result = run_toys(document("bypass"), ["z", "w", "u"])
    assert (result["z"], result["w"], result["u"]) == (102, 2, 2)
    (problem,) = check(document("mute"), catalogue, targets=["z"])
    assert (problem.code, "depends on u" in problem.message) == ("no_output", True)
    inner = document(None)
    inner["definitions"] = {
        "twice": {**TWICE, "nodes": {**TWICE["nodes"], "first": {**TWICE["nodes"]["first"], "mode": "bypass"}}}
    }
    assert run_toys(inner, ["z"])["z"] == 107


def test_a_mode_is_one_of_two() -> None:
    problem = problem_of(doc(x={"type": "t", "mode": "muted"}))
    assert (problem.code, problem.node, problem.suggestion) == ("bad_document", "x", "mute")
    data = doc(x={"type": "t", "mode": "bypass"})
    assert Workflow.parse(data).to_dict() == data


def test_unknown_types_cannot_be_bypassed(catalogue: Catalogue) -> None:
    found = check(doc(x={"type": "no such", "mode": "bypass"}, y=add(link("x"))), catalogue, targets=["y"])
    assert [problem.code for problem in found] == ["unknown_node_type"]


def test_long_ways_through_bypassed_nodes_are_walked_once(catalogue: Catalogue) -> None:
    nodes: dict[str, Any] = {"x0": add(1)}
    for i in range(1, 4000):
        nodes[f"x{i}"] = add(link(f"x{i - 1}"), 1, "bypass")
    nodes |= {f"y{i}": add(link("x3999")) for i in range(4000)}
    lists = {"l0": {"type": "any", "inputs": {"value": [1]}}}
    for i in range(1, 1500):
        lists[f"l{i}"] = {"type": "any", "mode": "bypass", "inputs": {"value": [link(f"l{i - 1}")]}}
    lists["end"] = {"type": "show", "inputs": {"value": link("l1499")}}
    start = time.thread_time()
    assert check(doc(**nodes, **lists), catalogue, targets=["y7", "end"]) == []
    assert time.thread_time() - start < 3
