"""Inputs that trainings share: what a check says of them is the same in every node that has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from weft.engine import Problem, check
from weft.engine.catalogue import installed

BESIDE: dict[str, Any] = {
    "model": {"type": "load_model", "inputs": {"source": "shapes"}},
    "dataset": {"type": "shapes_dataset"},
    "reward": {"type": "reward_random"},
}


def problems(type: str, **inputs: Any) -> list[Problem]:
    """What is said of a node's inputs; those that `BESIDE` has a node for are linked to it."""
    declared = installed().get(type)
    assert declared is not None
    linked = {name: {"link": name} for name in BESIDE if name in declared.inputs}
    document = {"weft": 1, "nodes": {**BESIDE, "one": {"type": type, "inputs": {**linked, **inputs}}}}
    return check(document, targets=["one"])


@pytest.mark.parametrize("type", ["train_ddpo", "train_reward_backprop"])
def test_a_training_by_rewards_needs_a_prompt(type: str) -> None:
    assert problems(type, prompts=["a red circle"]) == []
    (problem,) = problems(type, prompts=[])
    assert (problem.code, problem.node, problem.input, problem.given) == ("bad_value", "one", "prompts", [])
    assert problem.message == "there is no prompt to make pictures for: give one or more"


@pytest.mark.parametrize("type", ["train_textual_inversion", "train_custom_diffusion"])
def test_words_that_cannot_be_learned_are_told_all_at_once(type: str) -> None:
    assert problems(type, tokens=["<one>", "<two>"], init=["red", ""], sentences=["a {} here"]) == []
    wrong = problems(type, tokens=["a b", "<one>", "<one>"], init=["red"], sentences=["no place"])
    assert [problem.input for problem in wrong] == ["tokens", "tokens", "init", "sentences"]


@pytest.fixture
def predictor(tmp_path: Path) -> dict[str, str]:
    """What reward_aesthetic needs beside a CLIP."""
    path = tmp_path / "predictor.safetensors"
    path.write_bytes(b"read when the node runs")
    return {"predictor": str(path)}


@pytest.mark.parametrize("type", ["reward_alignment", "reward_aesthetic"])
def test_a_clip_that_is_not_there_is_told_with_the_one_that_is(type: str, predictor: dict[str, str]) -> None:
    more = predictor if type == "reward_aesthetic" else {}
    assert problems(type, clip="shapes-clip", **more) == []
    (problem,) = problems(type, clip="shapes-clop", **more)
    assert (problem.input, problem.given) == ("clip", "shapes-clop")
    assert problem.expected == "shapes-clip, or the folder of a CLIP"
    assert "Did you mean 'shapes-clip'?" in problem.message


def test_only_the_reward_that_compares_texts_asks_for_a_text_encoder(predictor: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "clip_vision_model"}', "utf-8")
    assert problems("reward_aesthetic", clip=str(tmp_path), **predictor) == []
    (problem,) = problems("reward_alignment", clip=str(tmp_path))
    assert problem.input == "clip"
    assert "has no text encoder" in problem.message
