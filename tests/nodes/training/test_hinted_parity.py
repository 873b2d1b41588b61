"""ControlNet and T2I-Adapter: loss, gradients and weights of diffusers' example scripts, written anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.net_reference import TOLERANCE, Inputs, Reference, adapter_loss
from tests.tiny_hints import tiny_hints
from weft.engine import Context
from weft.nodes.training.denoiser import own_copy
from weft.nodes.training.draws import Draws
from weft.nodes.training.material import Material
from weft.nodes.training.order import Order
from weft.nodes.training.recipe import Samples
from weft.nodes.training.recipes.controlnet import ControlNetRecipe, ControlNetSettings
from weft.nodes.training.recipes.hinted import HintedRecipe
from weft.nodes.training.recipes.t2i_adapter import T2IAdapterRecipe, T2IAdapterSettings
from weft.nodes.training.trainer import Goal, train
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Dataset

Models = Callable[[str], Model]
BATCH, RATE, SEED = 2, 1e-3, 7
CONTROL = ControlNetSettings((4, 8, 8, 16), 3)


def recipe_of(kind: str, model: Model, dataset: Dataset, options: TrainOptions | None = None) -> HintedRecipe:
    options = options or TrainOptions()
    material = Material(model, dataset, Context())
    if kind == "controlnet":
        return ControlNetRecipe(model, material, options, CONTROL)
    return T2IAdapterRecipe(model, material, options, T2IAdapterSettings(seed=3))


def liven(net: Any) -> None:
    """Fill what is zero, so that gradients reach all layers."""
    source = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in net.parameters():
            if not parameter.any():
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=source))


def cubic(draws: Draws, numbers: Any) -> Tensor:
    """As train_t2i_adapter_sdxl.py has it, of the numbers that ours draws."""
    u = draws.uniform("timestep", numbers)
    return ((1 - u**3) * 1000).long().clamp(0, 999)


def uniform(draws: Draws, numbers: Any) -> Tensor:
    return (draws.uniform("timestep", numbers) * 1000).long()


def step_of(kind: str, reference: Reference, dataset: Dataset, samples: Samples) -> Inputs:
    """What a script would make of the samples."""
    items = [dataset.items[place] for place in samples.items]
    times = (uniform if kind == "controlnet" else cubic)(samples.draws, samples.numbers)
    return reference.inputs(items, [item.caption for item in items], samples.numbers, times, samples.draws)


def script_loss(kind: str, reference: Reference, net: Any, step: Inputs) -> Tensor:
    if kind == "controlnet":
        return reference.plain_loss(reference.controlnet(net)(step), step)
    prediction = reference.t2i_adapter(net)(step)
    if reference.model.prediction == "epsilon":
        return adapter_loss(prediction, step)
    return reference.plain_loss(prediction, step)


@pytest.mark.parametrize("kind", ["controlnet", "t2i_adapter"])
@pytest.mark.parametrize("name", ["sd1", "sd2", "sdxl"])
def test_first_loss_and_gradients(kind: str, name: str, models: Models) -> None:
    side = 64 if name == "sdxl" else 32
    model, dataset = models(name), tiny_hints(side=side)
    recipe = recipe_of(kind, model, dataset)
    liven(recipe.net)
    samples = Samples(0, (0, 1, 2), (2, 0, 1), Draws(SEED))
    loss = recipe.losses(samples).mean()
    loss.backward()
    reference, net = Reference(model), own_copy(recipe.net)
    net.zero_grad()
    theirs = script_loss(kind, reference, net, step_of(kind, reference, dataset, samples))
    theirs.backward()
    torch.testing.assert_close(loss, theirs, rtol=1e-5, atol=0)
    gradients = []
    for (own, ours), (_, parameter) in zip(recipe.net.named_parameters(), net.named_parameters(), strict=True):
        assert ours.grad is not None, own
        assert parameter.grad is not None, own
        assert bool(ours.grad.any()), own
        # A single layer's may be nearly nothing, of which rounding is a larger part.
        assert (ours.grad - parameter.grad).norm() / parameter.grad.norm() < 10 * TOLERANCE[name], own
        gradients.append((ours.grad.flatten(), parameter.grad.flatten()))
    mine, scripts = (torch.cat(parts) for parts in zip(*gradients, strict=True))
    assert (mine - scripts).norm() / scripts.norm() < TOLERANCE[name]
    assert all(parameter.grad is None for parameter in recipe.unet.parameters())


@pytest.mark.parametrize("kind", ["controlnet", "t2i_adapter"])
def test_weights_after_some_steps(kind: str, models: Models) -> None:
    steps = 4
    model, dataset = models("sd1"), tiny_hints()
    recipe = recipe_of(kind, model, dataset)
    reference, net = Reference(model), own_copy(recipe.net)
    before = {f"net.{name}": parameter.detach().clone() for name, parameter in net.named_parameters()}
    result = train(recipe, Goal(steps, RATE, BATCH, SEED), TrainOptions(), Context())
    draws = Draws(SEED)
    order = Order(draws, [0] * len(dataset.items), BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, betas=(0.9, 0.999), weight_decay=1e-2, eps=1e-8)
    losses = []
    for step in range(steps):
        numbers = tuple(range(step * BATCH, (step + 1) * BATCH))
        samples = Samples(step, numbers, tuple(order.items(step)), draws)
        loss = script_loss(kind, reference, net, step_of(kind, reference, dataset, samples))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss))
    torch.testing.assert_close(result.curve.column("loss")[1], losses, rtol=1e-5, atol=0)
    for name, parameter in net.named_parameters():
        ours, theirs = (item - before[f"net.{name}"] for item in (result.adapter.tensors[f"net.{name}"], parameter))
        assert bool(theirs.any()), name
        assert (ours - theirs).norm() / theirs.norm() < 1e-3, name


def test_for_v_the_script_of_t2i_adapters_is_wrong_and_ours_is_right(models: Models) -> None:
    """It holds denoised latents, which it computes as of epsilon, against the velocity: a perfect prediction is not
    its least loss. Ours is zero there.
    """
    model, dataset = models("sd2"), tiny_hints()
    recipe = recipe_of("t2i_adapter", model, dataset)
    reference = Reference(model)
    step = step_of("t2i_adapter", reference, dataset, Samples(0, (0, 1), (0, 1), Draws(SEED)))
    assert adapter_loss(step.velocity, step, velocity=True) > 0.1
    assert torch.equal(recipe.objective.target(step.clean, step.noise, step.times), step.velocity)
    recipe.predict = lambda *_: step.velocity  # type: ignore[method-assign]
    assert recipe.losses(Samples(0, (0, 1), (0, 1), Draws(SEED))).max() < 1e-10


def test_a_new_controlnet_changes_nothing(models: Models) -> None:
    model, dataset = models("sd1"), tiny_hints()
    recipe = recipe_of("controlnet", model, dataset)
    batch = recipe.batch(list(dataset.items), Samples(0, (0, 1, 2), (0, 1, 2), Draws(SEED)), "")
    with torch.no_grad():
        condition = recipe.condition(batch)
        plain = recipe.parts.unet(batch.clean, batch.times, condition.text).sample
        assert torch.equal(recipe.predict(batch.clean, batch.times, condition, [batch]), plain)


def test_cubic_timesteps_are_high(models: Models) -> None:
    model, dataset = models("sd1"), tiny_hints()
    samples = Samples(0, tuple(range(2000)), (0,) * 2000, Draws(1))
    found = recipe_of("t2i_adapter", model, dataset).times(samples, "").double()
    assert 735 < found.mean() < 765  # 750 of 1000
    assert found.max() <= 999
    part = recipe_of("t2i_adapter", model, dataset, TrainOptions(min_timestep=200, max_timestep=600))
    window = part.times(samples, "")
    assert window.min() >= 200
    assert window.max() == 599
