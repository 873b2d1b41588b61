"""The recipe of IP-Adapters: the step of diffusers' attention with image prompts, what is left out, and pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.net_reference import TOLERANCE, Reference
from tests.tiny_hints import Stopped, hinted_item, tiny_hints, tiny_picture
from weft.engine import Context
from weft.nodes.models.description import Description
from weft.nodes.nets.image_prompt import describe_image_encoder
from weft.nodes.training import image_states
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.image_states import prompted
from weft.nodes.training.material import Material
from weft.nodes.training.recipe import Samples
from weft.nodes.training.recipes.ip_adapter import IPAdapterRecipe, IPAdapterSettings
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Dataset, Item, Picture

Models = Callable[[str], Model]
CPU = torch.device("cpu")
SEED = 7


@pytest.fixture(scope="module")
def encoder(image_encoder: Path) -> Description:
    """A tiny image encoder."""
    return describe_image_encoder(image_encoder)


def recipe_of(
    model: Model,
    encoder: Description,
    dataset: Dataset,
    options: TrainOptions | None = None,
    own: IPAdapterSettings | None = None,
) -> IPAdapterRecipe:
    images, seen = prompted(encoder, CPU, dataset, "picture", Context())
    material = Material(model, seen, Context())
    own = own or IPAdapterSettings(0.0, 0.0, 5)
    return IPAdapterRecipe(model, material, options or TrainOptions(), own, images, "an encoder")


def diffusers_unet(recipe: IPAdapterRecipe) -> Any:
    """The denoiser with the adapter, as diffusers loads its published names."""
    from weft.nodes.training.denoiser import shared_copy

    weights = {name: item.detach().clone() for group in recipe.groups().values() for name, item in group.items()}
    tensors = recipe.export(weights).tensors
    unet = shared_copy(recipe.parts.unet)
    image = {name.removeprefix("image_proj."): t for name, t in tensors.items() if name.startswith("image_proj.")}
    keys = {name.removeprefix("ip_adapter."): t for name, t in tensors.items() if name.startswith("ip_adapter.")}
    unet._load_ip_adapter_weights([{"image_proj": image, "ip_adapter": keys}], low_cpu_mem_usage=False)
    return unet


@pytest.mark.parametrize("name", ["sd1", "sd2", "sdxl"])
def test_first_loss_and_gradients(name: str, models: Models, encoder: Description) -> None:
    side = 64 if name == "sdxl" else 32
    model, dataset = models(name), tiny_hints(side=side)
    recipe = recipe_of(model, encoder, dataset)
    with torch.no_grad():
        for part in recipe.groups()["net"].values():
            part.add_(0.05 * torch.randn(part.shape, generator=torch.Generator().manual_seed(part.numel())))
    samples = Samples(0, (0, 1, 2), (2, 0, 1), Draws(SEED))
    loss = recipe.losses(samples).mean()
    loss.backward()
    reference, unet = Reference(model), diffusers_unet(recipe)
    items = [dataset.items[place] for place in samples.items]
    times = (samples.draws.uniform("timestep", samples.numbers) * 1000).long()
    step = reference.inputs(items, [item.caption for item in items], samples.numbers, times, samples.draws)
    learned = {n: p for n, p in unet.named_parameters() if "_ip." in n or n.startswith("encoder_hid_proj.")}
    for parameter in learned.values():
        parameter.requires_grad_(True)
    images = torch.stack([recipe.images.entries[item.picture.digest] for item in items])
    prediction = unet(
        step.noisy, times, step.text, added_cond_kwargs={"image_embeds": [images[:, None]], **(step.added or {})}
    ).sample
    theirs = reference.plain_loss(prediction, step)
    theirs.backward()
    torch.testing.assert_close(loss, theirs, rtol=1e-5, atol=0)
    projection = unet.encoder_hid_proj.image_projection_layers[0]
    others = {"proj": projection.image_embeds, "norm": projection.norm}
    pairs = [
        (parameter, others[name.split(".")[0]].get_parameter(name.split(".")[1]))
        for name, parameter in recipe.projection.named_parameters()
    ]
    for site in recipe.sites:
        own, other = (one.get_submodule(f"{site}.processor") for one in (recipe.unet, unet))
        pairs += [(own.to_k_ip.weight, other.to_k_ip[0].weight), (own.to_v_ip.weight, other.to_v_ip[0].weight)]
    assert len(pairs) == len(learned) == len(recipe.groups()["net"])
    mine, scripts = (torch.cat([pair[k].grad.flatten() for pair in pairs]) for k in (0, 1))  # type: ignore[union-attr]
    assert all(pair[0].grad.any() for pair in pairs)
    assert (mine - scripts).norm() / scripts.norm() < TOLERANCE[name]


def test_keys_and_values_begin_as_those_of_text(models: Models, encoder: Description) -> None:
    recipe = recipe_of(models("sd1"), encoder, tiny_hints())
    attention = recipe.parts.unet.get_submodule(recipe.sites[0])
    found = recipe.groups()["net"]
    assert torch.equal(found["net.ip_adapter.1.to_k_ip.weight"], attention.to_k.weight)
    assert torch.equal(found["net.ip_adapter.1.to_v_ip.weight"], attention.to_v.weight)
    assert found["net.ip_adapter.1.to_k_ip.weight"].data_ptr() != attention.to_k.weight.data_ptr()
    assert list(found)[:4] == [f"net.image_proj.{n}" for n in ("proj.weight", "proj.bias", "norm.weight", "norm.bias")]


def test_shares_of_samples_go_without(models: Models, encoder: Description) -> None:
    """0.2 without caption, 0.3 without both, 0.1 without picture: each sample falls into one of them."""
    own, options = IPAdapterSettings(0.1, 0.3, 5), TrainOptions(caption_dropout=0.2)
    recipe = recipe_of(models("sd1"), encoder, tiny_hints(1), options, own)
    count = 1500
    samples = Samples(0, tuple(range(count)), (0,) * count, Draws(SEED))
    batch = recipe.batch([recipe.material.instances[0]] * count, samples, "")
    told = torch.tensor([bool(caption) for caption in recipe.captions(batch)])
    seen = recipe._states(batch).any(dim=1)
    shares = [
        float((told == one).logical_and(seen == other).double().mean())
        for one, other in ((False, True), (False, False), (True, False), (True, True))
    ]
    for share, wanted in zip(shares, (0.2, 0.3, 0.1, 0.4), strict=True):
        assert abs(share - wanted) < 0.04


def test_shares_of_more_than_all_samples_are_refused(models: Models, encoder: Description) -> None:
    with pytest.raises(TrainingError, match="add up to 1"):
        recipe_of(models("sd1"), encoder, tiny_hints(), TrainOptions(caption_dropout=0.5), IPAdapterSettings(0.3, 0.3))


def test_each_picture_is_encoded_once_and_one_more_costs_one(
    encoder: Description, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    real = image_states.encode_pictures

    def counted(*given: Any) -> Any:
        calls.append(1)
        return real(*given)

    monkeypatch.setattr(image_states, "encode_pictures", counted)
    first, _ = prompted(encoder, CPU, tiny_hints(3), "picture", Stopped(tmp_path, 0))
    again, _ = prompted(encoder, CPU, tiny_hints(4), "picture", Stopped(tmp_path, 0))
    assert len(calls) == 4
    for name, state in first.entries.items():
        assert torch.equal(again.entries[name], state)
    conditions, _ = prompted(encoder, CPU, tiny_hints(3), "condition", Stopped(tmp_path, 0))
    assert not set(conditions.entries) & set(first.entries)


def test_a_picture_that_cannot_be_read_is_passed_over(encoder: Description, caplog: pytest.LogCaptureFixture) -> None:
    broken = Item(Picture("broken.png", "0" * 40, data=b"no picture"), "a red circle", size=(32, 32))
    images, left = prompted(encoder, CPU, Dataset((hinted_item(0), broken)), "picture", Context())
    assert [item.picture.name for item in left.items] == ["picture-0.png"]
    assert len(images.entries) == 1
    assert "broken.png" in left.skipped[0]
    assert "broken.png" in caplog.text


def test_conditions_that_prompt_may_have_any_shape_but_must_be_there(encoder: Description) -> None:
    wide = Item(tiny_picture(1), "a red circle", condition=tiny_picture(2, 48, 20), size=(32, 32))
    images, _ = prompted(encoder, CPU, Dataset((wide,)), "condition", Context())
    assert list(images.entries) == [wide.condition.digest if wide.condition else ""]
    bare = Item(tiny_picture(3), "a blue square", size=(32, 32))
    with pytest.raises(TrainingError, match=r"1 without a condition: picture-3\.png"):
        prompted(encoder, CPU, Dataset((wide, bare)), "condition", Context())
