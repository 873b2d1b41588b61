"""Caches of pictures and captions: an item a key, a bad picture named, and a training learns the same with them."""

from __future__ import annotations

import dataclasses
import importlib
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.nodes.data.conftest import Pictures
from tests.nodes.training.train_case import context, dataset
from weft.engine import Cache, run
from weft.engine.filehash import forget
from weft.nodes import cache_latents, cache_text, dataset_captioned, dataset_folder
from weft.nodes.train.train_lora import train_lora
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.material import Material
from weft.nodes.values import Model
from weft.nodes.values.training import Dataset, LatentCache

encoding = importlib.import_module("weft.nodes.training.encoding")
pytestmark = pytest.mark.usefixtures("one_thread")


class Calls:
    """Counts what a function is called with."""

    def __init__(self, function: Any) -> None:
        self.count = 0
        self._function = function

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.count += 1
        return self._function(*args, **options)

    def taken(self) -> int:
        count, self.count = self.count, 0
        return count


@pytest.fixture
def vae_calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls(encoding.posterior)
    monkeypatch.setattr(encoding, "posterior", calls)
    return calls


@pytest.fixture
def text_calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls(encoding.encode)
    monkeypatch.setattr(encoding, "encode", calls)
    return calls


def test_one_picture_more_costs_one_encode(model: Model, tmp_path: Path, vae_calls: Calls) -> None:
    data = dataset(4)
    few = cache_latents(model, Dataset(data.items[:3]), ctx=context(tmp_path))
    assert (vae_calls.taken(), len(few.entries)) == (3, 3)
    more = cache_latents(model, data, ctx=context(tmp_path))
    assert (vae_calls.taken(), len(more.entries)) == (1, 4)
    assert all(torch.equal(more.entries[key][0], few.entries[key][0]) for key in few.entries)
    recaptioned = Dataset(tuple(dataclasses.replace(item, caption="other", role="class") for item in data.items))
    cache_latents(model, recaptioned, ctx=context(tmp_path))
    assert vae_calls.taken() == 0
    flipped = Dataset(tuple(dataclasses.replace(item, flip=True) for item in data.items))
    assert len(cache_latents(model, flipped, ctx=context(tmp_path)).entries) == 8
    assert vae_calls.taken() == 4


def test_one_caption_more_costs_one_encode(model: Model, tmp_path: Path, text_calls: Calls) -> None:
    data = dataset(3)
    few = cache_text(model, Dataset((*data.items[:2], data.items[0])), ctx=context(tmp_path))
    assert text_calls.taken() == 3
    assert set(few.entries) == {"", data.items[0].caption, data.items[1].caption}
    cache_text(model, data, ctx=context(tmp_path))
    assert text_calls.taken() == 1


def test_a_training_takes_what_was_cached_and_adds_what_lacks(
    model: Model, tmp_path: Path, vae_calls: Calls, text_calls: Calls
) -> None:
    data = dataset(4)
    latents = cache_latents(model, Dataset(data.items[:3]))
    texts = cache_text(model, Dataset(data.items[:3]))
    vae_calls.taken(), text_calls.taken()
    Material(model, data, context(None), latents=latents, texts=texts)
    assert (vae_calls.taken(), text_calls.taken()) == (1, 1)
    other = LatentCache("of another VAE", latents.entries)
    Material(model, data, context(None), latents=other, texts=texts)
    assert vae_calls.taken() == 4


def test_conditions_are_encoded_where_asked_for(model: Model, vae_calls: Calls) -> None:
    data = dataset(4)
    pairs = Dataset(tuple(dataclasses.replace(data.items[k], condition=data.items[k + 2].picture) for k in range(2)))
    assert len(cache_latents(model, pairs).entries) == 2
    assert len(cache_latents(model, pairs, conditions=True).entries) == 4
    assert vae_calls.taken() == 6


def test_a_training_with_caches_learns_the_same_to_the_last_bit(model: Model, tmp_path: Path) -> None:
    items = tuple(dataclasses.replace(item, flip=True, crops=2) for item in dataset(3).items)
    data = Dataset(items)
    options: dict[str, Any] = {"steps": 4, "rank": 2, "batch": 2, "seed": 3}
    plain = train_lora(model, data, ctx=context(tmp_path / "one"), **options)
    caches: dict[str, Any] = {"latents": cache_latents(model, data), "texts": cache_text(model, data)}
    cached = train_lora(model, data, ctx=context(tmp_path / "two"), **options, **caches)
    assert plain.adapter.digest == cached.adapter.digest
    assert plain.curve.column("loss") == cached.curve.column("loss")
    other = train_lora(model, data, ctx=context(tmp_path / "three"), **{**options, "seed": 4}, **caches)
    assert other.adapter.digest != plain.adapter.digest


def test_a_picture_that_is_damaged_inside_is_named_and_passed_over(
    model: Model, pictures: Pictures, caplog: pytest.LogCaptureFixture
) -> None:
    """Its header is sound, so the data set takes it."""
    for number in range(3):
        pictures.add(f"{number}.png", number, size=(64, 64))
    data = (pictures.folder / "1.png").read_bytes()
    (pictures.folder / "1.png").write_bytes(data[: len(data) // 2])
    found = dataset_folder(str(pictures.folder))
    assert len(found.items) == 3
    with caplog.at_level(logging.WARNING):
        cache = cache_latents(model, found)
    assert len(cache.entries) == 2
    assert len(cache.skipped) == 1
    assert "1.png" in cache.skipped[0]
    assert "1.png" in caplog.text
    material = Material(model, found, context(None), latents=cache)
    assert [item.picture.name for item in material.instances] == ["0.png", "2.png"]


def test_pictures_smaller_than_the_models_size_are_named(
    model: Model, pictures: Pictures, caplog: pytest.LogCaptureFixture
) -> None:
    pictures.add("large.png", size=(80, 64))
    pictures.add("little.png", 1, size=(80, 40))
    with caplog.at_level(logging.WARNING):
        cache_latents(model, dataset_folder(str(pictures.folder)))
    assert "1 pictures are enlarged" in caplog.text
    assert "little.png: 80 x 40 pixels for 64 x 64" in caplog.text


def test_a_vae_without_a_distribution_and_one_that_gives_no_numbers(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "posterior", lambda *args: None)
    with pytest.raises(TrainingError, match="latents without a distribution"):
        cache_latents(model, dataset(2))
    wrong = torch.full((1, 4, 8, 8), float("nan"))
    monkeypatch.setattr(encoding, "posterior", lambda *args: (wrong, wrong))
    with pytest.raises(TrainingError, match=r"0\.png what is no number: load the VAE in float32"):
        cache_latents(model, dataset(2))


def test_damaged_entries_are_made_again(model: Model, tmp_path: Path, vae_calls: Calls) -> None:
    data = dataset(2)
    first = cache_latents(model, data, ctx=context(tmp_path))
    files = sorted(tmp_path.rglob("*.safetensors"))
    assert len(files) == 2
    files[0].write_bytes(files[0].read_bytes()[:-4])
    files[1].write_bytes(b"")
    again = cache_latents(model, data, ctx=context(tmp_path))
    assert vae_calls.taken() == 4
    assert all(torch.equal(again.entries[key][1], first.entries[key][1]) for key in first.entries)


def test_in_a_graph_a_changed_caption_encodes_no_picture(pictures: Pictures, tmp_path: Path, vae_calls: Calls) -> None:
    for number in range(2):
        pictures.add(f"{number}.png", number, size=(128, 128))
        pictures.text(f"{number}.txt", "a red circle")
    nodes: dict[str, Any] = {
        "model": {"type": "load_model", "inputs": {"source": "shapes"}},
        "data": {"type": "dataset_captioned", "inputs": {"folder": str(pictures.folder)}},
        "latents": {
            "type": "cache_latents",
            "inputs": {"model": {"link": "model"}, "dataset": {"link": "data"}},
        },
        "texts": {"type": "cache_text", "inputs": {"model": {"link": "model"}, "dataset": {"link": "data"}}},
    }

    def made() -> tuple[int, int]:
        for file in pictures.folder.iterdir():
            forget(file)
        result = run({"weft": 1, "nodes": nodes}, targets=["latents", "texts"], cache=Cache(tmp_path / "cache"))
        return len(result["latents"].entries), vae_calls.taken()

    assert made() == (2, 2)
    pictures.text("1.txt", "a blue star")
    assert made() == (2, 0)
    pictures.add("2.png", 2, size=(128, 128))
    pictures.text("2.txt", "a green star")
    assert made() == (3, 1)


def test_captions_of_a_folder_reach_the_text_encoders(model: Model, pictures: Pictures) -> None:
    pictures.add("a.png")
    pictures.text("a.txt", "a red circle")
    texts = cache_text(model, dataset_captioned(str(pictures.folder)))
    assert set(texts.entries) == {"", "a red circle"}
    assert not torch.equal(texts.entries[""][0], texts.entries["a red circle"][0])
