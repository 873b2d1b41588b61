"""DDPO: probabilities, ratios, advantages, updates, and going on where it was."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.tiny_rewards import PROMPTS, ddpo, lasting, liven, stopping, tiny_model
from weft.engine import Cancelled, Context
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.recipe import Samples
from weft.nodes.training.rollouts import PromptStatistics
from weft.nodes.training.trainer import Goal, train
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny_model(tmp_path_factory.mktemp("model"))


def samples(numbers: tuple[int, ...], items: tuple[int, ...]) -> Samples:
    return Samples(0, numbers, items, Draws(7))


@pytest.mark.parametrize("rows", [2, 3])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_the_ratio_is_exactly_one_at_the_first_update(tmp_path: Path, prediction: str, rows: int) -> None:
    recipe = ddpo(tiny_model(tmp_path, prediction), rows=rows)
    liven(recipe)
    recipe.prepare(0)
    seen: list[torch.Tensor] = []
    recipe._count = lambda ratio, difference: seen.append(ratio)  # type: ignore[method-assign]
    recipe.losses(samples((0, 1, 2), (4, 0, 3)))
    assert float((torch.cat(seen) - 1).abs().max()) == 0.0
    assert len(torch.cat(seen)) == 3 * len(recipe.drawing)


def test_after_a_step_the_ratio_is_another(model: Model) -> None:
    recipe = ddpo(model)
    liven(recipe)
    recipe.prepare(0)
    with torch.no_grad():
        for parameter in recipe.groups()["unet"].values():
            parameter.add_(0.01)
    recipe.losses(samples((0, 1, 2), (4, 0, 3)))
    numbers = recipe.numbers()
    assert numbers["approx_kl"] > 0
    assert 0 < numbers["clip_fraction"] <= 1


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_steps_and_probabilities_are_those_of_the_reference(tmp_path: Path, prediction: str, eta: float) -> None:
    """As ddpo-pytorch computes them, on diffusers' scheduler."""
    from diffusers import DDIMScheduler

    recipe = ddpo(tiny_model(tmp_path, prediction), eta=eta, steps=10)
    scheduler: Any = DDIMScheduler.from_config(recipe.model.scheduler, prediction_type=prediction, clip_sample=False)
    scheduler.set_timesteps(10)
    assert recipe.ddim.times.tolist() == scheduler.timesteps.tolist()
    generator = torch.Generator().manual_seed(0)
    noisy, guess, noise = (torch.randn(2, 4, 4, 4, generator=generator) for _ in range(3))
    for place, timestep in enumerate(scheduler.timesteps):
        places = torch.full((2,), place)
        ours, mean = recipe.ddim.step(noisy, guess, places, noise)
        theirs = scheduler.step(guess, timestep, noisy, eta=eta, variance_noise=noise).prev_sample
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
        centre = scheduler.step(guess, timestep, noisy, eta=eta, variance_noise=torch.zeros_like(noise)).prev_sample
        torch.testing.assert_close(mean, centre, rtol=1e-5, atol=1e-5)
        before = timestep - 1000 // 10
        deviation = eta * scheduler._get_variance(timestep, before) ** 0.5
        torch.testing.assert_close(recipe.ddim.deviations[place], deviation, rtol=1e-5, atol=1e-7)
        wanted = (
            -((theirs - centre) ** 2) / (2 * deviation**2) - torch.log(deviation) - math.log(math.sqrt(2 * math.pi))
        )
        found = recipe.ddim.log_probability(ours, mean, places)
        torch.testing.assert_close(found, wanted.mean(dim=(1, 2, 3)), rtol=1e-5, atol=1e-5)


def test_a_last_step_that_draws_nothing_has_no_part(model: Model) -> None:
    import dataclasses

    clean = dataclasses.replace(
        model,
        scheduler={**model.scheduler, "_class_name": "DDIMScheduler", "set_alpha_to_one": True, "steps_offset": 0},
    )
    recipe = ddpo(clean)
    assert recipe.drawing == [0, 1, 2]
    recipe.prepare(0)
    assert torch.isfinite(recipe.losses(samples((0, 1, 2), (0, 1, 2)))).all()


def test_advantages_are_those_of_the_reference() -> None:
    """The tracker of ddpo-pytorch, written down again."""
    from collections import deque

    rng = np.random.default_rng(0)
    ours, kept = PromptStatistics(4, 3), {}
    for _ in range(5):
        prompts = rng.choice(["a", "b", "c"], 5)
        rewards = rng.normal(size=5)
        wanted = np.empty(5)
        for prompt in np.unique(prompts):
            own = rewards[prompts == prompt]
            kept.setdefault(prompt, deque(maxlen=4)).extend(own)
            few = len(kept[prompt]) < 3
            mean, std = (rewards.mean(), rewards.std()) if few else (np.mean(kept[prompt]), np.std(kept[prompt]))
            wanted[prompts == prompt] = (own - mean) / (std + 1e-6)
        found = ours.advantages([str(prompt) for prompt in prompts], torch.from_numpy(rewards))
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-12)
    assert ours.copy().state() == ours.state()


def test_the_update_is_that_of_the_reference(model: Model) -> None:
    """Loss and gradients of one update against a plain loop over timesteps, as ddpo-pytorch has it."""
    recipe = ddpo(model, clip_advantage=0.7)
    liven(recipe)
    recipe.prepare(0)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in recipe.groups()["unet"].values():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 1e-3)
    items = (4, 0, 3)
    loss = recipe.losses(samples((0, 1, 2), items)).mean()
    parameters = list(recipe.groups()["unet"].values())
    ours = torch.autograd.grad(loss, parameters)

    rollout = recipe.rollout
    assert rollout is not None
    total = torch.zeros(())
    empty = recipe.texts.entries[""][0]
    for item in items:
        text = torch.stack([empty, recipe.texts.entries[rollout.prompts[item]][0]])
        advantage = rollout.advantages[item].clamp(-0.7, 0.7).float()
        for place, time in enumerate(recipe.ddim.times.tolist()):
            x, y = rollout.latents[item, place], rollout.latents[item, place + 1]
            none, told = recipe.unet(torch.stack([x, x]), time, encoder_hidden_states=text).sample
            guess = none + 3.0 * (told - none)
            a, b = recipe.ddim._alphas[place], recipe.ddim._before[place]
            std = ((1 - b) / (1 - a) * (1 - a / b)) ** 0.5
            x0 = (x - (1 - a) ** 0.5 * guess) / a**0.5
            mean = b**0.5 * x0 + (1 - b - std**2) ** 0.5 * guess
            log = (-((y - mean) ** 2) / (2 * std**2) - std.log() - math.log(math.sqrt(2 * math.pi))).mean()
            ratio = (log - rollout.log_probabilities[item, place]).exp()
            clipped = ratio.clamp(1 - 1e-4, 1 + 1e-4)
            total = total + torch.maximum(-advantage * ratio, -advantage * clipped) / (3 * len(recipe.ddim))
    torch.testing.assert_close(loss, total, rtol=1e-5, atol=1e-6)
    theirs = torch.autograd.grad(total, parameters)
    # Terms of both signs nearly cancel in some of the numbers, so these are compared by the size of the whole.
    flat, wanted = (torch.cat([part.flatten() for part in parts]) for parts in (ours, theirs))
    assert float((flat - wanted).norm()) < 1e-3 * float(wanted.norm())


class Reports:
    def __init__(self) -> None:
        self.found: list[tuple[str, Any]] = []

    def report(self, node: str, kind: str, data: Any, body: bytes = b"") -> None:
        self.found.append((kind, data))


def test_the_curve_and_the_reports_tell_of_rewards(model: Model, tmp_path: Path) -> None:
    reports = Reports()
    ctx = lasting(tmp_path, listener=reports)
    result = train(ddpo(model, ctx=ctx), Goal(4, 1e-3, 3, 7), TrainOptions(), ctx)
    assert {"reward", "reward_std", "clip_fraction", "approx_kl", "loss"} <= set(result.curve.columns)
    assert result.curve.column("approx_kl")[1][0] == 0.0
    assert result.curve.column("approx_kl")[1][1] > 0.0
    told = [data["data"] for kind, data in reports.found if kind == "train.reward"]
    assert [(data["step"], data["epoch"]) for data in told] == [(0, 0), (2, 1)]
    assert result.curve.column("reward")[1][0] == told[0]["reward"]
    assert result.adapter.kind == "lora"


@pytest.mark.parametrize("stop", [14, 22])
def test_a_training_that_was_cancelled_ends_as_one_that_was_not(model: Model, tmp_path: Path, stop: int) -> None:
    options = TrainOptions(ema=0.9, checkpoint_every=1)

    def run(ctx: Context) -> Any:
        recipe = ddpo(model, ctx=ctx, pictures=6, batch=2, rows=2, options=options, least=1)
        return train(recipe, Goal(7, 1e-2, 1, 7), TrainOptions(ema=0.9, checkpoint_every=1, accumulation=2), ctx)

    straight = run(lasting(tmp_path / "straight"))
    with pytest.raises(Cancelled):
        run(stopping(tmp_path / "stopped", stop * 4))
    again = run(lasting(tmp_path / "stopped"))
    assert straight.adapter.digest == again.adapter.digest
    for name in straight.curve.columns:
        assert straight.curve.column(name) == again.curve.column(name)


CHANGES: list[dict[str, Any]] = [
    {"pictures": 9},
    {"steps": 5},
    {"guidance": 1.0},
    {"eta": 0.5},
    {"clip": 0.5},
    {"clip_advantage": 0.1},
    {"buffer": 0},
    {"least": 3},
    {"timesteps": 0.5},
    {"passes": 2},
    {"rank": 3},
    {"seed": 8},
    {"prompts": PROMPTS[:2]},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_each_setting_changes_the_result(model: Model, places: Path, change: dict[str, Any]) -> None:
    def learned(**changes: Any) -> str:
        ctx = lasting(places)
        recipe = ddpo(model, ctx=ctx, **({"buffer": 3, "least": 2} | changes))
        return train(recipe, Goal(5, 1e-2, 3, changes.get("seed", 7)), TrainOptions(), ctx).adapter.digest

    assert learned() != learned(**change)


def test_options_for_data_sets_are_refused(model: Model) -> None:
    with pytest.raises(TrainingError, match="snr_gamma, noise_offset are for trainings on a data set"):
        ddpo(model, options=TrainOptions(snr_gamma=5.0, noise_offset=0.1))


def test_memory_holds_one_forward(model: Model) -> None:
    """Gradients are computed forward by forward: no graph of the denoiser is left when the losses come back."""
    recipe = ddpo(model)
    liven(recipe)
    recipe.prepare(0)
    loss = recipe.losses(samples((0, 1, 2), (4, 0, 3)))
    nodes, open_ = set(), [loss.grad_fn]
    while open_:
        one = open_.pop()
        if one is not None and one not in nodes:
            nodes.add(one)
            open_ += [other for other, _ in one.next_functions]
    assert not any("Convolution" in type(one).__name__ for one in nodes)


def test_a_checkpoint_of_other_prompts_brings_weights_and_no_epoch(model: Model, tmp_path: Path) -> None:
    ctx = lasting(tmp_path)
    before = train(ddpo(model, ctx=ctx), Goal(3, 1e-2, 3, 7), TrainOptions(), ctx)
    recipe = ddpo(model, ctx=ctx, prompts=PROMPTS[:2])
    train(recipe, Goal(4, 1e-2, 3, 7, before.checkpoint), TrainOptions(), ctx)
    assert recipe.rollout is not None
    assert set(recipe.rollout.prompts) == set(PROMPTS[:2])
    # It was made with the weights of the third step, so the ratio is 1 at its first update.
    assert recipe.numbers()["approx_kl"] == 0.0
