"""Documents from before every loader took `source`: they are the same nodes, with the same keys."""

from __future__ import annotations

from typing import Any

import pytest

from weft import Graph
from weft.engine import Cache, Catalogue, check, run
from weft.nodes import apply_lora, load_custom_diffusion, load_textual_inversion, merge_loras

CATALOGUE = Catalogue.load()
OLD = {
    "apply_lora": {"path": "shapes-heart", "strength": 0.5},
    "merge_loras": {"first": "shapes-heart", "second": "shapes-frame", "second_weight": 1.05, "strict": False},
    "load_textual_inversion": {"paths": ["shapes-dome"], "tokens": ["<d>"]},
    "load_custom_diffusion": {"path": "shapes-house", "embeddings": ["shapes-house-word"]},
}
NEW: dict[str, dict[str, Any]] = {
    "apply_lora": {"source": "shapes-heart", "strength": 0.5},
    "merge_loras": {"sources": ["shapes-heart", "shapes-frame"], "weights": [0.5, 1.05], "strict": False},
    "load_textual_inversion": {"sources": ["shapes-dome"], "tokens": ["<d>"]},
    "load_custom_diffusion": {"source": "shapes-house", "embeddings": ["shapes-house-word"]},
}


def document(kind: str, version: int | None, inputs: dict[str, Any], **more: Any) -> dict[str, Any]:
    changed: dict[str, Any] = {"type": kind, "inputs": {"model": {"link": "model"}, **inputs}}
    if version is not None:
        changed["version"] = version
    return {
        "weft": 1,
        "nodes": {"model": {"type": "load_model", "inputs": {"source": "shapes"}}, "it": changed, **more},
    }


@pytest.mark.parametrize("name", OLD)
def test_an_old_document_is_checked_and_is_the_same_node(name: str) -> None:
    old, new = document(name, 1, OLD[name]), document(name, None, NEW[name])
    assert check(old, CATALOGUE, targets=["it"]) == []
    cache = Cache()
    first = run(old, ["it"], catalogue=CATALOGUE, cache=cache)
    again = run(new, ["it"], catalogue=CATALOGUE, cache=cache)
    assert (first.ran, again.ran) == (2, 0), "brought up to date, it has the key of the new one"
    assert [patch.key for patch in first["it"].patches] == [patch.key for patch in again["it"].patches]


@pytest.mark.parametrize("name", OLD)
def test_without_its_version_the_check_says_which_it_is(name: str) -> None:
    problems = check(document(name, None, OLD[name]), CATALOGUE, targets=["it"])
    unknown = [problem for problem in problems if problem.code == "unknown_input"]
    assert unknown
    assert all('"version": 1' in problem.message for problem in unknown)


def test_linked_names_and_weights_stay_linked() -> None:
    """What was one input is now an item of a list."""
    name = {"type": "text", "inputs": {"value": "shapes-heart"}}
    weight = {"type": "number", "inputs": {"value": 0.25}}
    inputs = {"first": {"link": "name"}, "second": "shapes-frame", "first_weight": {"link": "weight"}}
    old = document("merge_loras", 1, inputs, name=name, weight=weight)
    assert check(old, CATALOGUE, targets=["it"]) == []
    (patch,) = run(old, ["it"], catalogue=CATALOGUE, cache=Cache())["it"].patches
    assert patch.weights == (0.25, 0.5)
    assert patch.sources == ("shapes-heart", "shapes-frame")


@pytest.mark.parametrize(
    ("call", "old", "new"),
    [
        (apply_lora, "path", "source"),
        (load_custom_diffusion, "path", "source"),
        (load_textual_inversion, "paths", "sources"),
        (merge_loras, "first", "sources"),
    ],
)
def test_python_names_what_there_is(call: Any, old: str, new: str) -> None:
    with Graph(), pytest.raises(TypeError, match=rf"has no input '{old}'; .*{new}"):
        call(model=None, **{old: "x"})


def test_weights_that_do_not_fit_are_named_before_a_run() -> None:
    for inputs, input in (({"sources": []}, "sources"), ({"sources": ["shapes-heart"], "weights": [1, 2]}, "weights")):
        (problem,) = check(document("merge_loras", None, inputs), CATALOGUE, targets=["it"])
        assert (problem.code, problem.input) == ("bad_value", input)
    (problem,) = check(
        document("merge_loras", None, {"sources": ["shapes-heart"], "weights": [11.0]}), CATALOGUE, targets=["it"]
    )
    assert problem.code == "out_of_range"
