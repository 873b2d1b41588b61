"""DreamBooth: the numbers of diffusers' script, prior preservation, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from tests.nodes.training.recipes.comparing import assert_same, first_step, moved, samples_of
from tests.nodes.training.recipes.pictures_of import dataset
from tests.nodes.training.recipes.reference import Reference, trained
from tests.nodes.training.train_case import context
from weft.engine import Context
from weft.nodes import load_model, train_dreambooth
from weft.nodes.training.material import Material
from weft.nodes.training.recipes.dreambooth import DreamBoothRecipe
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Dataset

SEED = 3
RATE = 1e-4
Models = Callable[[str], Model]
Folders = Callable[[str], Path]


def recipe_of(
    model: Model, data: Dataset, text: bool = False, prior_weight: float = 1.0, **options: Any
) -> DreamBoothRecipe:
    material = Material(model, data, Context(), captions=not text)
    return DreamBoothRecipe(model, material, TrainOptions(**options), text, prior_weight)


def referenced(folder: Path, data: Dataset, text: bool) -> tuple[Reference, dict[str, Any]]:
    """A script's model whose weights all learn, with the names that ours has for them."""
    reference = Reference(folder, data, SEED)
    parameters = {f"unet.{name}": p for name, p in reference.unet.named_parameters()}
    for component, encoder in reference.encoders.items() if text else ():
        for name, parameter in encoder.named_parameters():
            plain = name.startswith(("text_model.", "text_projection."))
            parameters[f"{component}.{name if plain else f'text_model.{name}'}"] = parameter
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    return reference, parameters


@pytest.mark.parametrize(
    ("name", "text", "classes"),
    [("sd1", False, 2), ("sd1", True, 0), ("sd2_v", True, 2), ("sdxl", True, 0)],
    ids=["noise-prior", "text", "velocity-text-prior", "sdxl-text"],
)
def test_loss_and_gradients_of_the_first_step_are_those_of_the_script(
    name: str, text: bool, classes: int, model: Models, folder: Folders
) -> None:
    data = dataset(3, classes)
    loss, gradients = first_step(recipe_of(model(name), data, text, 0.7), 2, SEED)
    reference, parameters = referenced(folder(name), data, text)
    theirs = reference.loss(0, 2, 0.7)
    theirs.backward()  # type: ignore[no-untyped-call]
    assert loss == pytest.approx(float(theirs.detach()), rel=1e-5)
    assert_same(gradients, {name: p.grad for name, p in parameters.items() if p.grad is not None})


@pytest.mark.parametrize(("name", "text"), [("sd1", True), ("sd2_v", False)])
def test_weights_after_some_steps_are_those_of_the_scripts_loop(
    name: str, text: bool, model: Models, folder: Folders
) -> None:
    data = dataset(3, 2)
    reference, parameters = referenced(folder(name), data, text)
    before = {name: p.detach().clone() for name, p in parameters.items()}
    losses = trained(parameters.values(), lambda step: reference.loss(step, 2), 4, RATE)
    done = train_dreambooth(model(name), data, 4, RATE, 2, text_encoder=text, seed=SEED)
    assert done.curve.column("loss")[1] == pytest.approx(losses, rel=1e-5)
    theirs = {name: p.detach() for name, p in parameters.items()}
    # A bias of keys changes no attention: its gradients are rounding alone, which AdamW makes as large as any.
    sound = {name: tensor for name, tensor in before.items() if not name.endswith("k_proj.bias")}
    ours = {name: done.adapter.tensors[name] for name in sound}
    assert_same(moved(sound, ours), moved(sound, theirs), 1e-3, 5e-2)


# Prior preservation


def test_class_images_are_weighted_and_have_noise_of_their_own(model: Models) -> None:
    """The loss is that of the pictures, and the class images' times their weight; noise and levels are not shared."""
    data = dataset(2, 3)
    losses = {}
    for weight in (0.0, 1.0, 2.5):
        recipe = recipe_of(model("sd1"), data, prior_weight=weight)
        with torch.no_grad():
            losses[weight] = recipe.losses(samples_of(recipe, 0, 2, SEED))
    alone = recipe_of(model("sd1"), dataset(2))
    with torch.no_grad():
        plain = alone.losses(samples_of(alone, 0, 2, SEED))
    torch.testing.assert_close(losses[0.0], plain, rtol=1e-5, atol=0)
    prior = losses[1.0] - losses[0.0]
    assert bool((prior > 0.1).all())
    torch.testing.assert_close(losses[2.5], losses[0.0] + 2.5 * prior, rtol=1e-4, atol=0)
    samples = samples_of(recipe, 0, 2, SEED)
    own = recipe.batch(recipe.material.instances[:2], samples, "")
    other = recipe.batch(recipe.material.classes[:2], samples, "class ")
    assert not own.noise.equal(other.noise)
    assert own.times.tolist() != other.times.tolist()


@pytest.mark.parametrize("name", ["sd1", "sd2_v"])
def test_min_snr_with_class_images_weighs_each_sample_by_its_own_level(
    name: str, model: Models, folder: Folders
) -> None:
    """The script computes weights of all noise levels, and multiplies the losses of the pictures alone with them: with
    two pictures that is an error, and with one each is weighed by the class image's level, too."""
    gamma, data = 0.01, dataset(3, 3)
    recipe = recipe_of(model(name), data, prior_weight=0.5, snr_gamma=gamma)
    for size in (1, 2):
        reference, _ = referenced(folder(name), data, False)
        numbers, items, others = reference.batch(0, size)
        parts = []
        for pictures, purpose in ((items, ""), (others, "class ")):
            clean = reference.latents(pictures, numbers, purpose)
            noise, times = reference.noise_and_times(numbers, clean.shape[1:], purpose)
            parts.append((clean, noise, times))
        clean, noise, times = (torch.cat(pair) for pair in zip(*parts, strict=True))
        with torch.no_grad():
            states, _ = reference.text([item.caption for item in (*items, *others)])
            prediction = reference.unet(reference.scheduler.add_noise(clean, noise, times), times, states).sample
        each = F.mse_loss(prediction, reference.target(clean, noise, times), reduction="none").mean(dim=(1, 2, 3))
        share = reference.scheduler.alphas_cumprod[times]
        snr = share / (1 - share)
        weights = snr.clamp(max=gamma) / (snr if name == "sd1" else snr + 1)
        right = each[:size] * weights[:size] + 0.5 * each[size:] * weights[size:]
        with torch.no_grad():
            ours = recipe.losses(samples_of(recipe, 0, size, SEED))
        torch.testing.assert_close(ours, right, rtol=1e-5, atol=0)
        # The script's way.
        if size == 2:
            with pytest.raises(RuntimeError, match=r"size of tensor a \(2\) must match the size of tensor b \(4\)"):
                each[:size] * weights
        else:
            theirs = (each[:size] * weights).mean() + 0.5 * each[size:].mean()
            assert abs(float(theirs) - float(ours.mean())) > 1e-3


# What it changes


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
@pytest.mark.parametrize("text", [False, True])
def test_only_what_is_asked_for_learns(name: str, text: bool, model: Models) -> None:
    own = model(name)
    parts = own.parts()
    names = list(parts.components)
    before = {name: {k: t.clone() for k, t in parts.component(name).state_dict().items()} for name in names}
    done = train_dreambooth(own, dataset(2, 1), 2, RATE, seed=SEED, text_encoder=text).adapter
    learned = [name for name in names if name == "unet" or (text and name.startswith("text_encoder"))]
    assert done.kind == "weights"
    assert done.settings["components"] == learned
    assert {name.partition(".")[0] for name in done.tensors} == set(learned)
    for component in names:
        module = parts.component(component)
        assert not module.training
        assert not any(parameter.requires_grad for parameter in module.parameters())
        assert all(t.equal(before[component][key]) for key, t in module.state_dict().items())
    for component in learned:
        shared = dict(parts.component(component).named_parameters())
        own_names = {key if component == "unet" else canonical(key): tensor for key, tensor in shared.items()}
        trained_ones = {k.partition(".")[2]: t for k, t in done.tensors.items() if k.partition(".")[0] == component}
        assert {k: t.shape for k, t in trained_ones.items()} == {k: t.shape for k, t in own_names.items()}
        still = {key for key, tensor in trained_ones.items() if tensor.equal(own_names[key])}
        # What lies behind the states that the denoiser reads.
        behind = {key for key in trained_ones if ".layers.2." in key or "final_layer_norm" in key}
        assert still == (behind if (name, component) == ("sdxl", "text_encoder") else set())


def canonical(name: str) -> str:
    return name if name.startswith(("text_model.", "text_projection.")) else f"text_model.{name}"


CHANGES: dict[str, dict[str, Any]] = {
    "text_encoder": {"text_encoder": True},
    "prior_weight": {"prior_weight": 0.3},
    "seed": {"seed": 4},
    "batch": {"batch": 2},
    "learning_rate": {"learning_rate": 2e-4},
}


@pytest.mark.parametrize("setting", CHANGES)
def test_every_setting_changes_what_is_learned(setting: str, model: Models, places: Path) -> None:
    usual: dict[str, Any] = {"steps": 2, "learning_rate": RATE, "seed": SEED, "ctx": context(places)}
    data = dataset(2, 1)
    one = train_dreambooth(model("sd1"), data, **usual).adapter.tensors
    other = train_dreambooth(model("sd1"), data, **{**usual, **CHANGES[setting]}).adapter.tensors
    assert any(not tensor.equal(other[name]) for name, tensor in one.items())


def test_a_model_in_half_precision_learns_in_float32(model: Models, folder: Folders) -> None:
    half = load_model(str(folder("sd1")), dtype="bfloat16", device="cpu")
    done = train_dreambooth(half, dataset(1), 2, RATE, text_encoder=True, seed=SEED)
    assert {tensor.dtype for tensor in done.adapter.tensors.values()} == {torch.float32}
    # Smaller than what bfloat16 can tell apart, and yet learned.
    before = half.parts().unet.state_dict()["conv_in.weight"].float()
    steps = (done.adapter.tensors["unet.conv_in.weight"] - before).abs()
    assert 0 < float(steps.max()) < 1e-3


def test_long_captions_are_read_whole_by_text_encoders_that_learn(model: Models) -> None:
    """Beside a short one, which is filled up as a denoise fills it up."""
    long = "a photo of a red cat, " * 40
    data = Dataset((dataset(1, 0, caption=long).items[0], *dataset(1, 1).items[1:]))
    for name in ("sd1", "sdxl"):
        live, before = recipe_of(model(name), data, True), recipe_of(model(name), data, False)
        samples = samples_of(live, 0, 2, SEED)
        with torch.no_grad():
            text, pooled = live.text_states([long, "a photo of a cat", long, ""])
            torch.testing.assert_close(live.losses(samples), before.losses(samples), rtol=1e-4, atol=0)
        assert text.shape[1] > 77
        assert before.material.texts is not None
        states, summary = before.material.texts.entries[long]
        torch.testing.assert_close(text[2], states, rtol=1e-4, atol=1e-4)
        assert text[0].equal(text[2])
        assert (pooled is None) == (summary is None)
        if pooled is not None and summary is not None:
            torch.testing.assert_close(pooled[0], summary, rtol=1e-4, atol=1e-4)


def test_it_learns_one_picture(model: Models) -> None:
    """At one noise level, until little of its loss is left."""
    options = TrainOptions(min_timestep=500, max_timestep=501)
    done = train_dreambooth(model("sd1"), dataset(1), 45, 3e-3, 1, seed=SEED, options=options)
    losses = done.curve.column("loss")[1]
    assert losses[0] > 0.9
    assert sum(losses[-5:]) / 5 < 0.5
