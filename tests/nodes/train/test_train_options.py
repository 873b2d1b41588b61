"""The node `train_options`: what it gives, and what it says of options that do not go together."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest

from weft import nodes
from weft.engine import check
from weft.nodes.train import train_options as module
from weft.nodes.values.train_options import TrainOptions


def problems(trainer: dict[str, Any] | None = None, **inputs: Any) -> list[tuple[str, str | None, str]]:
    """What a check says of the options, wired to a training of some inputs: node, input and message."""
    graph: dict[str, Any] = {"options": {"type": "train_options", "inputs": inputs}}
    graph["lora"] = {
        "type": "train_lora",
        "inputs": {"learning_rate": 1.0, **(trainer or {}), "options": {"link": "options"}},
    }
    found = check({"weft": 1, "nodes": graph}, targets=["lora"])
    return [(p.node or "", p.input, p.message) for p in found if p.node == "options" or p.input == "learning_rate"]


def test_it_has_every_field_with_its_default() -> None:
    given = nodes.train_options()
    assert {f.name: getattr(given, f.name) for f in dataclasses.fields(given)} == {
        f.name: getattr(TrainOptions(), f.name) for f in dataclasses.fields(TrainOptions)
    }
    assert set(inspect.signature(nodes.train_options).parameters) == {f.name for f in dataclasses.fields(given)}


def test_values_arrive() -> None:
    given = nodes.train_options(schedule="cosine", rates={"unet": 0.5}, validation_prompts=["a cat"], validate_every=3)
    assert (given.schedule, given.rates, given.validation_prompts) == ("cosine", {"unet": 0.5}, ("a cat",))


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "timesteps": ({"min_timestep": 500, "max_timestep": 400}, "min_timestep", "below max_timestep"),
    "warm-up of constant": ({"warmup": 10}, "warmup", "constant_with_warmup"),
    "horizon of constant": ({"horizon": 10}, "horizon", "does not depend"),
    "horizon within the warm-up": ({"schedule": "cosine", "warmup": 9, "horizon": 9}, "horizon", "within the warm-up"),
    "schedule-free with a schedule": (
        {"optimizer": "schedule_free_adamw", "schedule": "cosine"},
        "schedule",
        "takes the place",
    ),
    "schedule-free with an average": ({"optimizer": "schedule_free_adamw", "ema": 0.9}, "ema", "by itself"),
    "schedule-free without momentum": ({"optimizer": "schedule_free_adamw", "beta1": 0.0}, "beta1", "above 0"),
    "a negative rate": ({"rates": {"unet": -1.0}}, "rates", "'unet'"),
    "rates of prodigy": ({"optimizer": "prodigy", "rates": {"unet": 0.5}}, "rates", "one learning rate"),
    "prompts never drawn": ({"validation_prompts": ["a cat"]}, "validation_prompts", "validate_every"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_go_together_is_said_before_the_run_and_in_it(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    inputs, field, words = WRONG[case]
    (found,) = problems(**inputs)
    assert found[:2] == ("options", field)
    assert words in found[2]
    with pytest.raises(ValueError, match="train_options") as error:
        nodes.train_options(**inputs)
    assert words in str(error.value)


def test_all_faults_are_told_at_once() -> None:
    found = problems(warmup=10, horizon=10, min_timestep=9, max_timestep=9)
    assert [field for _, field, _ in found] == ["warmup", "horizon", "horizon", "min_timestep"]


@pytest.mark.parametrize("optimizer", ["adamw_8bit", "prodigy", "schedule_free_adamw"])
def test_a_package_that_is_missing_is_named(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    (found,) = problems(optimizer=optimizer)
    assert found[1] == "optimizer"
    assert "pip install" in found[2]
    assert "adamw" in found[2]


def test_a_warm_up_that_does_not_end_and_the_rate_of_prodigy_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    (found,) = problems({"steps": 10}, schedule="linear", warmup=10)
    assert found[1] == "warmup"
    assert "10 steps of lora" in found[2]
    (found,) = problems({"learning_rate": 1e-4}, optimizer="prodigy")
    assert found[:2] == ("lora", "learning_rate")
    assert "1 is usual" in found[2]
    assert problems({"learning_rate": 1.0}, optimizer="prodigy") == []
