"""The document in memory, and its way from and to text and files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.graphs.documents import document, inputs, literals, problem_of, problems_of, workflows
from tests.graphs.test_png_text import PNG
from weft.graphs import Link, NodeSpec, Workflow, WorkflowError
from weft.graphs.inputs import literal, read_input, write_input
from weft.graphs.png import embed

# The document of the contract, abridged.
CONTRACT: dict[str, Any] = {
    "weft": 1,
    "meta": {"title": "Semantic guidance", "description": "..."},
    "nodes": {
        "model": {"type": "load_model", "inputs": {"source": "shapes"}},
        "prompt": {"type": "encode_prompt", "inputs": {"model": {"link": "model"}, "text": "a red circle"}},
        "sega": {"type": "sega", "version": 1, "inputs": {"concept": {"link": "blue"}, "scale": 6.0}},
        "denoise": {
            "type": "denoise",
            "inputs": {"model": {"link": "model"}, "guidance": [{"link": "cfg"}, {"link": "sega"}], "seed": 7},
        },
        "image": {"type": "decode", "inputs": {"model": {"link": "model"}, "latents": {"link": "denoise.latents"}}},
    },
    "parameters": {"seed": {"input": "denoise.seed"}, "prompt": {"input": "prompt.text"}},
    "ui": {"sega": {"x": 320, "y": 80}},
}


def test_the_contracts_document_is_understood_and_written_back_as_it_was() -> None:
    workflow = Workflow.parse(json.dumps(CONTRACT))
    assert workflow.title == "Semantic guidance"
    assert workflow.nodes["image"].inputs["latents"] == Link("denoise", "latents")
    assert workflow.nodes["denoise"].inputs == {
        "model": Link("model"),
        "guidance": [Link("cfg"), Link("sega")],
        "seed": 7,
    }
    assert workflow.nodes["sega"].version == 1
    assert workflow.nodes["model"].version is None
    assert list(workflow.links())[:2] == [
        ("prompt", "model", Link("model")),
        ("sega", "concept", Link("blue")),
    ]
    assert workflow.to_dict() == CONTRACT


@given(workflows())
def test_every_workflow_survives_text_and_data(workflow: Workflow) -> None:
    for source in (workflow.to_json(), workflow.to_json(compact=True).encode(), workflow.to_dict()):
        again = Workflow.parse(source)
        assert again == workflow
        # == takes 1, 1.0 and true for one value; their text tells them apart.
        assert again.to_json() == workflow.to_json()


@given(inputs)
def test_an_input_survives_the_document(value: Any) -> None:
    assert repr(read_input(write_input(value))) == repr(value)


@given(literals)
def test_what_stands_under_value_is_taken_as_it_is(value: Any) -> None:
    assert repr(read_input({"value": value})) == repr(value)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"link": "a"}, {"value": {"link": "a"}}),
        ({"link": "a", "x": 1}, {"value": {"link": "a", "x": 1}}),
        ({"value": 1}, {"value": {"value": 1}}),
        ({"value": 1, "unit": "px"}, {"value": 1, "unit": "px"}),
        ([[{"link": "a"}], Link("b")], [{"value": [{"link": "a"}]}, {"link": "b"}]),
        ({"deep": {"value": 1}}, {"deep": {"value": 1}}),
    ],
)
def test_only_what_would_be_misread_is_wrapped(value: Any, written: Any) -> None:
    assert write_input(value) == written


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"link": 3}, "not 3"),
        ({"link": ""}, "names no output"),
        ({"link": "a."}, "names no output"),
        ({"link": ".a"}, "names no output"),
        ({"link": "a", "output": "b"}, 'no key "output"'),
        ([[{"link": "a"}]], "directly in a list"),
        ({"x": {"link": "a"}}, "directly in a list"),
    ],
)
def test_a_broken_link_is_no_literal(value: Any, says: str) -> None:
    problem = problem_of(document(x=value))
    assert (problem.code, problem.node, problem.input) == ("bad_document", "a", "x")
    assert says in problem.message


def test_a_link_names_its_output_after_the_first_dot() -> None:
    assert Link.parse("a.b.c") == Link("a", "b.c")
    assert str(Link.parse("a.b.c")) == "a.b.c"


def test_all_problems_are_told_at_once() -> None:
    found = problems_of(
        {
            "weft": 1,
            "nodes": {"1a": {"type": "t"}, "b": 3, "c": {"typ": "t"}, "d": {"type": "t", "version": 0, "inputs": []}},
            "parameters": {"p": "a.b"},
            "meta": [],
        }
    )
    assert [problem.node for problem in found] == ['"1a"', "b", "c", "d", "d", None, None]
    assert all(problem.code == "bad_document" for problem in found)
    assert 'Is "typ" meant' in found[2].message


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ([], "not a list"),
        ({"nodes": {}}, '"weft": 1'),
        ({"weft": 1}, '"nodes"'),
        ({"weft": 2, "nodes": {}}, "newer weft"),
        ({"weft": True, "nodes": {}}, "not true"),
        ({"weft": "1", "nodes": {}}, 'not "1"'),
        ({"weft": 1, "nodes": None}, "not null"),
        ({"weft": 1, "nodes": {3: {"type": "t"}}}, "not text"),
        ({"weft": 1, "nodes": {}, 5: 1}, "not text"),
        (document(x=float("nan")), "not a finite number"),
        (document(x=2**64), "64 bits"),
        (document(x=object()), "object is not JSON"),
        (document(x={1: 2}), "not int"),
        (document(x="\ud800"), "surrogate"),
    ],
)
def test_what_is_no_workflow_is_refused_by_name(source: Any, says: str) -> None:
    problem = problem_of(source)
    assert problem.code == "bad_document"
    assert says in problem.message


def test_data_inside_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert problem_of(document(x=circle)).code == "too_large"


def test_node_ids_have_64_characters_at_most() -> None:
    def named(id: str) -> dict[str, Any]:
        return {"weft": 1, "nodes": {id: {"type": "t"}}}

    assert list(Workflow.parse(named("a" * 64)).nodes) == ["a" * 64]
    problem = problem_of(named("a" * 65))
    assert problem.code == "bad_document"
    assert "65 characters" in problem.message
    for id in ("", "1a", "a b", "a.b", "é", "a\n"):
        assert problem_of(named(id)).code == "bad_document"


def test_unknown_keys_are_kept_everywhere_even_under_names_of_ours() -> None:
    data = {
        "weft": 1,
        "nodes": {"a": {"type": "t", "inputs": {"x": 1}, "muted": True, "links": [1]}},
        "parameters": {"p": {"input": "a.x", "label": "X"}},
        "extensions": {"deep": [{"link": "kept as it is"}]},
        "unknown": {"model_extra": 1},
        "parse": None,
    }
    workflow = Workflow.parse(data)
    assert workflow.unknown.keys() == {"extensions", "unknown", "parse"}
    assert workflow.to_dict() == data


def test_a_workflow_does_not_share_what_it_was_made_from() -> None:
    data = document(x=[1, {"y": 2}])
    workflow = Workflow.parse(data)
    data["nodes"]["a"]["inputs"]["x"].append(3)
    written = workflow.to_dict()
    written["nodes"]["a"]["inputs"]["x"][1]["y"] = 9
    assert workflow.nodes["a"].inputs["x"] == [1, {"y": 2}]


# -- what a caller may set


def settable() -> Workflow:
    return Workflow.parse(CONTRACT)


def test_values_are_set_by_parameter_and_by_dotted_name_in_a_copy() -> None:
    workflow = settable()
    changed = workflow.with_values({"seed": 3, "prompt.text": "x", "sega.concept": 1.5, "model.new": [1]})
    assert changed.nodes["denoise"].inputs["seed"] == 3
    assert changed.nodes["prompt"].inputs["text"] == "x"
    assert changed.nodes["sega"].inputs["concept"] == 1.5
    assert changed.nodes["model"].inputs["new"] == [1]
    assert workflow.to_dict() == CONTRACT


def test_names_that_cannot_be_set_are_all_told_with_the_nearest() -> None:
    with pytest.raises(WorkflowError) as caught:
        settable().with_values({"sed": 3, "denoise.sede": 1, "denois.seed": 2, "prompt": float("inf")})
    sed, inf = caught.value.problems[0], caught.value.problems[-1]
    assert (sed.code, sed.suggestion) == ("unknown_input", "seed")
    # Whether "denoise" has an input "sede" its type says, not the document.
    assert caught.value.problems[1].suggestion == "denoise.seed"
    assert (inf.code, inf.node, inf.input) == ("bad_value", "prompt", "text")
    assert len(caught.value.problems) == 3


def test_a_parameter_of_a_missing_node_cannot_be_set() -> None:
    data = {**document(), "parameters": {"p": {"input": "gone.x"}}}
    with pytest.raises(WorkflowError) as caught:
        Workflow.parse(data).resolve_parameter("p")
    assert caught.value.problems[0].code == "unknown_link"


# -- files


def test_a_file_is_written_whole_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "w.json"
    path.write_text("old")
    settable().save(path)
    assert json.loads(path.read_text()) == CONTRACT
    assert Workflow.load(path) == settable()
    assert os.listdir(tmp_path) == ["w.json"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.json"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        settable().save(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["w.json"]


def test_a_workflow_is_read_from_the_picture_that_it_made(tmp_path: Path) -> None:
    path = tmp_path / "w.png"
    path.write_bytes(embed(PNG, {"weft_workflow": settable().to_json(compact=True)}))
    assert Workflow.load(path) == settable()


def test_files_that_hold_no_workflow_say_so(tmp_path: Path) -> None:
    (tmp_path / "plain.png").write_bytes(PNG)
    (tmp_path / "cut.png").write_bytes(PNG[:-6])
    (tmp_path / "large.json").write_bytes(b" " * (8 * 2**20 + 1))

    def problem(name: str) -> tuple[str, str, str | None]:
        with pytest.raises(WorkflowError) as caught:
            Workflow.load(tmp_path / name)
        (found,) = caught.value.problems
        return found.code, found.message, found.suggestion

    assert "without a workflow" in problem("plain.png")[1]
    assert "cut off" in problem("cut.png")[1]
    assert problem("large.json")[0] == "too_large"
    assert problem("plan.png")[2] == str(tmp_path / "plain.png")
    assert problem("zzz.png")[2] is None
    assert "directory" in problem(".")[1].lower()
    assert problem("no/such/folder.json")[0] == "bad_document"


def test_the_text_is_laid_out_one_node_a_line_where_it_fits() -> None:
    lines = settable().to_json().splitlines()
    assert '    "model": {"type": "load_model", "inputs": {"source": "shapes"}},' in lines
    assert max(map(len, lines)) <= 111
    assert settable().to_json(compact=True).count("\n") == 0


def test_literals_come_from_what_means_json() -> None:
    import enum

    import numpy as np

    class Colour(enum.Enum):
        RED = "red"

    given = (np.float32(0.5), np.int64(3), np.bool_(True), Path("a") / "b", Colour.RED, (1, 2), {"k": np.uint8(1)})
    assert repr(literal(given)) == repr([0.5, 3, True, str(Path("a/b")), "red", [1, 2], {"k": 1}])
    with pytest.raises(TypeError, match="ndarray is not JSON"):
        literal(np.zeros(3))
    with pytest.raises(TypeError, match="not deeper"):
        literal([[Link("a")]])


def test_node_specs_are_strict() -> None:
    with pytest.raises(ValueError, match="version"):
        NodeSpec.model_validate({"type": "t", "version": "1"})
