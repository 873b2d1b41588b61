"""The nodes that teach a model words, from end to end: settings, cancelling, and the model that comes out of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.nodes.training.train_case import Told, context
from tests.tiny_words import tiny_items
from weft.engine import Cancelled, CancelToken, check
from weft.nodes import train_custom_diffusion, train_textual_inversion
from weft.nodes.prompts.encode import encode
from weft.nodes.techniques.wired import applied
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.material import Material
from weft.nodes.training.recipes.custom_diffusion import CustomDiffusionRecipe, CustomSettings
from weft.nodes.training.recipes.textual_inversion import InversionSettings, TextualInversionRecipe
from weft.nodes.training.scaled import ScaledMaterial
from weft.nodes.training.sentences import Sentences, WordMaterial
from weft.nodes.training.trainer import Goal, train
from weft.nodes.training.words import NewWord
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Dataset

SIDE = 64
CAPTIONS = ("a photo of <new>", "<new> on white", "the red <new>")
DATA = Dataset((*tiny_items(CAPTIONS, side=SIDE), *tiny_items(("a cat", "a dog"), "class", first=20, side=SIDE)))
PLAIN = Dataset(tuple(tiny_items(("", "a cat", ""), side=SIDE)))
INVERSION: dict[str, Any] = {"tokens": ["<new>"], "init": ["red cat"], "steps": 2, "batch": 2, "learning_rate": 1e-2}
CUSTOM: dict[str, Any] = {"tokens": ["<new>"], "init": ["red"], "steps": 2, "batch": 2, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def before(model: Model) -> dict[str, dict[str, Tensor]]:
    """What the settings below are compared with."""
    return {
        "inversion": train_textual_inversion(model, DATA, **INVERSION).adapter.tensors,
        "templates": train_textual_inversion(model, PLAIN, **INVERSION).adapter.tensors,
        "custom": train_custom_diffusion(model, DATA, **CUSTOM).adapter.tensors,
    }


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "settings",
    [
        {"init": ["blue cat"]},
        {"init": []},
        {"init_by": "mean", "vectors": 2},
        {"vectors": 2},
        {"steps": 3},
        {"learning_rate": 1e-3},
        {"batch": 1},
        {"hold_norm": 1e-4},
        {"weight_decay": 0.1},
        {"seed": 1},
    ],
)
def test_each_setting_of_a_word_changes_what_is_learned(
    model: Model, before: dict[str, dict[str, Tensor]], settings: dict[str, Any]
) -> None:
    own = train_textual_inversion(model, DATA, **(INVERSION | settings)).adapter.tensors
    assert not same(own, before["inversion"])


@pytest.mark.parametrize("settings", [{"templates": "style"}, {"sentences": ["one {} here"]}])
def test_each_kind_of_sentence_changes_what_is_learned(
    model: Model, before: dict[str, dict[str, Tensor]], settings: dict[str, Any]
) -> None:
    own = train_textual_inversion(model, PLAIN, **(INVERSION | settings)).adapter.tensors
    assert not same(own, before["templates"])
    # They are for captions without the word: others stay as they are.
    data = Dataset(tuple(DATA.of("instance")))
    assert same(train_textual_inversion(model, data, **(INVERSION | settings)).adapter.tensors, before["inversion"])


@pytest.mark.parametrize(
    "settings",
    [
        {"init": ["blue"]},
        {"words_rate": 1e-2},
        {"freeze": "crossattn"},
        {"augment": True},
        {"prior_weight": 0.1},
        {"words_decay": 0.1, "words_rate": 1e-1},
        {"seed": 1},
    ],
)
def test_each_setting_of_custom_diffusion_changes_what_is_learned(
    model: Model, before: dict[str, dict[str, Tensor]], settings: dict[str, Any]
) -> None:
    own = train_custom_diffusion(model, DATA, **(CUSTOM | settings)).adapter.tensors
    assert not same(own, before["custom"])


@pytest.mark.parametrize(
    ("node", "settings"),
    [
        (train_textual_inversion, INVERSION | {"steps": 5, "hold_norm": 0.01, "vectors": 2}),
        (train_custom_diffusion, CUSTOM | {"steps": 5, "augment": True}),
    ],
)
def test_a_training_that_was_cancelled_ends_as_one_that_was_not(
    model: Model, cache: Path, tmp_path: Path, node: Any, settings: dict[str, Any]
) -> None:
    options = TrainOptions(validate_every=2)
    data = Dataset((*DATA.items, *tiny_items(("<new>",), "validation", first=30, side=SIDE)))
    cancel = CancelToken()
    told = Told(lambda step: cancel.cancel() if step == 3 else None)
    with pytest.raises(Cancelled):
        node(model, data, **settings, options=options, ctx=context(cache, told, cancel))
    whole = node(model, data, **settings, options=options, ctx=context(tmp_path / "other"))
    rest = Told()
    again = node(model, data, **settings, options=options, ctx=context(cache, rest))
    assert rest.of("resumed")
    assert same(again.adapter.tensors, whole.adapter.tensors)
    assert again.adapter.digest == whole.adapter.digest
    assert again.curve.column("loss") == whole.curve.column("loss")


def test_learned_words_read_the_same_once_they_are_applied(model: Model) -> None:
    words = (NewWord("<new>", 2, "red cat"),)
    material = WordMaterial(model, DATA, context(None), Sentences(("<new>",), ()), classes=False)
    recipe = TextualInversionRecipe(model, material, TrainOptions(), InversionSettings(words))
    result = train(recipe, Goal(2, 1e-2, 2), TrainOptions(), context(None))
    trained, _ = recipe.text_states(["a photo of <new> on white"])
    own = encode(applied(model, result.adapter).parts(), "a photo of <new> on white").text
    assert torch.equal(own, trained.detach())
    assert not torch.equal(own, encode(model.parts(), "a photo of red cat on white").text)


def test_custom_diffusion_predicts_the_same_once_it_is_applied(model: Model) -> None:
    material = WordMaterial(model, DATA, context(None), Sentences(("<new>",), ()))
    own = CustomSettings((NewWord("<new>", 1, "red"),), words_rate=1e-2)
    recipe = CustomDiffusionRecipe(model, material, TrainOptions(), own)
    result = train(recipe, Goal(2, 1e-2, 2), TrainOptions(), context(None))
    parts = applied(model, result.adapter).parts()
    text = encode(parts, "a <new> cat").text
    trained, _ = recipe.text_states(["a <new> cat"])
    assert torch.equal(text, trained.detach())
    noisy = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), recipe.evaluating():
        predicted = parts.unet(noisy, torch.tensor([500]), text).sample
        assert torch.equal(predicted, recipe.unet(noisy, torch.tensor([500]), text).sample)
        assert not torch.equal(predicted, model.parts().unet(noisy, torch.tensor([500]), text).sample)


@pytest.mark.parametrize(
    ("data", "settings", "reason"),
    [
        (PLAIN, {"templates": "none"}, "have none of <new>"),
        (DATA, {"tokens": ["<new>", "<other>"], "init": []}, "no picture is called <other>"),
        (DATA, {"tokens": ["dog</w>"], "init": []}, "'dog</w>' is one that the model knows already"),
        (Dataset(tuple(replace(item, concept=1) for item in PLAIN.items)), {}, "is of concept 1 (counted from 0)"),
    ],
)
def test_what_cannot_be_learned_is_named(model: Model, data: Dataset, settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(TrainingError) as error:
        train_textual_inversion(model, data, **(INVERSION | settings))
    assert reason in str(error.value)


def test_concepts_have_words_of_their_own(model: Model) -> None:
    """Each picture without a token is called by that of its concept."""
    items = [replace(item, concept=number % 2) for number, item in enumerate(PLAIN.items)]
    said = Sentences(("<one>", "<two>"), ("it is {}",))
    material = WordMaterial(model, Dataset(tuple(items)), context(None), said)
    assert isinstance(material, Material)
    samples = _samples(3)
    assert material.captions(items, samples, "", 0.0) == ["it is <one>", "it is <two>", "it is <one>"]
    assert material.captions(items, samples, "", 1.0) == ["", "", ""]


def test_pictures_are_placed_by_their_number(model: Model) -> None:
    """Each sample is the same whatever batch it is in; captions and masks say what is shown."""
    data = Dataset(tuple(tiny_items(("<new>",) * 24, side=SIDE)))
    material = ScaledMaterial(model, data, context(None), Sentences(("<new>",), ()))
    samples = _samples(24)
    views = material.views(data.items, samples, "")
    whole = material.latents(data.items, views, samples, "")
    part = samples.part(5, 7)
    assert torch.equal(
        material.latents(data.items[5:7], material.views(data.items[5:7], part, ""), part, ""), whole[5:7]
    )
    captions = material.captions(data.items, samples, "", 0.0)
    masks = material.masks(data.items, views, (8, 8))
    assert masks is not None
    starts = ("a far away ", "very small ", "zoomed in ", "close up ")
    assert {caption.removesuffix("<new>") for caption in captions} == {"", *starts}
    for caption, mask in zip(captions, masks, strict=True):
        if caption.startswith(starts[:2]):
            assert 0 < mask.sum() < 0.6**2 * 64
        elif caption.startswith(starts[2:]):
            assert mask.sum() == 64
    plain = material.views(data.items, samples, "validation ")
    assert torch.equal(
        material.latents(data.items, plain, samples, "validation "),
        Material.latents(material, data.items, plain, samples, "validation "),
    )


def _samples(count: int) -> Any:
    from weft.nodes.training.draws import Draws
    from weft.nodes.training.recipe import Samples

    return Samples(0, tuple(range(count)), tuple(range(count)), Draws(0))


@pytest.mark.parametrize(
    ("kind", "inputs", "reason"),
    [
        ("train_textual_inversion", {"tokens": ["two words"]}, "'two words' is no token"),
        ("train_textual_inversion", {"tokens": ["<a>", "<a>"]}, "'<a>' is there twice"),
        ("train_textual_inversion", {"tokens": []}, "there is no token"),
        ("train_custom_diffusion", {"tokens": ["<a>"], "init": ["red", "cat"]}, "2 texts are given for 1 tokens"),
        ("train_custom_diffusion", {"sentences": ["a photo"]}, "'a photo' has no {}"),
    ],
)
def test_wrong_words_are_found_before_a_run(kind: str, inputs: dict[str, Any], reason: str) -> None:
    graph = {
        "model": {"type": "load_model", "inputs": {"source": "shapes"}},
        "data": {"type": "shapes_dataset"},
        "words": {"type": kind, "inputs": {"model": {"link": "model"}, "dataset": {"link": "data"}, **inputs}},
    }
    found = check({"weft": 1, "nodes": graph}, targets=["words"])
    assert any(problem.node == "words" and reason in problem.message for problem in found)
