from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine import toys
from weft.engine import Catalogue
from weft.engine.catalogue.describe import describe_node
from weft.engine.catalogue.reference import main, own_nodes, reference
from weft.engine.catalogue.schema import input_schema, node_schema, workflow_schema


def test_the_schema_has_every_node(catalogue: Catalogue) -> None:
    schema = workflow_schema(catalogue)
    json.dumps(schema)
    names = {node_type.name for node_type in catalogue}
    assert set(schema["$defs"]["node"]["properties"]["type"]["anyOf"][0]["enum"]) == names
    assert {f"node:{name}" for name in names} <= set(schema["$defs"])
    references = json.dumps(schema).split('"$ref": "#/$defs/')[1:]
    assert {text.partition('"')[0] for text in references} <= set(schema["$defs"])


def test_the_schema_knows_definitions_as_types(catalogue: Catalogue) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(workflow_schema(catalogue))
    use = {"x": {"type": "mine", "mode": "mute", "inputs": {"a": 1}}}
    body = {"inputs": {"a": {"type": "int"}}, "nodes": {"n": {"type": "add", "inputs": {"a": {"link": "inputs.a"}}}}}
    assert validator.is_valid({"weft": 1, "nodes": use, "definitions": {"mine": body}})
    assert not validator.is_valid({"weft": 1, "nodes": use}), "without definitions, types are those installed"
    wrong = {"nodes": {"n": {"type": "add", "inputs": {"a": "text"}}}}
    assert not validator.is_valid({"weft": 1, "nodes": {}, "definitions": {"mine": wrong}})
    assert not validator.is_valid({"weft": 1, "nodes": {"x": {"type": "add", "mode": "off", "inputs": {"a": 1}}}})


def test_a_nodes_schema_says_what_its_inputs_take() -> None:
    schema = node_schema(toys.divide.node_type)
    assert schema["required"] == ["type", "inputs"]
    inputs = schema["properties"]["inputs"]
    assert (inputs["required"], inputs["additionalProperties"]) == (["a"], False)
    by = inputs["properties"]["by"]
    assert by["default"] == 2
    assert {"type": "integer", "minimum": 1, "maximum": 100} in by["anyOf"]
    assert {"$ref": "#/$defs/link"} in by["anyOf"]
    assert "1 to 100" in by["description"]


@pytest.mark.parametrize(
    ("node", "input", "form"),
    [
        (toys.total, "mode", {"enum": ["sum", "max"]}),
        (toys.side, "scale", {"type": "null"}),
        (toys.pick, "which", {"type": "boolean"}),
        (toys.anything, "value", {"$ref": "#/$defs/literal"}),
    ],
)
def test_literal_forms(node: Any, input: str, form: dict[str, Any]) -> None:
    assert form in input_schema(node.node_type.inputs[input])["anyOf"]


def test_a_value_that_no_document_holds_has_to_be_linked() -> None:
    forms = input_schema(toys.side.node_type.inputs["square"])["anyOf"]
    assert all("$ref" in form for form in forms)
    items = input_schema(toys.terms.node_type.inputs["terms"])["anyOf"]
    assert items[0] == {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/link"}]}}


def test_descriptions_are_json(catalogue: Catalogue) -> None:
    for node_type in catalogue:
        json.dumps(describe_node(node_type), allow_nan=False)
    steps = describe_node(toys.divide.node_type)["inputs"][1]
    assert steps == {"name": "by", "type": "int", "required": False, "default": 2, "range": [1, 100]}


def test_the_reference_names_every_node_input_and_output(catalogue: Catalogue) -> None:
    text = reference(catalogue)
    for node_type in catalogue:
        assert f"### {node_type.name}\n" in text
        for port in (*node_type.inputs.values(), *node_type.outputs.values()):
            assert f"| `{port.name}` |" in text
    assert "the second, on two lines." in text


def test_the_reference_is_checked_and_written(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "nodes.md"
    assert main([str(path), "--check"]) == 1
    assert main([str(path)]) == 0
    assert main([str(path), "--check"]) == 0
    path.write_text(path.read_text() + "edited")
    assert main([str(path), "--check"]) == 1
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_the_reference_is_about_our_nodes_alone(catalogue: Catalogue) -> None:
    assert list(own_nodes(catalogue)) == []
    assert len(own_nodes(Catalogue.load())) > 10


def test_the_reference_in_the_docs_is_fresh() -> None:
    """Else: python -m weft.engine.catalogue.reference docs/nodes.md"""
    assert main([str(Path(__file__).parents[2] / "docs" / "nodes.md"), "--check"]) == 0
