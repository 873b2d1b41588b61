"""Diffusion-DPO against the reference, and what it refuses."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.tiny_rewards import lasting, liven, stopping, tiny_model
from weft.engine import Cancelled, Context
from weft.nodes.images.encoding import encode
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.lora_settings import LoraSettings
from weft.nodes.training.material import Material
from weft.nodes.training.pictures import digest_of
from weft.nodes.training.recipe import Samples
from weft.nodes.training.recipes.dpo import DpoRecipe, DpoSettings, without_adapter
from weft.nodes.training.trainer import Goal, train
from weft.nodes.values import Image, Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Dataset, Item, Picture


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return tiny_model(tmp_path_factory.mktemp("model"))


def picture(number: int) -> Picture:
    pixels = torch.from_numpy(np.random.default_rng(number).random((1, 32, 32, 3), np.float32))
    data = encode(Image(pixels).pil(0), "png")
    return Picture(f"picture {number}", digest_of(data), data=data)


def pairs(count: int = 3, **more: Any) -> Dataset:
    captions = ("a red circle", "a blue square", "a cat")
    return Dataset(
        tuple(Item(picture(2 * k), caption=captions[k], condition=picture(2 * k + 1), **more) for k in range(count))
    )


def recipe_of(model: Model, dataset: Dataset, options: TrainOptions | None = None, **own: Any) -> DpoRecipe:
    material = Material(model, dataset, Context(), conditions=True)
    return DpoRecipe(model, material, options or TrainOptions(), LoraSettings("lora", 2, seed=7), DpoSettings(**own))


@pytest.mark.parametrize("loss", ["sigmoid", "hinge", "ipo"])
def test_loss_and_gradients_are_those_of_the_reference(model: Model, loss: Any) -> None:
    """The step of diffusers' train_diffusion_dpo.py; its `ipo` reads `args.beta`, which it never has: here it works."""
    recipe = recipe_of(model, pairs(), loss=loss, beta=2500.0)
    liven(recipe)
    samples = Samples(0, (0, 1), (1, 2), Draws(7))
    ours = recipe.losses(samples).mean()

    batch = recipe.batch([recipe.material.instances[k] for k in samples.items], samples, "")
    others = [Item(item.condition, caption=item.caption) for item in batch.items if item.condition is not None]
    other = recipe.material.latents(others, batch.views, samples, "other ")
    latents = torch.cat([batch.clean, other])
    noise, timesteps = batch.noise.repeat(2, 1, 1, 1), batch.times.repeat(2)
    noisy = recipe.objective.noisy(latents, noise, timesteps)
    text = recipe.condition(batch).text.repeat(2, 1, 1)
    model_pred = recipe.unet(noisy, timesteps, text).sample
    model_losses = F.mse_loss(model_pred, noise, reduction="none").mean(dim=list(range(1, 4)))
    model_diff = model_losses.chunk(2)[0] - model_losses.chunk(2)[1]
    plain: Any = model.parts().unet
    with torch.no_grad():
        ref_losses = F.mse_loss(plain(noisy, timesteps, text).sample, noise, reduction="none").mean(dim=[1, 2, 3])
    logits = ref_losses.chunk(2)[0] - ref_losses.chunk(2)[1] - model_diff
    theirs = {
        "sigmoid": lambda: -F.logsigmoid(2500.0 * logits).mean(),
        "hinge": lambda: torch.relu(1 - 2500.0 * logits).mean(),
        "ipo": lambda: ((logits - 1 / (2 * 2500.0)) ** 2).mean(),
    }[loss]()
    assert float(theirs) > 0
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=0)
    parameters = list(recipe.groups()["unet"].values())
    for own, wanted in zip(torch.autograd.grad(ours, parameters), torch.autograd.grad(theirs, parameters), strict=True):
        torch.testing.assert_close(own, wanted, rtol=1e-5, atol=1e-8 + 1e-5 * float(wanted.abs().max()))
    assert recipe.numbers()["accuracy"] == pytest.approx(float((logits > 0).float().mean()))


def test_without_the_adapter_the_denoiser_is_the_models(model: Model) -> None:
    recipe = recipe_of(model, pairs())
    liven(recipe)
    given = (torch.randn(1, 4, 4, 4), torch.tensor([300]), torch.randn(1, 16, 32))
    plain: Any = copy.deepcopy(model.parts().unet)
    with torch.no_grad():
        adapted = recipe.unet(*given).sample
        with without_adapter(recipe.unet):
            assert torch.equal(recipe.unet(*given).sample, plain(*given).sample)
        assert torch.equal(recipe.unet(*given).sample, adapted)
    assert not torch.equal(adapted, plain(*given).sample)


def test_it_goes_on_where_it_was(model: Model, tmp_path: Path) -> None:
    def run(folder: str, steps: int, ctx: Context | None = None) -> Any:
        recipe = recipe_of(model, pairs(), beta=500.0)
        return train(recipe, Goal(steps, 1e-3, 2, 7), TrainOptions(), ctx or lasting(tmp_path / folder))

    straight = run("straight", 5)
    run("parts", 2)
    assert run("parts", 5).adapter.digest == straight.adapter.digest
    with pytest.raises(Cancelled):
        run("stopped", 5, stopping(tmp_path / "stopped", 4))
    assert run("stopped", 5).adapter.digest == straight.adapter.digest
    # At first the adapter has no effect, and no pair is told from another.
    assert straight.curve.column("loss")[1][0] == pytest.approx(float(np.log(2)), abs=1e-6)
    assert straight.curve.column("accuracy")[1][0] == 0.0


def test_a_step_along_the_gradient_tells_the_pairs(model: Model) -> None:
    recipe = recipe_of(model, pairs(), beta=1.0)
    samples = Samples(0, (0, 1, 2), (0, 1, 2), Draws(7))
    parameters = list(recipe.groups()["unet"].values())
    for parameter in parameters:
        parameter.requires_grad_(True)
    before = recipe.losses(samples).mean()
    found = torch.autograd.grad(before, parameters)
    size = sum(float(part.square().sum()) for part in found) ** 0.5
    with torch.no_grad():
        for parameter, part in zip(parameters, found, strict=True):
            parameter.sub_(part, alpha=0.01 / size)
        assert float(recipe.losses(samples).mean()) < float(before)


@pytest.mark.parametrize(
    "change",
    [{"loss": "hinge"}, {"loss": "ipo"}, {"beta": 4000.0}, {"options": TrainOptions(snr_gamma=1.0)},
     {"options": TrainOptions(noise_offset=0.3)}, {"options": TrainOptions(caption_dropout=0.9)}],
    ids=str,
)  # fmt: skip
def test_each_setting_changes_the_result(model: Model, places: Path, change: dict[str, Any]) -> None:
    # A small beta: by a large one all losses are in their straight parts, where clipping leaves them the same slope.
    def learned(**changes: Any) -> str:
        options = changes.get("options") or TrainOptions()
        recipe = recipe_of(model, pairs(), **({"beta": 1.0} | changes))
        return train(recipe, Goal(3, 1e-2, 2, 7), options, lasting(places)).adapter.digest

    assert learned() != learned(**change)


def test_what_is_no_pair_is_refused(model: Model) -> None:
    lonely = Dataset((*pairs(1).items, Item(picture(9))))
    with pytest.raises(TrainingError, match=r"1 items have no other picture.*first picture 9"):
        recipe_of(model, lonely)
    mixed = Dataset((*pairs(1).items, *pairs(1, role="class").items))
    with pytest.raises(TrainingError, match="class images have no place among pairs"):
        recipe_of(model, mixed)
