"""What can be said of a workflow without knowing any node."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graphs.documents import chain
from weft.graphs import Limits, Link, NodeSpec, Parameter, Workflow, check_form, near
from weft.graphs.order import cycles, topological
from weft.graphs.problems import Problem, WorkflowError, shown


def graph(**links: str) -> Workflow:
    """`graph(a="b c")`: node a links to b and to c."""
    return Workflow(
        nodes={
            id: NodeSpec(type="t", inputs={"x": [Link.parse(link) for link in names.split()]})
            for id, names in links.items()
        }
    )


def codes(workflow: Workflow) -> list[str]:
    return [problem.code for problem in check_form(workflow)]


def test_a_link_to_nothing_is_told_with_the_nearest_node() -> None:
    (problem,) = check_form(graph(denoise="", image="denois.latents"))
    assert (problem.code, problem.node, problem.input) == ("unknown_link", "image", "x")
    assert (problem.given, problem.suggestion) == ("denois.latents", "denoise.latents")
    assert check_form(graph(a="", b="quite-another"))[0].suggestion is None


def test_links_to_nothing_by_the_thousand_stay_linear() -> None:
    nodes = {f"n{i}": NodeSpec(type="t", inputs={"x": Link(f"n{i}x")}) for i in range(10_000)}
    found = check_form(Workflow(nodes=nodes))
    assert len(found) == Limits().max_problems
    assert found[0].suggestion is not None
    assert found[-1].suggestion is None  # only so many are looked for


def test_each_knot_is_told_by_one_shortest_cycle() -> None:
    workflow = graph(start="", a="b start", b="c a", c="d", d="a", end="a", self="self", other="end twin", twin="other")
    found = check_form(workflow)
    assert [problem.given for problem in found] == [["a", "b"], ["self"], ["other", "twin"]]
    assert {problem.code for problem in found} == {"cycle"}
    assert "a <- b <- a" in found[0].message
    assert (found[2].node, found[2].input) == ("other", "x")


def test_a_long_cycle_lists_its_nodes_and_shows_a_few() -> None:
    workflow = chain(10_000)
    workflow.nodes["n0"].inputs["x"] = Link("n1")
    workflow.nodes["n1"].inputs["x"] = Link("n9999")
    workflow.nodes["n0"].inputs["x"] = Link("n9999")
    (problem,) = check_form(workflow)
    assert len(problem.given) == 9999
    assert len(problem.message) < 300


def test_chains_and_fans_of_10_000_nodes_have_no_problems() -> None:
    assert check_form(chain(10_000)) == []
    fan = {f"n{i}": NodeSpec(type="t", inputs={"x": Link("hub")}) for i in range(9_998)}
    sink = NodeSpec(type="t", inputs={"x": [Link(id) for id in fan]})
    assert check_form(Workflow(nodes={"sink": sink, **fan, "hub": NodeSpec(type="t")})) == []
    assert codes(chain(10_001)) == ["too_large"]


def test_parameters_that_point_nowhere() -> None:
    targets = {"ok": "a.x", "gone": "b.x", "typo": "denois.seed", "whole": "a", "half": "a."}
    workflow = Workflow(
        nodes={"a": NodeSpec(type="t"), "denoise": NodeSpec(type="t")},
        parameters={name: Parameter(input=target) for name, target in targets.items()},
    )
    found = check_form(workflow)
    assert [(problem.code, problem.given) for problem in found] == [
        ("unknown_link", "b.x"),
        ("unknown_link", "denois.seed"),
        ("bad_document", "a"),
        ("bad_document", "a."),
    ]
    assert found[1].suggestion == "denoise.seed"


def test_unknown_keys_are_warnings() -> None:
    workflow = Workflow.parse({"weft": 1, "nodes": {"a": {"type": "t", "input": {}}}, "paramters": {}})
    found = check_form(workflow)
    assert [(problem.severity, problem.node, problem.suggestion) for problem in found] == [
        ("warning", None, "parameters"),
        ("warning", "a", "inputs"),
    ]


def test_a_workflow_put_together_by_hand_is_looked_at_as_closely() -> None:
    workflow = Workflow(nodes={"a b": NodeSpec(type="t"), "c": NodeSpec(type="t", inputs={"x": float("nan")})})
    found = check_form(workflow)
    assert [(problem.code, problem.node) for problem in found] == [("bad_document", "a b"), ("bad_document", "c")]


dependencies = st.dictionaries(st.integers(0, 8).map(str), st.lists(st.integers(0, 8).map(str), max_size=4))


@given(dependencies)
def test_the_order_puts_each_node_after_what_it_needs(graph: dict[str, list[str]]) -> None:
    order = topological(graph)
    place = {node: index for index, node in enumerate(order)}
    for node in order:
        assert all(place[source] < place[node] for source in graph[node] if source in graph)
    assert (len(order) == len(graph)) == (cycles(graph) == [])


@given(dependencies)
def test_a_cycle_is_one_and_every_knot_has_one(graph: dict[str, list[str]]) -> None:
    def reachable(node: str) -> set[str]:
        seen: set[str] = set()
        pending = [source for source in graph[node] if source in graph]
        while pending:
            if (source := pending.pop()) not in seen:
                seen.add(source)
                pending += [further for further in graph[source] if further in graph]
        return seen

    found = cycles(graph)
    for cycle in found:
        assert all(after in graph[node] for node, after in zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        assert len(set(cycle)) == len(cycle)
    circular = {node: reachable(node) for node in graph if node in reachable(node)}
    knots = {frozenset(other for other in circular if other in circular[node] and node in circular[other])
             for node in circular}  # fmt: skip
    assert len(found) == len(knots)
    assert all(sum(cycle[0] in knot for cycle in found) == 1 for knot in knots)


def test_near_matches() -> None:
    assert near("Denois", ["decode", "denoise", "x"]) == "denoise"
    assert near("load-model", ["load_model"]) == "load_model"
    assert near("xyz", ["denoise"]) is None
    assert near("x" * 10**6, ["denoise"]) is None


def test_an_error_tells_every_problem() -> None:
    one = Problem(code="bad_value", node="a", input="x", message="No.", suggestion="y")
    two = Problem(severity="warning", code="cycle", message="Round.")
    assert str(WorkflowError([one, two])) == ("error: a.x: No. Did you mean 'y'? [bad_value]\nwarning: Round. [cycle]")
    with pytest.raises(ValueError, match="at least one"):
        WorkflowError([])


def test_values_in_messages_are_short() -> None:
    assert shown("a" * 10**6) == '"' + "a" * 27 + "..." + "a" * 27 + '"'
    assert shown([1, {"x": None}]) == '[1, {"x": null}]'
    assert shown(object()) == "<object>"
