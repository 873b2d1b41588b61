"""`with_settings`: parameters and inputs by name, from text or typed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine import toys
from weft.engine import Catalogue, WorkflowError, node, with_settings
from weft.graphs import Workflow

CATALOGUE = toys.catalogue()


def workflow(**more: Any) -> Workflow:
    nodes = {
        "n": {"type": "number", "inputs": {"value": 3}},
        "r": {"type": "real"},
        "t": {"type": "text", "inputs": {"value": "a"}},
        "sum": {"type": "add", "inputs": {"a": {"link": "n"}, "b": 2}},
    }
    return Workflow.parse({"weft": 1, "nodes": nodes, "parameters": {"count": {"input": "n.value"}}, **more})


def inputs(document: Workflow) -> dict[str, Any]:
    return {f"{id}.{name}": item for id, spec in document.nodes.items() for name, item in spec.inputs.items()}


def test_texts_are_read_as_what_the_input_takes() -> None:
    changed = inputs(with_settings(workflow(), ["count=7", "r.value=7", "t.value=7", "sum.a=1"], CATALOGUE))
    assert changed == {"n.value": 7, "r.value": 7, "t.value": "7", "sum.a": 1, "sum.b": 2}
    assert type(changed["t.value"]) is str


def test_typed_values_are_not_converted() -> None:
    changed = inputs(with_settings(workflow(), {"count": 7, "t.value": "7"}, CATALOGUE))
    assert (changed["n.value"], changed["t.value"]) == (7, "7")
    with pytest.raises(WorkflowError, match="whole number"):
        with_settings(workflow(), {"count": "7"}, CATALOGUE)


def test_a_typed_value_is_never_a_link() -> None:
    catalogue = CATALOGUE
    document = Workflow.parse({"weft": 1, "nodes": {"a": {"type": "any"}, "b": {"type": "any"}}})
    changed = with_settings(document, {"b.value": {"link": "a"}}, catalogue)
    assert changed.to_dict()["nodes"]["b"]["inputs"]["value"] == {"value": {"link": "a"}}


def test_all_problems_at_once_and_the_workflow_stays() -> None:
    document = workflow(parameters={"count": {"input": "n.value"}, "lost": {"input": "gone.value"}})
    before = document.to_dict()
    texts = ["cuont=1", "sum.bb=1", "count=many", "lost=1", "words", "nowhere.value=2"]
    with pytest.raises(WorkflowError) as error:
        with_settings(document, texts, CATALOGUE)
    found = {(problem.code, problem.node, problem.input, problem.suggestion) for problem in error.value.problems}
    assert found == {
        ("unknown_input", None, None, "count"),
        ("unknown_input", "sum", "bb", "b"),
        ("bad_value", "n", "value", None),
        ("unknown_link", None, None, None),
        ("bad_value", None, None, None),
        ("unknown_input", None, None, "n.value"),
    }
    assert document.to_dict() == before


def test_what_cannot_stand_in_a_document() -> None:
    with pytest.raises(WorkflowError, match="cannot stand in a document"):
        with_settings(workflow(), {"r.value": float("nan")}, CATALOGUE)


def test_nodes_are_brought_up_to_date_once() -> None:
    migrated: list[int] = []

    def rename(old: dict[str, Any]) -> dict[str, Any]:
        migrated.append(1)
        return {"value": old["number"]}

    @node("aged", version=2, migrations={1: rename})
    def aged(value: int = 0) -> int:
        """A number."""
        return value

    catalogue = Catalogue([*toys.NODES, aged])
    document = Workflow.parse(
        {"weft": 1, "nodes": {"a": {"type": "aged", "version": 1, "inputs": {"number": 5}}, "n": {"type": "number"}}}
    )
    changed = with_settings(document, ["a.value=6"], catalogue)
    assert (changed.nodes["a"].version, dict(changed.nodes["a"].inputs)) == (2, {"value": 6})
    again = with_settings(changed, ["n.value=6"], catalogue)
    assert again.nodes["a"] == changed.nodes["a"]
    assert len(migrated) == 1


def test_inputs_of_definitions() -> None:
    definition = {
        "inputs": {"many": {}},
        "outputs": {"out": {"link": "x"}},
        "nodes": {"x": {"type": "number", "inputs": {"value": {"link": "inputs.many"}}}},
    }
    document = Workflow.parse(
        {"weft": 1, "nodes": {"d": {"type": "boxed", "inputs": {"many": 1}}}, "definitions": {"boxed": definition}}
    )
    assert inputs(with_settings(document, ["d.many=4"], CATALOGUE)) == {"d.many": 4}
    with pytest.raises(WorkflowError, match="Did you mean 'many'"):
        with_settings(document, ["d.may=4"], CATALOGUE)


def test_nothing_to_set_gives_the_same_object() -> None:
    document = workflow()
    assert with_settings(document, {}, CATALOGUE) is document
    assert with_settings(document, [], Catalogue([])) is document
