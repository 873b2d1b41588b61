"""LoRA and its kin: the numbers of diffusers' scripts, and what each setting does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.training.recipes.comparing import assert_same, first_step, moved, samples_of
from tests.nodes.training.recipes.pictures_of import dataset
from tests.nodes.training.recipes.reference import RATE, Reference, trained
from tests.nodes.training.train_case import context
from weft.engine import Context
from weft.nodes import train_lora
from weft.nodes.training.denoiser import shared_copy
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.lora_settings import KINDS, TEXT, LoraSettings
from weft.nodes.training.material import Material
from weft.nodes.training.recipes.lora import LoraRecipe
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Adapter, Dataset

SEED = 5
Models = Callable[[str], Model]
Folders = Callable[[str], Path]


def recipe_of(model: Model, data: Dataset, prior_weight: float = 1.0, **settings: Any) -> LoraRecipe:
    own = LoraSettings(**{"seed": SEED, **settings})
    material = Material(model, data, Context(), captions=not own.text_encoder)
    return LoraRecipe(model, material, TrainOptions(), own, prior_weight)


def referenced(folder: Path, data: Dataset, begin: Adapter) -> tuple[Reference, dict[str, Any]]:
    """A script's model with adapters as `diffusers` makes them, which begin with the numbers of ours."""
    from peft import LoraConfig

    reference = Reference(folder, data, SEED)
    peft = begin.settings["peft"]
    modules = {
        "unet": reference.unet,
        **{name: reference.encoders[name] for name in reference.encoders if name in peft},
    }
    parameters: dict[str, Any] = {}
    for component, module in modules.items():
        targets = list(TEXT) if component != "unet" else peft[component]["target_modules"]
        config = LoraConfig(
            r=peft[component]["r"],
            lora_alpha=peft[component]["lora_alpha"],
            init_lora_weights="gaussian",
            target_modules=targets,
        )
        module.add_adapter(config)
        for name, parameter in module.named_parameters():
            if ".lora_" in name:
                plain = name.replace(".default", "")
                if component != "unet" and not plain.startswith("text_model."):
                    plain = f"text_model.{plain}"
                parameters[f"{component}.{plain}"] = parameter
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(begin.tensors[name])
    assert sorted(parameters) == sorted(begin.tensors)
    return reference, parameters


def beginning(recipe: LoraRecipe) -> Adapter:
    """The adapter before the first step, at which lora_B is no longer zero, so that all gradients count."""
    generator = torch.Generator().manual_seed(9)
    weights = {name: p for group in recipe.groups().values() for name, p in group.items()}
    with torch.no_grad():
        for name, parameter in weights.items():
            if ".lora_B." in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return recipe.export({name: p.detach().clone() for name, p in weights.items()})


@pytest.mark.parametrize(
    ("name", "settings", "classes"),
    [
        ("sd1", {}, 0),
        ("sd1", {"rank": 3, "alpha": 6.0, "targets": ("attention+conv",)}, 0),
        ("sd2_v", {}, 2),
        ("sd1", {"text_encoder": True}, 2),
        ("sdxl", {"text_encoder": True}, 0),
    ],
    ids=["noise", "convolutions", "velocity-prior", "text-prior", "sdxl-text"],
)
def test_loss_and_gradients_of_the_first_step_are_those_of_the_scripts(
    name: str, settings: dict[str, Any], classes: int, model: Models, folder: Folders
) -> None:
    data = dataset(3, classes)
    recipe = recipe_of(model(name), data, 0.7, **settings)
    reference, parameters = referenced(folder(name), data, beginning(recipe))
    loss, gradients = first_step(recipe, 2, SEED)
    theirs = reference.loss(0, 2, 0.7)
    theirs.backward()  # type: ignore[no-untyped-call]
    assert loss == pytest.approx(float(theirs.detach()), rel=1e-5)
    assert_same(gradients, {name: p.grad for name, p in parameters.items() if p.grad is not None})


@pytest.mark.parametrize(("name", "text"), [("sd1", False), ("sd2_v", True)])
def test_weights_after_some_steps_are_those_of_the_scripts_loop(
    name: str, text: bool, model: Models, folder: Folders
) -> None:
    data = dataset(3, 2)
    begin = recipe_of(model(name), data, text_encoder=text)
    first = begin.export({name: p.detach().clone() for own in begin.groups().values() for name, p in own.items()})
    reference, parameters = referenced(folder(name), data, first)
    losses = trained(parameters.values(), lambda step: reference.loss(step, 2), 5)
    done = train_lora(model(name), data, 5, RATE, 2, text_encoder=text, seed=SEED)
    assert done.curve.column("loss")[1] == pytest.approx(losses, rel=1e-5)
    theirs = {name: p.detach() for name, p in parameters.items()}
    # AdamW divides by how large gradients are: what is nearly nothing, it makes as large as the rest.
    assert_same(moved(first.tensors, done.adapter.tensors), moved(first.tensors, theirs), 1e-4, 1e-2)


# What it begins with


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_at_first_it_changes_nothing_and_every_part_of_it_learns(name: str, kind: str, model: Models) -> None:
    """A step from the beginning changes what the denoiser predicts, for every kind and with the text encoders."""
    own = model(name)
    begin = recipe_of(own, dataset(1), kind=kind, text_encoder=True)
    for component, trained_module in {"unet": begin.unet, **begin.encoders}.items():
        shared = begin.parts.component(component)
        given = (torch.arange(20).view(1, 20),) if component != "unet" else _given(own)
        keywords = {"added_cond_kwargs": _added()} if name == "sdxl" and component == "unet" else {}
        with torch.no_grad():
            before, after = shared(*given, **keywords)[0], trained_module.eval()(*given, **keywords)[0]
        torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)
    first = exported(begin)
    done = train_lora(own, dataset(2), 3, 1e-2, 1, kind=kind, text_encoder=True, seed=SEED).adapter
    assert sorted(done.tensors) == sorted(first.tensors)
    still = {name for name, tensor in done.tensors.items() if tensor.equal(first.tensors[name])}
    # The last layer of SDXL's encoders, of which the denoiser reads nothing, is that of the first alone.
    unread = {name for name in first.tensors if name.startswith("text_encoder.") and ".layers.2." in name}
    assert still == (unread if name == "sdxl" else set())


def _given(own: Model) -> tuple[Any, ...]:
    generator = torch.Generator().manual_seed(1)
    width = 64 if own.family == "sdxl" else 32
    latents = torch.randn(1, 4, 8, 8, generator=generator)
    return latents, torch.tensor([300]), torch.randn(1, 7, width, generator=generator)


def _added() -> dict[str, Tensor]:
    return {"text_embeds": torch.zeros(1, 24), "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]])}


def exported(recipe: LoraRecipe) -> Adapter:
    return recipe.export({name: p.detach().clone() for own in recipe.groups().values() for name, p in own.items()})


@pytest.mark.parametrize("kind", KINDS)
def test_first_numbers_are_the_seeds_and_nobody_elses(
    kind: str, model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They neither read nor set the process's generator, so threads that draw meanwhile do not matter."""

    def refused(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("the process's generator was set")

    torch.manual_seed(1)
    before = torch.get_rng_state()
    for module in (torch, torch.random):
        for name in ("manual_seed", "set_rng_state", "fork_rng", "seed"):
            monkeypatch.setattr(module, name, refused, raising=False)
    first = exported(recipe_of(model("sd1"), dataset(1), kind=kind, text_encoder=True))
    assert torch.get_rng_state().equal(before)
    torch.rand(7)
    again = exported(recipe_of(model("sd1"), dataset(1), kind=kind, text_encoder=True))
    assert again.digest == first.digest
    other = exported(recipe_of(model("sd1"), dataset(1), kind=kind, text_encoder=True, seed=SEED + 1))
    # OFT begins with no turn, which is no random number.
    assert (other.digest == first.digest) == (kind == "oft")


@pytest.mark.parametrize("kind", ["lora", "dora"])
def test_first_matrices_are_as_large_as_pefts_own(kind: str, model: Models) -> None:
    from peft import LoraConfig

    recipe = recipe_of(model("sd1"), dataset(1), kind=kind, init="kaiming", rank=8)
    own = exported(recipe)
    with recipe.model.parts() as parts:
        unet = shared_copy(parts.unet)
        unet.add_adapter(LoraConfig(r=8, lora_alpha=8, target_modules=sorted(recipe.own.targets)))
    theirs = {name.replace(".default", ""): p for name, p in unet.named_parameters() if ".lora_A." in name}
    assert theirs
    for name, tensor in theirs.items():
        mine = own.tensors[f"unet.{name}"]
        most = tensor[0].numel() ** -0.5
        assert mine.abs().max() <= most
        assert tensor.abs().max() <= most
        assert mine.std().item() == pytest.approx(most / 3**0.5, rel=0.15)
    plain = exported(recipe_of(model("sd1"), dataset(1), kind=kind, rank=8))
    assert not any(tensor.equal(own.tensors[name]) for name, tensor in plain.tensors.items() if ".lora_A." in name)


def test_first_numbers_of_a_layer_do_not_depend_on_what_other_layers_learn(model: Models) -> None:
    few = exported(recipe_of(model("sd1"), dataset(1), targets=("to_q",)))
    more = exported(recipe_of(model("sd1"), dataset(1)))
    assert all(tensor.equal(more.tensors[name]) for name, tensor in few.tensors.items())


# What it changes


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_that_it_trains_on_stays_as_it_is(kind: str, model: Models) -> None:
    own = model("sd1")
    parts = own.parts()
    names = ("unet", "vae", "text_encoder")
    before = {name: {k: t.clone() for k, t in parts.component(name).state_dict().items()} for name in names}
    done = train_lora(own, dataset(2, 1), 2, 1e-2, 1, kind=kind, text_encoder=True, seed=SEED)
    assert {name.partition(".")[0] for name in done.adapter.tensors} == {"unet", "text_encoder"}
    for name in names:
        module = parts.component(name)
        assert not any(parameter.requires_grad for parameter in module.parameters())
        assert not module.training
        after = module.state_dict()
        assert list(after) == list(before[name])
        assert all(after[key].equal(tensor) for key, tensor in before[name].items())
        assert not hasattr(module, "peft_config")


def test_text_encoders_learn_only_when_they_are_asked_to(model: Models) -> None:
    for name in ("sd1", "sdxl"):
        done = train_lora(model(name), dataset(1), 1, seed=SEED).adapter
        assert {name.partition(".")[0] for name in done.tensors} == {"unet"}
        assert list(done.settings["peft"]) == ["unet"]
    both = exported(recipe_of(model("sdxl"), dataset(1), text_encoder=True))
    assert {name.partition(".")[0] for name in both.tensors} == {"unet", "text_encoder", "text_encoder_2"}
    text = [name for name in both.tensors if name.startswith("text_encoder")]
    assert all(name.partition(".")[2].startswith("text_model.encoder.layers.") for name in text)
    assert {name.split(".")[-3] for name in text} == set(TEXT)


def test_text_encoders_have_a_learning_rate_of_their_own(model: Models) -> None:
    options = TrainOptions(rates={"text_encoder": 0.0})
    first = exported(recipe_of(model("sd1"), dataset(1), text_encoder=True))
    done = train_lora(model("sd1"), dataset(1), 2, 1e-2, text_encoder=True, seed=SEED, options=options).adapter
    moving = {name.partition(".")[0] for name, tensor in done.tensors.items() if not tensor.equal(first.tensors[name])}
    assert moving == {"unet"}


CHANGES: dict[str, dict[str, Any]] = {
    "kind": {"kind": "dora"},
    "rank": {"rank": 2},
    "alpha": {"alpha": 8.0},
    "targets": {"targets": ["attention+conv"]},
    "init": {"init": "kaiming"},
    "text_encoder": {"text_encoder": True},
    "prior_weight": {"prior_weight": 0.2},
    "seed": {"seed": 6},
    "batch": {"batch": 2},
    "learning_rate": {"learning_rate": 2e-3},
}


USUAL: dict[str, Any] = {"steps": 2, "learning_rate": 1e-3, "seed": SEED}


def test_it_learns_the_same_again(model: Models) -> None:
    one, other = (train_lora(model("sd1"), dataset(2, 1), **USUAL).adapter for _ in range(2))
    assert one.digest == other.digest


@pytest.mark.parametrize("setting", CHANGES)
def test_every_setting_changes_what_is_learned(setting: str, model: Models, places: Path) -> None:
    data, usual = dataset(2, 1), {**USUAL, "ctx": context(places)}
    one = train_lora(model("sd1"), data, **usual).adapter
    other = train_lora(model("sd1"), data, **{**usual, **CHANGES[setting]}).adapter
    assert other.digest != one.digest
    shared = [name for name in one.tensors if name in other.tensors and "lora_B" in name]
    assert shared
    assert any(not one.tensors[name].equal(other.tensors[name]) for name in shared)


def test_a_preset_is_what_it_stands_for(model: Models) -> None:
    plain = exported(recipe_of(model("sd1"), dataset(1)))
    assert exported(recipe_of(model("sd1"), dataset(1), targets=("attention",))).digest == plain.digest
    more = exported(recipe_of(model("sd1"), dataset(1), targets=("attention+conv",)))
    assert {name.split(".")[-3] for name in more.tensors} >= {"conv1", "conv2", "proj_in", "proj_out", "to_q"}


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_a_picture(kind: str, model: Models) -> None:
    """At one noise level, with the noise of the last steps, it predicts better than the model before."""
    rank, targets = (4, ["attention"]) if kind == "oft" else (16, ["attention+conv"])
    options = TrainOptions(min_timestep=500, max_timestep=501)
    settings: dict[str, Any] = {"kind": kind, "rank": rank, "targets": targets}
    done = train_lora(model("sd1"), dataset(1), 24, 2e-2, seed=SEED, options=options, **settings)
    own = LoraSettings(kind, rank, 0.0, tuple(targets), False, SEED)
    begin = LoraRecipe(model("sd1"), Material(model("sd1"), dataset(1), Context()), options, own)
    with torch.no_grad():
        before = sum(float(begin.losses(samples_of(begin, step, 1, SEED))) for step in range(18, 24))
    after = sum(done.curve.column("loss")[1][18:])
    assert after < (0.9 if kind == "oft" else 0.75) * before


# What does not go


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "lorra"}, "'lorra' is no kind of adapter; .* did you mean lora"),
        ({"rank": 0}, "the rank is 0"),
        ({"rank": -3, "alpha": float("nan")}, "the rank is -3.*alpha is nan"),
        ({"alpha": -1.0}, "alpha is -1.0"),
        ({"kind": "oft", "rank": 1}, "a rank of 2 or more"),
        ({"kind": "oft", "alpha": 2.0}, "leave alpha at 0"),
        ({"kind": "oft", "rank": 5}, "5 does not divide the 16 of .*: give one of 2, 4, 8, 16"),
        ({"kind": "oft", "targets": ("attention+conv",)}, "conv1 is a convolution of 3 x 3: leave it out"),
        ({"targets": ()}, "no layers are named"),
        ({"targets": ("to_q", "to_kk")}, "no layer of the denoiser is named 'to_kk': did you mean to_k"),
        ({"targets": ("to_out",)}, "'to_out': did you mean to_out.0"),
        ({"targets": ("atention",)}, "'atention': did you mean attention"),
        ({"targets": ("",)}, "no layer of the denoiser is named ''"),
        ({"targets": ("norm1",)}, "no layer of the denoiser is named 'norm1'"),
    ],
)
def test_what_does_not_go_is_said(settings: dict[str, Any], message: str, model: Models) -> None:
    with pytest.raises(TrainingError, match=message):
        recipe_of(model("sd1"), dataset(1), **settings)


def test_a_rank_above_that_of_the_layers_is_told(model: Models, caplog: pytest.LogCaptureFixture) -> None:
    recipe_of(model("sd1"), dataset(1), rank=33)
    assert "a rank of 33 learns no more than one of 32" in caplog.text
    caplog.clear()
    recipe_of(model("sd1"), dataset(1), rank=32)
    assert caplog.text == ""
