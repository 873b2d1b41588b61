"""The JSON Schema accepts what the reader accepts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from tests.graphs.documents import document, workflows
from weft.graphs import Workflow, WorkflowError, examples
from weft.graphs.schema import definitions, document_schema

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = document_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(json.loads(json.dumps(schema)))


@pytest.mark.parametrize("name", examples.names())
def test_examples_are_valid(validator: Any, name: str) -> None:
    validator.validate(json.loads(examples.path(name).read_text("utf-8")))


@settings(max_examples=50, deadline=None)
@given(workflow=workflows())
def test_what_is_written_is_valid(validator: Any, workflow: Workflow) -> None:
    validator.validate(workflow.to_dict())


@pytest.mark.parametrize(
    "value",
    [
        None, 1, "x", [], {}, {"link": "a"}, {"link": "a.b"}, {"link": "a.b.c"}, {"value": {"link": 3}},
        [{"link": "a"}, 1, {"value": {"link": "x"}}], {"value": 1, "unit": "px"}, [[1]],
        {"link": ""}, {"link": "a."}, {"link": ".a"}, {"link": 3}, {"link": "a", "x": 1}, [{"link": 3}],
        [[{"link": "a"}]], {"x": {"link": "a"}},
    ],
)  # fmt: skip
def test_reader_and_schema_agree_on_inputs(validator: Any, value: Any) -> None:
    try:
        Workflow.parse(document(x=value))
        readable = True
    except WorkflowError:
        readable = False
    assert validator.is_valid(document(x=value)) == readable


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"weft": 2, "nodes": {}},
        {"weft": 1, "nodes": []},
        {"weft": 1, "nodes": {"a b": {"type": "t"}}},
        {"weft": 1, "nodes": {"a": {}}},
        {"weft": 1, "nodes": {"a": {"type": "t", "version": 0}}},
        {"weft": 1, "nodes": {}, "parameters": {"p": "a.b"}},
        {"weft": 1, "nodes": {}, "parameters": {"p": {"input": "a"}}},
    ],
)
def test_broken_documents_are_not_valid(validator: Any, broken: Any) -> None:
    assert not validator.is_valid(broken)


def test_a_schema_is_the_callers_own() -> None:
    document_schema()["$defs"]["node"].clear()
    assert definitions()["node"]
