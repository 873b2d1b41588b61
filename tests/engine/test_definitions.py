"""Definitions: reusable graphs that are inlined, checked at the node around them, and leave no trace in keys."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.engine import toys
from weft.engine import Cache, Catalogue, Problem, Result, RunFailed, WorkflowError, check, definition, node, run
from weft.graphs import Graph, Workflow
from weft.graphs.form import check_form

Run = Callable[..., Result]

TWICE: dict[str, Any] = {
    "inputs": {"a": {"type": "int"}, "b": {"default": 5}},
    "nodes": {
        "first": {"type": "add", "inputs": {"a": {"link": "inputs.a"}, "b": {"link": "inputs.b"}}},
        "second": {"type": "add", "inputs": {"a": {"link": "first"}, "b": {"link": "inputs.b"}}},
    },
    "outputs": {"sum": {"link": "second"}, "half": {"link": "first", "type": "int"}},
}


def doc(nodes: dict[str, Any], **definitions: Any) -> dict[str, Any]:
    return {"weft": 1, "nodes": nodes, "definitions": definitions or {"twice": TWICE}}


def use(**inputs: Any) -> dict[str, Any]:
    return {"type": "twice", "inputs": inputs}


def errors(source: Any, catalogue: Catalogue, targets: list[str] | None = None) -> list[Problem]:
    found = check(source, catalogue, targets=targets if targets is not None else [next(iter(source["nodes"]))])
    return [problem for problem in found if problem.severity == "error"]


def test_a_definition_runs_as_the_nodes_inside(run_toys: Run) -> None:
    events: list[Any] = []
    document = doc({"x": use(a=1), "y": use(a={"link": "x.half"}, b=100)})
    result = run_toys(document, ["x", "y.half", "y.sum"], on_event=events.append)
    assert (result["x"], result["x.sum"], result["y.half"], result["y.sum"]) == (11, 11, 106, 206)
    assert ("x" in result, "z" in result) == (True, False)
    started = {event.node for event in events if event.event == "node_started"}
    assert started == {"x/first", "x/second", "y/first", "y/second"}


def test_what_is_inside_has_the_keys_it_has_outside(run_toys: Run, calls: Counter[str]) -> None:
    cache = Cache()
    plain = {
        "f": {"type": "add", "inputs": {"a": 1, "b": 5}},
        "s": {"type": "add", "inputs": {"a": {"link": "f"}, "b": 5}},
    }
    run_toys({"weft": 1, "nodes": plain}, ["s"], cache=cache)
    assert calls["add"] == 2
    result = run_toys(doc({"x": use(a=1)}), ["x"], cache=cache)
    assert (result["x"], result.ran, calls["add"]) == (11, 0, 2)


def test_an_input_that_nobody_gives_is_absent_inside(run_toys: Run, catalogue: Catalogue) -> None:
    body = {
        "inputs": {"a": {}, "b": {}},
        "nodes": {"n": {"type": "add", "inputs": {"a": {"link": "inputs.a"}, "b": {"link": "inputs.b"}}}},
        "outputs": {"out": {"link": "n"}},
    }
    assert run_toys(doc({"x": use(a=1)}, twice=body), ["x"])["x"] == 2, "the inner node's own default"
    (problem,) = errors(doc({"x": use()}, twice=body), catalogue)
    assert (problem.code, problem.node, problem.input) == ("missing_input", "x", "a")
    assert "x/n.a" in problem.message


def test_definitions_inside_definitions_and_inputs_passed_on(run_toys: Run) -> None:
    outer = {
        "inputs": {"a": {}},
        "nodes": {
            "one": {"type": "twice", "inputs": {"a": {"link": "inputs.a"}, "b": 1}},
            "two": {"type": "twice", "inputs": {"a": {"link": "one.sum"}, "b": 2}},
        },
        "outputs": {"sum": {"link": "two.sum"}, "same": {"link": "inputs.a"}},
    }
    nodes = {"x": {"type": "outer", "inputs": {"a": 10}}, "y": {"type": "add", "inputs": {"a": {"link": "x.same"}}}}
    result = run_toys(doc(nodes, twice=TWICE, outer=outer), ["x", "y"])
    assert (result["x.sum"], result["y"]) == (16, 11)


def test_lists_go_in_and_their_items_stay(run_toys: Run) -> None:
    body = {
        "inputs": {"numbers": {}, "one": {}},
        "nodes": {
            "t": {"type": "total", "inputs": {"items": {"link": "inputs.numbers"}}},
            "u": {"type": "total", "inputs": {"items": [{"link": "inputs.one"}, {"link": "t"}, 1]}},
        },
        "outputs": {"out": {"link": "u"}},
    }
    nodes = {"n": {"type": "number", "inputs": {"value": 7}}, "x": use(numbers=[{"link": "n"}, 2], one={"link": "n"})}
    assert run_toys(doc(nodes, twice=body), ["x"])["x"] == 17
    assert run_toys(doc({"x": use(numbers=[1, 2])}, twice=body), ["x"])["x"] == 4, "an absent item is left out"


@pytest.mark.parametrize(
    ("node", "code", "where", "words"),
    [
        (use(a="one"), "bad_value", "x.a", "whole number"),
        (use(a=1, b="five"), "bad_value", "x.b", "x/first.b"),
        (use(a=1, c=2), "unknown_input", "x.c", "it has a, b"),
        (use(a={"link": "words"}), "type_mismatch", "x.a", "int"),
        ({"type": "add", "inputs": {"a": {"link": "y.some"}}}, "unknown_output", "x.a", "it has sum, half"),
        ({"type": "twice", "version": 2, "inputs": {"a": 1}}, "unknown_version", "x", "no versions"),
        ({"type": "twic", "inputs": {}}, "unknown_node_type", "x", "twic"),
    ],
)
def test_near_misses_are_told_at_the_node_around(
    node: dict[str, Any], code: str, where: str, words: str, catalogue: Catalogue
) -> None:
    document = doc({"x": node, "y": use(a=1), "words": {"type": "text", "inputs": {"value": "w"}}})
    found = errors(document, catalogue)
    assert [(problem.code, problem.where) for problem in found] == [(code, where)]
    assert words in found[0].message


def test_faults_inside_name_the_node_inside_and_the_one_around(catalogue: Catalogue) -> None:
    body = json.loads(json.dumps(TWICE))
    body["nodes"]["second"]["inputs"]["b"] = "x"
    (problem,) = errors(doc({"x": use(a=1)}, twice=body), catalogue)
    assert (problem.code, problem.node, problem.input) == ("bad_value", "x/second", "b")


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (lambda d: d["nodes"]["first"]["inputs"].update(a={"link": "inputs.aa"}), "unknown_link", "aa"),
        (lambda d: d["nodes"]["first"]["inputs"].update(a={"link": "frist"}), "unknown_link", "not inside"),
        (lambda d: d["nodes"]["first"]["inputs"].update(a={"link": "second"}), "cycle", "first"),
        (lambda d: d["nodes"].update(inputs={"type": "number"}), "bad_document", "inputs"),
        (lambda d: d["nodes"].update(again={"type": "twice"}), "cycle", "contain themselves"),
        (lambda d: d["outputs"].update(sum={"link": "secnd"}), "unknown_link", "secnd"),
        (lambda d: d["inputs"].update(a={"type": "itn"}), "bad_value", "itn"),
        (lambda d: d["inputs"].update(a={"type": "str"}), "type_mismatch", "goes to x/first.a"),
        (lambda d: d["outputs"].update(half={"link": "first", "type": "str"}), "type_mismatch", "half"),
        (lambda d: d["inputs"].update(a=3), "bad_document", "an object like"),
        (lambda d: d["inputs"]["b"].update(default={"link": "x"}), "bad_document", "data alone"),
        (lambda d: d["outputs"].update(sum={"lnk": "x"}), "bad_document", "an object like"),
        (lambda d: d["nodes"]["first"].update(inputs=[]), "bad_document", '"inputs" is an object'),
        (lambda d: d.pop("nodes"), "bad_document", '"nodes"'),
        (lambda d: d["nodes"].update({"a" * 65: {"type": "number"}}), "bad_document", "65 characters"),
    ],
)
def test_faults_of_definitions(change: Callable[[Any], Any], code: str, words: str, catalogue: Catalogue) -> None:
    body = json.loads(json.dumps(TWICE))
    change(body)
    nodes = {"n": {"type": "number"}, "x": use(a={"link": "n"})}
    found = errors(doc(nodes, twice=body), catalogue)
    assert any(problem.code == code and words in problem.message for problem in found), found


def test_many_inside_each_other_are_refused_before_they_are_made(catalogue: Catalogue) -> None:
    bomb: dict[str, Any] = {"d0": {"nodes": {f"n{i}": {"type": "number"} for i in range(10)}}}
    for level in range(1, 12):
        bomb[f"d{level}"] = {"nodes": {f"n{i}": {"type": f"d{level - 1}"} for i in range(10)}}
    (problem,) = errors(doc({"x": {"type": "d11"}}, **bomb), catalogue)
    assert (problem.code, problem.given > 10**11) == ("too_large", True)
    deep = {f"d{i}": {"nodes": {"n": {"type": f"d{i - 1}" if i else "number"}}} for i in range(30)}
    (problem,) = errors(doc({"x": {"type": "d29"}}, **deep), catalogue)
    assert (problem.code, "at most 16" in problem.message) == ("too_large", True)
    wide = {f"d{i}": {"nodes": {"n": {"type": "number"}}} for i in range(6000)}
    with pytest.raises(WorkflowError, match="12,001"):
        Workflow.parse(doc({"x": {"type": "d1"}}, **wide))


def test_a_long_chain_of_uses_needs_no_recursion(run_toys: Run) -> None:
    passing = {"inputs": {"a": {}}, "nodes": {}, "outputs": {"out": {"link": "inputs.a"}}}
    nodes: dict[str, Any] = {"x0": {"type": "p", "inputs": {"a": 4}}}
    for i in range(1, 3000):
        nodes[f"x{i}"] = {"type": "p", "inputs": {"a": {"link": f"x{i - 1}"}}}
    nodes["end"] = {"type": "add", "inputs": {"a": {"link": "x2999"}, "b": 1}}
    assert run_toys(doc(nodes, p=passing), ["end"])["end"] == 5


def test_outputs_inside_are_made_without_targets_and_failures_name_them(run_toys: Run) -> None:
    saving = {"nodes": {"n": {"type": "number"}, "s": {"type": "total", "inputs": {"items": [{"link": "n"}, 4]}}}}
    result = run_toys(doc({"x": {"type": "d"}}, d=saving))
    assert (result["x/s"], [item.node for item in result.outputs]) == (4, ["x/s"])
    assert run_toys(doc({"x": {"type": "d"}}, d=saving), ["x"])["x"] == 4, "the target stands for what nobody takes"
    with pytest.raises(RunFailed) as caught:
        run_toys(doc({"x": {"type": "d"}}, d={"nodes": {"f": {"type": "boom"}}}), ["x"])
    assert caught.value.error.node == "x/f"


def test_round_trip_keeps_all_of_it() -> None:
    body = {**TWICE, "description": "Twice.", "ui": {"first": {"x": 1}}, "later": [1]}
    body["inputs"] = {
        "a": {"type": "int", "unit": "px"},
        "b": {"default": {"value": {"link": "data"}}},
        "c": {"default": None},
    }
    data = doc({"x": use(a=1)}, twice=body)
    workflow = Workflow.parse(data)
    assert workflow.to_dict() == data
    assert Workflow.parse(workflow.to_json()) == workflow
    warnings = [problem.given for problem in check_form(workflow) if problem.severity == "warning"]
    assert warnings == ["later", "unit"]


def test_a_definition_takes_the_place_of_an_installed_node(run_toys: Run, catalogue: Catalogue) -> None:
    mine = {"inputs": {"value": {}}, "nodes": {}, "outputs": {"out": {"link": "inputs.value"}}}
    document = doc(
        {"x": {"type": "number", "inputs": {"value": 4}}, "y": {"type": "add", "inputs": {"a": {"link": "x"}}}},
        number=mine,
    )
    assert [problem.code for problem in check(document, catalogue, targets=["y"])] == ["conflict"]
    assert run_toys(document, ["y"])["y"] == 5


# -- from Python


class Sums(NamedTuple):
    total: int
    first: int


@definition
def sums(a: int, b: int = 5) -> Sums:
    """Add twice.

    Args:
        a: where to begin.
    """
    first = toys.add(a, b)
    return Sums(toys.add(first, b), first)


@definition(name="more")
def more_sums(a: int) -> int:
    return sums(sums(a).first, b=1).total


def test_a_function_becomes_a_definition(run_toys: Run) -> None:
    with Graph() as g:
        x, y = sums(1), more_sums(10)
        z = toys.add(x.first, y)
    workflow = g.workflow()
    assert workflow.definitions.keys() == {"sums", "more"}
    made = workflow.definitions["sums"].to_dict()
    assert made["inputs"] == {
        "a": {"type": "int", "description": "where to begin."},
        "b": {"type": "int", "default": 5},
    }
    assert made["description"] == "Add twice."
    assert list(made["outputs"]) == ["total", "first"]
    assert len(workflow.nodes) == 3
    assert Workflow.parse(workflow.to_json()) == workflow
    result = run_toys(g, [x, y, z])
    assert (result[x], result[x.first], result[y], result[z]) == (11, 6, 17, 23)
    assert (sums(1), more_sums(10)) == (Sums(11, 6), 17), "outside of a graph it computes"


def test_definitions_from_python_are_refused_by_name() -> None:
    @definition(name="sums")
    def other(a: int) -> int:
        return toys.add(a)

    @definition
    def outside(a: int) -> int:
        return toys.add(a, z)

    @definition
    def literal(a: int) -> int:
        return 3

    with Graph():
        z = sums(1).first
        with pytest.raises(ValueError, match="another definition 'sums'"):
            other(1)
        with pytest.raises(ValueError, match="belongs to another graph"):
            outside(1)
        with pytest.raises(TypeError, match="which no node made"):
            literal(1)
        with pytest.raises(TypeError, match="unexpected keyword"):
            sums(1, c=3)  # type: ignore[call-arg]


@node("unfolded")
def unfolded(a: int) -> int | Graph:
    """A graph with a definition in it."""
    with Graph() as g:
        g.returns(more_sums(g.given(a)))
    return g


def test_a_node_may_return_a_graph_with_definitions(catalogue: Catalogue) -> None:
    catalogue.add(unfolded)
    document = {"weft": 1, "nodes": {"x": {"type": "unfolded", "inputs": {"a": 10}}}}
    assert run(document, ["x"], catalogue=catalogue, cache=Cache())["x"] == 17


def test_a_picture_carries_definitions(tmp_path: Path) -> None:
    from PIL import Image

    from weft.graphs.png import embed

    workflow = Workflow.parse(doc({"x": use(a=1)}))
    Image.new("RGB", (4, 4)).save(tmp_path / "p.png")
    (tmp_path / "q.png").write_bytes(embed((tmp_path / "p.png").read_bytes(), {"weft_workflow": workflow.to_json()}))
    assert Workflow.load(tmp_path / "q.png") == workflow
