"""InstructPix2Pix: the numbers of diffusers' script, the widened convolution, and dropout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.nodes.training.recipes.comparing import assert_same, first_step, moved, samples_of
from tests.nodes.training.recipes.pictures_of import dataset, picture
from tests.nodes.training.recipes.reference import Reference, trained, widened
from tests.nodes.training.train_case import context
from weft.engine import Context
from weft.nodes import train_instruct_pix2pix
from weft.nodes.training.denoiser import own_copy
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.material import Material
from weft.nodes.training.recipes import instruct_pix2pix
from weft.nodes.training.recipes.instruct_pix2pix import InstructPix2PixRecipe
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Dataset

SEED = 8
RATE = 1e-4
Models = Callable[[str], Model]
Folders = Callable[[str], Path]


def recipe_of(model: Model, data: Dataset, dropout: float = 0.05, **options: Any) -> InstructPix2PixRecipe:
    material = Material(model, data, Context(), conditions=True)
    return InstructPix2PixRecipe(model, material, TrainOptions(**options), dropout)


def referenced(folder: Path, data: Dataset) -> tuple[Reference, dict[str, Any]]:
    reference = Reference(folder, data, SEED)
    widened(reference.unet)
    reference.unet.requires_grad_(True)
    return reference, {f"unet.{name}": p for name, p in reference.unet.named_parameters()}


@pytest.mark.parametrize(("name", "dropout"), [("sd1", 0.0), ("sd1", 0.2), ("sd2_v", 0.2)])
def test_loss_and_gradients_of_the_first_step_are_those_of_the_script(
    name: str, dropout: float, model: Models, folder: Folders
) -> None:
    data = dataset(5, pairs=True)
    loss, gradients = first_step(recipe_of(model(name), data, dropout), 4, SEED)
    reference, parameters = referenced(folder(name), data)
    theirs = reference.edit_loss(0, 4, dropout)
    theirs.backward()  # type: ignore[no-untyped-call]
    assert loss == pytest.approx(float(theirs.detach()), rel=1e-5)
    assert_same(gradients, {name: p.grad for name, p in parameters.items() if p.grad is not None})


def test_weights_after_some_steps_are_those_of_the_scripts_loop(model: Models, folder: Folders) -> None:
    data = dataset(3, pairs=True)
    reference, parameters = referenced(folder("sd1"), data)
    before = {name: p.detach().clone() for name, p in parameters.items()}
    losses = trained(parameters.values(), lambda step: reference.edit_loss(step, 2, 0.2), 4, RATE)
    done = train_instruct_pix2pix(model("sd1"), data, 4, RATE, 2, 0.2, seed=SEED)
    assert done.curve.column("loss")[1] == pytest.approx(losses, rel=1e-5)
    theirs = {name: p.detach() for name, p in parameters.items()}
    assert_same(moved(before, done.adapter.tensors), moved(before, theirs), 1e-3, 5e-2)


def test_the_bias_is_that_of_the_model_which_the_script_forgets(model: Models) -> None:
    """Its new convolution begins with a bias drawn at random, so the model draws worse from the start."""
    own = model("sd1")
    unet = own.parts().unet
    wide = recipe_of(own, dataset(1, pairs=True)).unet
    assert wide.conv_in.bias.equal(unet.conv_in.bias)
    assert wide.conv_in.weight[:, :4].equal(unet.conv_in.weight)
    assert not wide.conv_in.weight[:, 4:].any()
    assert wide.config.in_channels == 8
    assert unet.config.in_channels == 4
    given = torch.randn(2, 4, 8, 8), torch.tensor([3, 700]), torch.randn(2, 7, 32)
    with torch.no_grad():
        before = unet(*given).sample
        after = wide(torch.cat([given[0], torch.randn(2, 4, 8, 8)], dim=1), *given[1:]).sample
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
        wide.conv_in.bias.normal_()
        other = wide(torch.cat([given[0], torch.randn(2, 4, 8, 8)], dim=1), *given[1:]).sample
    assert float((other - before).abs().mean()) > 1e-2


def test_making_it_draws_nothing(model: Models) -> None:
    data = dataset(1, pairs=True)
    before = torch.get_rng_state()
    recipe_of(model("sd1"), data)
    assert torch.get_rng_state().equal(before)


def test_text_and_picture_are_left_away_together_and_alone(model: Models) -> None:
    """Of all samples a share of p learns without the text alone, p without both, and p without the picture alone."""
    data, p = dataset(1, pairs=True), 0.2
    recipe = recipe_of(model("sd1"), data, p)
    samples = samples_of(recipe, 0, 300, SEED)
    batch = recipe.batch([recipe.material.instances[0]] * 300, samples, "")
    captions, pictures = recipe.captions(batch), recipe.pictures(batch)
    told = torch.tensor([bool(caption) for caption in captions])
    seen = pictures.flatten(1).any(dim=1)
    shares = {
        (text, image): float(((told == text) & (seen == image)).float().mean())
        for text in (False, True)
        for image in (False, True)
    }
    for key, share in shares.items():
        assert share == pytest.approx(0.4 if key == (True, True) else p, abs=0.07)
    assert recipe.captions(batch) == captions
    assert recipe.pictures(batch).equal(pictures)
    # Not scaled, as the node for it gives them to the model.
    mean = recipe.material.condition_latents(batch.items[:1], batch.views[:1])
    assert pictures[seen][0].equal(mean[0])
    held_out = recipe.batch([recipe.material.instances[0]] * 30, samples.part(0, 30), "validation ")
    assert all(recipe.captions(held_out))
    assert bool(recipe.pictures(held_out).flatten(1).any(dim=1).all())


def test_what_comes_out_is_the_whole_denoiser_and_nothing_else_learned(model: Models) -> None:
    own = model("sd1")
    parts = own.parts()
    before = {name: {k: t.clone() for k, t in parts.component(name).state_dict().items()} for name in parts.components}
    done = train_instruct_pix2pix(own, dataset(2, pairs=True), 3, 1e-3, 2, seed=SEED).adapter
    assert (done.kind, done.settings, done.family) == ("unet_delta", {"unet_channels": 8}, "sd1")
    assert sorted(done.tensors) == sorted(f"unet.{name}" for name in before["unet"])
    assert done.tensors["unet.conv_in.weight"].shape == (16, 8, 3, 3)
    assert done.tensors["unet.conv_in.weight"][:, 4:].any()
    for name, tensors in before.items():
        assert all(t.equal(tensors[key]) for key, t in parts.component(name).state_dict().items())


CHANGES: dict[str, dict[str, Any]] = {
    "dropout": {"dropout": 0.3},
    "seed": {"seed": 9},
    "batch": {"batch": 3},
    "learning_rate": {"learning_rate": 2e-4},
    "options": {"options": TrainOptions(ema=0.5)},
}


USUAL: dict[str, Any] = {"steps": 2, "learning_rate": RATE, "batch": 2, "seed": SEED}


@pytest.mark.parametrize("setting", CHANGES)
def test_every_setting_changes_what_is_learned(setting: str, model: Models, places: Path) -> None:
    data, usual = dataset(3, pairs=True), {**USUAL, "ctx": context(places)}
    one = train_instruct_pix2pix(model("sd1"), data, **usual).adapter
    assert train_instruct_pix2pix(model("sd1"), data, **{**usual, **CHANGES[setting]}).adapter.digest != one.digest


def test_it_learns_the_same_again(model: Models) -> None:
    one, other = (train_instruct_pix2pix(model("sd1"), dataset(3, pairs=True), **USUAL).adapter for _ in range(2))
    assert one.digest == other.digest


def test_it_reads_the_picture_before_the_edit(model: Models) -> None:
    """With another one beside the same picture it learns something else."""
    data = dataset(2, pairs=True)
    other = Dataset(tuple(replace(item, condition=picture(200 + k)) for k, item in enumerate(data.items)))
    found = [train_instruct_pix2pix(model("sd1"), each, 2, RATE, 2, seed=SEED).adapter.digest for each in (data, other)]
    assert found[0] != found[1]


def test_it_learns_one_pair(model: Models) -> None:
    options = TrainOptions(min_timestep=500, max_timestep=501)
    done = train_instruct_pix2pix(model("sd1"), dataset(1, pairs=True), 45, 3e-3, 1, 0.0, seed=SEED, options=options)
    losses = done.curve.column("loss")[1]
    assert losses[0] > 0.9
    assert sum(losses[-5:]) / 5 < 0.5


def test_one_that_was_trained_for_it_learns_on(model: Models) -> None:
    unet = own_copy(model("sd1").parts().unet)
    wide = instruct_pix2pix.widened(unet, 8)
    with torch.no_grad():
        wide.conv_in.weight.fill_(0.5)
    again = instruct_pix2pix.widened(wide, 8)
    assert again.conv_in.weight.shape[1] == 8
    assert bool((again.conv_in.weight == 0.5).all())
    with pytest.raises(TrainingError, match="takes 8 channels: train InstructPix2Pix on one that takes 6"):
        instruct_pix2pix.widened(wide, 12)


def test_pictures_without_one_before_are_named(model: Models) -> None:
    data = dataset(3, pairs=True)
    lacking = Dataset((data.items[0], *(replace(item, condition=None) for item in data.items[1:])))
    with pytest.raises(TrainingError, match=r"2 of 3 pictures have no picture before the edit .* 1.png, 2.png"):
        train_instruct_pix2pix(model("sd1"), lacking, 1)
    with pytest.raises(TrainingError, match="class images, which are no pairs"):
        train_instruct_pix2pix(model("sd1"), Dataset((*data.items, *dataset(1, 1).of("class"))), 1)
    with pytest.raises(TrainingError, match=r"the dropout is 0\.4"):
        recipe_of(model("sd1"), data, 0.4)
