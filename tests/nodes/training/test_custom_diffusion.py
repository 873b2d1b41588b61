"""Custom Diffusion's step against the example script's, and what of the model changes by it."""

from __future__ import annotations

import copy
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny import tiny_sd1, tiny_sd2, tiny_sdxl
from tests.tiny_words import batches_of, calm, drawn_of, gradients, tiny_items
from tests.word_reference import Reference
from weft.engine import Context
from weft.nodes import load_model
from weft.nodes.training.pictures import digest_of
from weft.nodes.training.recipes.custom_diffusion import LAYERS, CustomDiffusionRecipe, CustomSettings, OwnLinear
from weft.nodes.training.sentences import Sentences, WordMaterial
from weft.nodes.training.trainer import Goal, train
from weft.nodes.training.words import NewWord
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Dataset, Item, Picture

SIDE = 32
WORDS = (NewWord("<one>", 1, "red"), NewWord("<two>", 1, "blue"))
CAPTIONS = ("a photo of the <one> cat", "the <one> cat on white", "a photo of the <two> dog", "a <two> dog and <one>")
CLASSES = ("a photo of the cat", "the dog on white", "a cat and a dog")
RATE, WORDS_RATE = 1e-3, 1e-2


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model that predicts noise, one that predicts v, and one with two text encoders."""
    root = tmp_path_factory.mktemp("custom")
    found = {"epsilon": tiny_sd1(root / "epsilon"), "v": tiny_sd2(root / "v"), "sdxl": tiny_sdxl(root / "sdxl")}
    return {kind: calm(folder) for kind, folder in found.items()}


def masked(items: list[Item]) -> list[Item]:
    """Items of which only the left of the picture counts."""
    pixels = np.zeros((SIDE, SIDE), np.uint8)
    pixels[:, : SIDE // 2] = 255
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "png")
    mask = Picture("mask.png", digest_of(data.getvalue()), data=data.getvalue())
    return [replace(item, mask=mask) for item in items]


def recipe_of(
    folder: Path,
    prior: bool = True,
    mask: bool = False,
    options: TrainOptions | None = None,
    prior_weight: float = 0.7,
    **settings: Any,
) -> CustomDiffusionRecipe:
    model = load_model(str(folder), dtype="float32", device="cpu")
    own = CustomSettings(**({"words": WORDS, "words_rate": WORDS_RATE, "words_decay": 0.01} | settings))
    items = tiny_items(CAPTIONS, side=SIDE)
    items = masked(items) if mask else items
    items += tiny_items(CLASSES, "class", first=10, side=SIDE) if prior else []
    said = Sentences(tuple(word.token for word in own.words), ())
    material = WordMaterial(model, Dataset(tuple(items)), Context(), said)
    return CustomDiffusionRecipe(model, material, options or TrainOptions(), own, prior_weight)


def reference_of(folder: Path, freeze: str = "crossattn_kv") -> tuple[Reference, dict[str, torch.nn.Parameter]]:
    """The reference, and what of its denoiser learns."""
    reference = Reference(folder, [word.token for word in WORDS], [word.init for word in WORDS])
    learned = {
        f"unet.{name}": p
        for name, p in reference.unet.named_parameters()
        if any(f"{end}." in name for end in LAYERS[freeze])
    }
    for parameter in learned.values():
        parameter.requires_grad_(True)
    return reference, learned


def drawn(recipe: CustomDiffusionRecipe, samples: Any) -> tuple[Any, Any]:
    """What the recipe draws for a step's instances, and for its class images where there are some."""
    batch = recipe.batch([recipe.material.instances[k] for k in samples.items], samples, "")
    if not recipe.material.classes:
        return drawn_of(recipe, batch), None
    before = recipe.batch(recipe.material.class_items(samples, len(samples)), samples, "class ")
    return drawn_of(recipe, batch), drawn_of(recipe, before)


def loss_of(reference: Reference, instance: Any, prior: Any) -> torch.Tensor:
    """The script's loss, with the instances' part divided by the channels, over which it sums."""
    learned, rest = reference.custom_losses(instance, prior, SIDE)
    return learned / 4 + 0.7 * rest


@pytest.mark.parametrize(
    ("kind", "freeze", "mask"),
    [
        ("epsilon", "crossattn", True),
        ("v", "crossattn_kv", False),
        ("sdxl", "crossattn_kv", True),
    ],
)
def test_the_first_step_is_that_of_the_reference(folders: dict[str, Path], kind: str, freeze: str, mask: bool) -> None:
    recipe = recipe_of(folders[kind], mask=mask, freeze=freeze)
    reference, learned = reference_of(folders[kind], freeze)
    (samples,) = batches_of(recipe, 1, 4)
    loss = recipe.losses(samples).mean()
    wanted = loss_of(reference, *drawn(recipe, samples))
    torch.testing.assert_close(loss, wanted, rtol=1e-5, atol=0.0)
    found = gradients(recipe, loss)
    assert found.keys() == learned.keys() | recipe.words.parameters.keys()
    expected = dict(zip(learned, torch.autograd.grad(wanted, list(learned.values()), retain_graph=True), strict=True))
    for end, table in zip(
        ("text_encoder", "text_encoder_2"), torch.autograd.grad(wanted, reference.tables), strict=False
    ):
        expected |= {
            f"word.{word.token}.{end}": table[[place]] for word, place in zip(WORDS, reference.ids, strict=True)
        }
    for name, own in found.items():
        most = float(expected[name].abs().max())
        assert most > 0, name
        torch.testing.assert_close(
            own, expected[name], rtol=1e-5, atol=2e-5 * most, msg=lambda text, n=name: f"{n} {text}"
        )


def test_the_script_counts_an_instance_once_for_each_channel(folders: dict[str, Path]) -> None:
    """It sums over the latents' channels and divides by a mask of one: the same loss is four times a mean's.

    Ours is the mean over what counts, so that an instance weighs as much as a class image, masked or not.
    """
    for mask in (False, True):
        recipe = recipe_of(folders["epsilon"], prior=False, mask=mask)
        reference, _ = reference_of(folders["epsilon"])
        (samples,) = batches_of(recipe, 1, 4)
        instance, _ = drawn(recipe, samples)
        theirs, _ = reference.custom_losses(instance, None, SIDE)
        ours = recipe.losses(samples).mean()
        torch.testing.assert_close(theirs, 4 * ours, rtol=1e-5, atol=0.0)
        predicted, target = reference.prediction(instance, SIDE)
        square = (predicted - target).square()
        half = square[..., :2] if mask else square  # the latents are four wide, and the left half counts
        torch.testing.assert_close(ours, half.mean(), rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("kind", ["epsilon", "v", "sdxl"])
def test_the_weights_after_some_steps_are_those_of_the_reference(folders: dict[str, Path], kind: str) -> None:
    steps, batch = 3, 2
    options = TrainOptions(epsilon=1e-5)  # else what is left of rounding where a gradient is none makes whole steps
    recipe = recipe_of(folders[kind], mask=True, options=options)
    reference, learned = reference_of(folders[kind])
    before = [table.detach().clone() for table in reference.tables]
    optimizer = torch.optim.AdamW(
        [{"params": list(learned.values()), "lr": RATE}, {"params": reference.tables, "lr": WORDS_RATE}],
        betas=(0.9, 0.999),
        weight_decay=1e-2,
        eps=options.epsilon,
    )
    losses = []
    for samples in batches_of(recipe, steps, batch):
        loss = loss_of(reference, *drawn(recipe, samples))
        loss.backward()
        for table in reference.tables:
            keep = torch.ones(len(table), dtype=torch.bool)
            keep[reference.ids] = False
            table.grad[keep] = 0
        torch.nn.utils.clip_grad_norm_([*learned.values(), *reference.tables], 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        with torch.no_grad():  # the script forgets that weight decay changes all words
            for table, rest in zip(reference.tables, before, strict=True):
                keep = torch.ones(len(table), dtype=torch.bool)
                keep[reference.ids] = False
                table[keep] = rest[keep]
    result = train(recipe, Goal(steps, RATE, batch), options, Context())
    assert result.curve.column("loss")[1] == pytest.approx(losses, rel=2e-5)
    expected = {name: p.detach() for name, p in learned.items()}
    for end, rows in zip(("text_encoder", "text_encoder_2"), reference.rows(), strict=False):
        expected |= {f"word.{word.token}.{end}": rows[[place]] for place, word in enumerate(WORDS)}
    assert result.adapter.tensors.keys() == expected.keys()
    for name, own in result.adapter.tensors.items():
        torch.testing.assert_close(own, expected[name], rtol=1e-4, atol=2e-5, msg=lambda text, n=name: f"{n} {text}")


@pytest.mark.parametrize(("freeze", "layers"), [("crossattn_kv", ("to_k", "to_v")), ("crossattn", ("to_",))])
def test_only_projections_of_the_cross_attention_change(
    folders: dict[str, Path], freeze: str, layers: tuple[str, ...]
) -> None:
    model = load_model(str(folders["epsilon"]), dtype="float32", device="cpu")
    parts = model.parts()
    names = ["unet", "text_encoder"]
    before = {name: copy.deepcopy(parts.component(name).state_dict()) for name in names}
    recipe = recipe_of(folders["epsilon"], freeze=freeze)
    result = train(recipe, Goal(2, RATE, 2), TrainOptions(), Context())
    for name in names:
        after = parts.component(name).state_dict()
        assert all(torch.equal(after[key], tensor) for key, tensor in before[name].items()), name
    changed = {
        name for name, p in recipe.unet.state_dict().items() if not torch.equal(p.float(), before["unet"][name].float())
    }
    assert changed == {name for name in before["unet"] if any(f"attn2.{layer}" in name for layer in layers)}
    assert {f"unet.{name}" for name in changed} | recipe.words.parameters.keys() == result.adapter.tensors.keys()
    assert result.adapter.kind == "custom_diffusion"
    assert result.adapter.settings["tokens"] == {"<one>": 1, "<two>": 1}


def test_without_words_keys_and_values_learn_alone(folders: dict[str, Path]) -> None:
    recipe = recipe_of(folders["epsilon"], words=())
    assert list(recipe.groups()) == ["unet"]
    result = train(recipe, Goal(1, RATE, 2), TrainOptions(), Context())
    assert result.adapter.settings["tokens"] == {}
    assert all(name.startswith("unet.") for name in result.adapter.tensors)


def test_words_and_projections_have_learning_rates_of_their_own(folders: dict[str, Path]) -> None:
    """AdamW's first step is the learning rate, whatever the gradient."""
    begin = recipe_of(folders["epsilon"], words_decay=0.0)
    before = {name: p.detach().clone() for group in begin.groups().values() for name, p in group.items()}
    options = TrainOptions(weight_decay=0.0)
    found = train(begin, Goal(1, RATE, 4), options, Context()).adapter.tensors
    for name, own in found.items():
        rate = WORDS_RATE if name.startswith("word.") else RATE
        assert float((own - before[name]).abs().max()) == pytest.approx(rate, rel=1e-3), name


def test_projections_of_a_model_in_half_precision_learn_in_full(folders: dict[str, Path]) -> None:
    layer = OwnLinear(4, 3, bias=False)
    given = torch.randn(2, 4, generator=torch.Generator().manual_seed(0)).bfloat16()
    out = layer(given)
    assert out.dtype == torch.bfloat16
    out.sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.dtype == torch.float32
    torch.testing.assert_close(out, given @ layer.weight.bfloat16().T)
    model = load_model(str(folders["epsilon"]), dtype="bfloat16", device="cpu")
    material = WordMaterial(
        model, Dataset(tuple(tiny_items(CAPTIONS, side=SIDE))), Context(), Sentences(("<one>", "<two>"), ())
    )
    recipe = CustomDiffusionRecipe(model, material, TrainOptions(), CustomSettings(WORDS))
    result = train(recipe, Goal(2, RATE, 2), TrainOptions(), Context())
    assert {tensor.dtype for tensor in result.adapter.tensors.values()} == {torch.float32}
