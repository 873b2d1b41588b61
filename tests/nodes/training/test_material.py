"""A data set as recipes use it: roles, views, latents, masks and hints of samples, and what is passed over."""

from __future__ import annotations

import dataclasses
import importlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.nodes.training.train_case import context, dataset, half_mask, picture
from weft.nodes.training.draws import Draws
from weft.nodes.training.encoding import unreadable
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.material import Material
from weft.nodes.training.pictures import View, colour_of, digest_of
from weft.nodes.training.recipe import Samples
from weft.nodes.values import Model
from weft.nodes.values.training import Dataset, Item, Picture

module = importlib.import_module("weft.nodes.training.material")


def samples(*items: int) -> Samples:
    return Samples(0, tuple(range(len(items))), items, Draws(2))


def broken(number: int) -> Picture:
    """A header and no more."""
    data = picture(number).data[:60]
    return Picture(f"broken {number}.png", digest_of(data), data=data)


def test_roles_and_repeats(model: Model) -> None:
    data = dataset(3, held_out=2)
    items = [dataclasses.replace(data.items[0], repeats=3), dataclasses.replace(data.items[1], role="class", repeats=2)]
    material = Material(model, Dataset((*items, *data.items[2:])), context(None))
    assert [item.picture.name for item in material.instances] == ["0.png"] * 3 + ["2.png"]
    assert [item.picture.name for item in material.classes] == ["1.png"] * 2
    assert len(material.validation) == 2


@pytest.mark.parametrize("role", ["class", "validation"])
def test_nothing_to_learn_from(model: Model, role: Any) -> None:
    only = Dataset(tuple(dataclasses.replace(item, role=role) for item in dataset(2).items))
    with pytest.raises(TrainingError, match=f"no picture to learn from: all are {role}"):
        Material(model, only, context(None))
    with pytest.raises(TrainingError, match=r"no picture to train on could be read: broken 1\.png"):
        Material(model, Dataset((Item(broken(1)),)), context(None))


def test_masks_and_hints_that_cannot_be_read_are_passed_over_before_the_first_step(
    model: Model, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = dataset(4).items
    items = (
        dataclasses.replace(data[0], mask=broken(1)),
        dataclasses.replace(data[1], condition=broken(2)),
        dataclasses.replace(data[2], condition=picture(7), mask=half_mask()),
    )
    with caplog.at_level(logging.WARNING):
        material = Material(model, Dataset(items), context(tmp_path))
    assert [item.picture.name for item in material.instances] == ["2.png"]
    assert "0.png: broken 1.png" in caplog.text
    assert "1.png: broken 2.png" in caplog.text


def test_a_sound_hint_is_not_read_a_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoding: Any = importlib.import_module("weft.nodes.training.encoding")
    read: list[str] = []

    def reading(part: Picture) -> np.ndarray:
        read.append(part.name)
        return colour_of(part)

    monkeypatch.setattr(encoding, "colour_of", reading)
    parts = [picture(1), picture(1), broken(2)]
    for more in ([], [picture(3)]):
        found = unreadable([*parts, *more], context(tmp_path))
        assert list(found) == [broken(2).digest]
    assert read == ["1.png", "broken 2.png", "broken 2.png", "3.png"]


def test_hints_and_masks_are_cut_as_the_picture_is(model: Model) -> None:
    own = picture(5, 128)
    item = Item(own, condition=own, mask=own, crops=4, flip=True)
    material = Material(model, Dataset((item,)), context(None))
    for view in (View((64, 64)), View((64, 64), 2), View((64, 64), 3, True)):
        expected = torch.from_numpy(view.of(colour_of(own)))
        hint = material.hints([item], [view])[0].permute(1, 2, 0)
        assert (hint - expected).abs().max() < 0.6 / 255
        mask = material.masks([item], [view], (8, 8))
        assert mask is not None
        plane = expected.mean(dim=2).reshape(8, 8, 8, 8).mean(dim=(1, 3))
        assert (mask[0, 0] - plane).abs().max() < 1 / 255


def test_memory_for_hints_is_bounded(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [Item(picture(k), condition=picture(10 + k)) for k in range(4)]
    material = Material(model, Dataset(tuple(items)), context(None))
    view = View((64, 64))
    monkeypatch.setattr(module, "RECENT_BYTES", 2 * 64 * 64 * 3)
    first = material.hints(items, [view] * 4)
    assert len(material._recent) == 2
    assert torch.equal(material.hints(items, [view] * 4), first)
    assert material._recent_bytes == sum(pixels.nbytes for pixels in material._recent.values())


def test_latents_are_drawn_anew_for_each_sample_and_the_same_again(model: Model) -> None:
    data = dataset(2)
    material = Material(model, data, context(None))
    items, views = [data.items[0]] * 2, [View((64, 64))] * 2
    drawn = material.latents(items, views, samples(0, 0), "")
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn, material.latents(items, views, samples(0, 0), ""))
    assert not torch.equal(drawn, material.latents(items, views, samples(0, 0), "class "))


def test_captions_are_dropped_at_their_share(model: Model) -> None:
    material = Material(model, dataset(1), context(None))
    many = Samples(0, tuple(range(1000)), (0,) * 1000, Draws(1))
    items = [material.instances[0]] * 1000
    said = material.captions(items, many, "", 0.3)
    assert 250 < said.count("") < 350
    assert said == material.captions(items, many, "", 0.3)
    assert "" not in material.captions(items, many, "", 0.0)


def test_a_class_image_of_each_size_has_to_be_there(model: Model) -> None:
    large = Item(picture(1), size=(128, 64))
    material = Material(model, Dataset((large, Item(picture(2), role="class"))), context(None))
    with pytest.raises(TrainingError, match="no class image is 128 x 64"):
        material.class_items(samples(0), 1)
