"""Limits that a caller raised stay with the document."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest

from weft.graphs import LIMITS, Limits, Workflow, WorkflowError, check_form

FEW = replace(LIMITS, max_nodes=3)
MANY = replace(LIMITS, max_nodes=20_000)


def nodes(count: int) -> dict[str, object]:
    return {"weft": 1, "nodes": {f"n{i}": {"type": "number"} for i in range(count)}}


def codes(workflow: Workflow, limits: Limits | None = None) -> list[str]:
    return [problem.code for problem in check_form(workflow, limits)]


def test_a_document_that_was_read_with_more_is_checked_with_as_much(tmp_path: Path) -> None:
    with pytest.raises(WorkflowError):
        Workflow.parse(nodes(10_001))
    large = Workflow.parse(nodes(10_001), MANY)
    assert codes(large) == []
    assert codes(large, LIMITS) == ["too_large"], "what is said at the check goes before"
    path = tmp_path / "large.json"
    path.write_text(json.dumps(nodes(10_001)))
    assert codes(Workflow.load(path, MANY)) == []


def test_one_that_was_read_with_less_may_not_grow_beyond_it() -> None:
    small = Workflow.parse(nodes(3), FEW)
    assert codes(small) == []
    assert codes(small.model_copy(update={"nodes": Workflow.parse(nodes(4)).nodes})) == ["too_large"]


def test_copies_have_the_limits_and_documents_do_not() -> None:
    large = Workflow.parse(nodes(4), MANY)
    for other in (large.with_declarations({"a": object()}), copy.deepcopy(large), large.model_copy()):
        assert other.limits is MANY
    assert large.with_values({"n0.value": 1}).limits is MANY
    assert large == Workflow.parse(nodes(4)), "limits are no part of what a document says"
    assert large.to_dict() == Workflow.parse(nodes(4)).to_dict()
    assert Workflow().limits is LIMITS


def test_a_workflow_made_in_python_can_be_given_some() -> None:
    large = Workflow(nodes=Workflow.parse(nodes(10_001), MANY).nodes)
    assert codes(large) == ["too_large"]
    assert codes(large.with_limits(MANY)) == []
    assert large.with_declarations({"a": object()}).with_limits(MANY).declarations.keys() == {"a"}
