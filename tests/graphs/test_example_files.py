"""The workflows that come with weft."""

from __future__ import annotations

import json

import pytest

from weft.graphs import Workflow, WorkflowError, check_form, examples


def test_the_names_are_there() -> None:
    assert {"text_to_image", "image_to_image", "inpaint", "sweep"} <= set(examples.names())


@pytest.mark.parametrize("name", examples.names())
def test_each_is_sound_explained_and_written_as_we_write(name: str) -> None:
    workflow = examples.load(name)
    assert check_form(workflow) == []
    assert workflow.title
    assert workflow.meta["description"]
    assert workflow.parameters
    for parameter in workflow.parameters:
        workflow.resolve_parameter(parameter)
    text = examples.path(name).read_text("utf-8")
    assert Workflow.parse(json.loads(text)).to_json() == text


def test_an_unknown_name_has_a_nearest() -> None:
    with pytest.raises(WorkflowError) as caught:
        examples.path("text-to-image")
    assert caught.value.problems[0].suggestion == "text_to_image"
    with pytest.raises(WorkflowError):
        examples.path("../examples/sweep")
