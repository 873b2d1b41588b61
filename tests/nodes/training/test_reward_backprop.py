"""Gradients of rewards through the sampler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.tiny_rewards import Energy, backprop, lasting, liven, stopping, tiny_model
from weft.engine import Cancelled, Context
from weft.nodes import reward_compressibility, reward_random, reward_sum
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.recipe import Samples
from weft.nodes.training.trainer import Goal, train
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny_model(tmp_path_factory.mktemp("model"))


SAMPLES = Samples(0, (0, 1), (2, 0), Draws(7))


def gradients(recipe: Any, loss: torch.Tensor) -> list[torch.Tensor]:
    return list(torch.autograd.grad(loss, list(recipe.groups()["unet"].values())))


@pytest.mark.parametrize("last", [1, 2])
def test_the_gradient_is_that_through_the_last_steps(model: Model, last: int) -> None:
    """DRaFT-K against a loop with diffusers' own scheduler, decoder and autograd."""
    from diffusers import DDIMScheduler

    recipe = backprop(model, last=last)
    liven(recipe)
    ours = recipe.losses(SAMPLES).mean()
    scheduler: Any = DDIMScheduler.from_config(model.scheduler, clip_sample=False)
    scheduler.set_timesteps(4)
    latents = recipe.first_latents(SAMPLES.numbers)
    texts = [recipe.texts.entries[text][0] for text in ("", "", recipe.prompts[2], recipe.prompts[0])]
    for place, time in enumerate(scheduler.timesteps):
        with torch.set_grad_enabled(place >= 4 - last):
            both = recipe.unet(torch.cat([latents, latents]), time, encoder_hidden_states=torch.stack(texts)).sample
            none, told = both.chunk(2)
            latents = scheduler.step(none + 3.0 * (told - none), time, latents).prev_sample
    vae = recipe.parts.vae
    images = (vae.decode(latents / vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1)
    theirs = images.square().mean(dim=(1, 2, 3)).mean()
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    for own, wanted in zip(gradients(recipe, ours), gradients(recipe, theirs), strict=True):
        torch.testing.assert_close(own, wanted, rtol=1e-4, atol=1e-7)


def test_refl_decodes_the_guess_of_one_step(model: Model) -> None:
    recipe = backprop(model, through="one", last=3)
    liven(recipe)
    begin, end = recipe.window(SAMPLES)
    assert end == begin + 1
    assert 1 <= begin <= 3
    condition = recipe.condition([recipe.prompts[2], recipe.prompts[0]])
    with torch.no_grad():
        sample = recipe.first_latents(SAMPLES.numbers)
        for place in range(begin):
            places = torch.full((2,), place)
            sample = recipe.ddim.step(sample, recipe.predict(sample, places, condition), places, None)[0]
        places = torch.full((2,), begin)
        guess = recipe.ddim.clean(sample, recipe.predict(sample, places, condition), places)
        torch.testing.assert_close(recipe.latents(SAMPLES), guess)


def test_a_random_truncation_is_drawn_anew_for_each_step(model: Model) -> None:
    recipe = backprop(model, through="random", last=4)
    windows = [recipe.window(Samples(step, (0,), (0,), Draws(7))) for step in range(40)]
    assert {first for first, _ in windows} == {0, 1, 2, 3}
    assert {end for _, end in windows} == {4}


def test_checkpointing_changes_no_gradient(model: Model) -> None:
    plain, again = backprop(model, last=2), backprop(model, last=2, options=TrainOptions(gradient_checkpointing=True))
    found = []
    for recipe in (plain, again):
        liven(recipe)
        found.append(gradients(recipe, recipe.losses(SAMPLES).mean()))
    for own, other in zip(*found, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-8)


def test_a_margin_leaves_out_what_has_it(model: Model) -> None:
    recipe = backprop(model, Energy(1.0), margin=1e-6)
    liven(recipe)
    assert float(recipe.losses(SAMPLES).sum()) == 0.0
    lacking = backprop(model, Energy(1.0), margin=10.0, scale=0.5)
    liven(lacking)
    plain = backprop(model, Energy(1.0))
    liven(plain)
    torch.testing.assert_close(lacking.losses(SAMPLES), 0.5 * (10.0 + plain.losses(SAMPLES)))


def test_it_goes_on_where_it_was(model: Model, tmp_path: Path) -> None:
    def run(ctx: Context, steps: int) -> Any:
        return train(backprop(model, ctx=ctx), Goal(steps, 3e-3, 2, 7), TrainOptions(), ctx)

    straight = run(lasting(tmp_path / "straight"), 5)
    run(lasting(tmp_path / "parts"), 2)
    assert run(lasting(tmp_path / "parts"), 5).adapter.digest == straight.adapter.digest
    # In the middle of making the third step's pictures: each asks the trainer once, and once for each of 4 steps.
    with pytest.raises(Cancelled):
        run(stopping(tmp_path / "stopped", 13), 5)
    assert run(lasting(tmp_path / "stopped"), 5).adapter.digest == straight.adapter.digest
    assert {"reward", "reward_std"} <= set(straight.curve.columns)


def test_a_step_along_the_gradient_raises_the_reward(model: Model) -> None:
    recipe = backprop(model)
    liven(recipe)
    before = recipe.losses(SAMPLES).mean()
    found = gradients(recipe, before)
    size = sum(float(part.square().sum()) for part in found) ** 0.5
    with torch.no_grad():
        for parameter, part in zip(recipe.groups()["unet"].values(), found, strict=True):
            parameter.sub_(part, alpha=0.01 / size)
        assert float(recipe.losses(SAMPLES).mean()) < float(before)


@pytest.mark.parametrize(
    "change",
    [
        {"through": "one", "last": 3},
        {"last": 2},
        {"margin": 5.0, "scale": 0.1},
        {"steps": 5},
        {"guidance": 1.0},
        {"eta": 1.0},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_setting_changes_the_result(model: Model, places: Path, change: dict[str, Any]) -> None:
    def learned(**changes: Any) -> str:
        goal = Goal(2, 1e-2, 2, 7)
        return train(backprop(model, **changes), goal, TrainOptions(), lasting(places)).adapter.digest

    assert learned() != learned(**change)


def test_a_reward_without_gradients_is_refused() -> None:
    assert not reward_sum([Energy(), reward_random()]).gives_gradients
    assert reward_sum([Energy(), reward_random()], [1.0, 0.0]).gives_gradients


def test_what_cannot_be_is_said_before_the_training(model: Model) -> None:
    with pytest.raises(TrainingError, match=r"JpegReward has no gradients.*train_ddpo takes any reward"):
        backprop(model, reward_compressibility())
    with pytest.raises(TrainingError, match="`last` is 5 and pictures are made in 4 steps"):
        backprop(model, last=5)
