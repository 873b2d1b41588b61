"""Every option of a training does what it says: it changes what is learned, or nothing of it where it should not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from tests.nodes.training.train_case import context, dataset
from weft.nodes.train.train_lora import train_lora
from weft.nodes.values import Model
from weft.nodes.values.train_options import PACKAGES, Precision, TrainOptions
from weft.nodes.values.training import Adapter

COSINE = {"schedule": "cosine", "horizon": 6}
RESTARTS = COSINE | {"schedule": "cosine_with_restarts"}
LEARNED: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
    "accumulation": [({}, {"accumulation": 2})],
    "schedule": [
        (COSINE, {"schedule": "linear", "horizon": 6}),
        (COSINE, {"schedule": "cosine_with_restarts", "cycles": 2, "horizon": 6}),
        ({}, {"schedule": "polynomial", "power": 2.0}),
        ({}, {"schedule": "constant_with_warmup", "warmup": 3}),
    ],
    "warmup": [
        ({"schedule": "constant_with_warmup", "warmup": 2}, {"schedule": "constant_with_warmup", "warmup": 3}),
        ({"optimizer": "schedule_free_adamw"}, {"optimizer": "schedule_free_adamw", "warmup": 3}),
    ],
    "horizon": [(COSINE, {"schedule": "cosine", "horizon": 7})],
    "cycles": [(RESTARTS, RESTARTS | {"cycles": 2})],
    "power": [({"schedule": "polynomial"}, {"schedule": "polynomial", "power": 3.0})],
    "optimizer": [
        ({}, {"optimizer": name})
        for name in ("adafactor", "sgd", "muon", "prodigy", "schedule_free_adamw", "adamw_8bit")
    ],
    "beta1": [({}, {"beta1": 0.5})],
    "beta2": [({}, {"beta2": 0.9})],
    "epsilon": [({}, {"epsilon": 1e-3})],
    "weight_decay": [
        ({"optimizer": name}, {"optimizer": name, "weight_decay": 1.0})
        for name in ("adamw", "adafactor", "sgd", "muon", "prodigy", "schedule_free_adamw", "adamw_8bit")
    ],
    "clip_norm": [({"optimizer": "sgd"}, {"optimizer": "sgd", "clip_norm": 1e-3})],
    "rates": [({}, {"rates": {"unet": 0.5}})],
    "snr_gamma": [({}, {"snr_gamma": 0.1})],
    "noise_offset": [({}, {"noise_offset": 0.5})],
    "caption_dropout": [({}, {"caption_dropout": 1.0})],
    "ema": [({}, {"ema": 0.5})],
    "precision": [({}, {"precision": "bf16"}), ({}, {"precision": "fp16"})],
    "masked": [({}, {"masked": False})],
    "unmasked_weight": [({}, {"unmasked_weight": 0.5})],
    "min_timestep": [({}, {"min_timestep": 900})],
    "max_timestep": [({}, {"max_timestep": 100})],
}
"""By option, pairs of options that differ in it, or in what it needs."""
SAME: dict[str, dict[str, Any]] = {
    "checkpoint_every": {"checkpoint_every": 1},
    "keep_every": {"checkpoint_every": 1, "keep_every": 1},
    "validate_every": {"validate_every": 2},
    "validation_prompts": {"validate_every": 2},
    "validation_seed": {"validate_every": 2, "validation_seed": 5},
    "validation_steps": {"validate_every": 2, "validation_steps": 3},
    "validation_guidance": {"validate_every": 2, "validation_guidance": 1.0},
}
"""Options that say how often something is looked at or written down: nothing of what is learned depends on them."""


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Latents, captions and trainings without options, once for all tests."""
    return tmp_path_factory.mktemp("options")


def learn(model: Model, places: Path, options: dict[str, Any]) -> Adapter:
    """Three steps of a LoRA by a tenth of its own norm each: enough for every option to be seen."""
    pictures = dataset(3, masks=True, held_out=1)
    rate = 1.0 if options.get("optimizer") == "prodigy" else 1e-2
    own = TrainOptions(**options)
    ctx = context(places)
    return train_lora(model, pictures, steps=3, learning_rate=rate, rank=8, options=own, ctx=ctx).adapter


def same(one: Adapter, other: Adapter) -> bool:
    """Whether all numbers are equal to the bit."""
    assert one.tensors.keys() == other.tensors.keys()
    return all(torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())


def test_no_option_is_missing_here() -> None:
    fields = {field.name for field in dataclasses.fields(TrainOptions)}
    assert LEARNED.keys() | SAME.keys() | {"gradient_checkpointing"} == fields


def test_with_a_weight_of_one_a_mask_is_none(model: Model, places: Path) -> None:
    one, other = learn(model, places, {"unmasked_weight": 1.0}), learn(model, places, {"masked": False})
    for name, tensor in one.tensors.items():
        assert torch.allclose(tensor, other.tensors[name], rtol=1e-3, atol=1e-5), name


@pytest.mark.parametrize(
    ("option", "before", "after"),
    [(option, *pair) for option, pairs in LEARNED.items() for pair in pairs],
    ids=lambda part: part if isinstance(part, str) else ",".join(f"{k}={v}" for k, v in part.items()) or "default",
)
def test_an_option_changes_what_is_learned(
    option: str, before: dict[str, Any], after: dict[str, Any], model: Model, places: Path
) -> None:
    assert before.get(option) != after.get(option)
    for package in {PACKAGES.get(own.get("optimizer", "adamw")) for own in (before, after)} - {None}:
        pytest.importorskip(str(package))
    one, other = learn(model, places, before), learn(model, places, after)
    assert not same(one, other)
    assert all(torch.isfinite(tensor).all() for tensor in other.tensors.values())


@pytest.mark.parametrize("option", SAME)
def test_an_option_of_cadence_changes_nothing_of_it(option: str, model: Model, places: Path, tmp_path: Path) -> None:
    assert same(learn(model, places, {}), learn(model, tmp_path, SAME[option]))


def test_gradient_checkpointing_gives_the_same_numbers(
    model: Model, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import UNet2DConditionModel

    switched = []
    before = UNet2DConditionModel.enable_gradient_checkpointing

    def enable(self: Any) -> None:
        switched.append(True)
        before(self)

    monkeypatch.setattr(UNet2DConditionModel, "enable_gradient_checkpointing", enable)
    plain, checkpointed = learn(model, places, {}), learn(model, places, {"gradient_checkpointing": True})
    assert switched == [True]
    for name, tensor in plain.tensors.items():
        torch.testing.assert_close(checkpointed.tensors[name], tensor, rtol=1e-4, atol=1e-6)


def test_a_group_with_rate_0_stays_as_it_was(model: Model, places: Path) -> None:
    learned = learn(model, places, {"rates": {"unet": 0.0}, "weight_decay": 1.0})
    assert all(not tensor.any() for name, tensor in learned.tensors.items() if ".lora_B." in name)


def test_half_precision_computes_nearly_the_same_losses_and_learns_in_float32(model: Model, tmp_path: Path) -> None:
    pictures, losses = dataset(3), []
    for precision in get_args(Precision):
        own = TrainOptions(precision=precision)
        found = train_lora(model, pictures, steps=3, learning_rate=1e-4, options=own, ctx=context(tmp_path))
        assert all(tensor.dtype == torch.float32 for tensor in found.adapter.tensors.values())
        losses.append(found.curve.column("loss")[1])
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert losses[2] == pytest.approx(losses[0], rel=0.05)
    assert len({tuple(own) for own in losses}) == 3
