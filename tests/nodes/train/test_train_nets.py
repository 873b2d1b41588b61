"""train_controlnet, train_t2i_adapter and train_ip_adapter: what comes out, what stays, and what is refused."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.nodes.techniques.adapters import checksum
from tests.tiny_hints import Stopped, hinted_item, tiny_hints, tiny_picture, without_hint
from tests.tiny_nets import tiny_adapter, tiny_controlnet
from weft.engine import Cache, Cancelled, check, run
from weft.nodes import (
    load_controlnet,
    load_ip_adapter,
    load_t2i_adapter,
    train_controlnet,
    train_ip_adapter,
    train_t2i_adapter,
)
from weft.nodes.training.errors import TrainingError
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Dataset, Picture

Models = Callable[[str], Model]
STEPS = 3
EMBEDDING = [4, 8, 8, 16]
KINDS = ("controlnet", "t2i_adapter", "ip_adapter")


@pytest.fixture(scope="module")
def encoder(image_encoder: Path) -> str:
    """A tiny image encoder, as nodes name it."""
    return str(image_encoder)


@pytest.fixture(scope="module")
def trainers(models: Models, encoder: str) -> dict[str, Callable[..., Trained]]:
    """The nodes by kind, with what small models need."""
    own: dict[str, Any] = {"learning_rate": 1e-3, "batch": 2, "steps": STEPS}

    def controlnet(model: Model | None = None, dataset: Dataset | None = None, **more: Any) -> Trained:
        given = {**own, "embedding": EMBEDDING, **more}
        return train_controlnet(model or models("sd1"), dataset or tiny_hints(), **given)

    def t2i_adapter(model: Model | None = None, dataset: Dataset | None = None, **more: Any) -> Trained:
        return train_t2i_adapter(model or models("sd1"), dataset or tiny_hints(), **{**own, **more})

    def ip_adapter(model: Model | None = None, dataset: Dataset | None = None, **more: Any) -> Trained:
        given = {**own, "image_encoder": encoder, **more}
        return train_ip_adapter(model or models("sd1"), dataset or tiny_hints(), **given)

    return {"controlnet": controlnet, "t2i_adapter": t2i_adapter, "ip_adapter": ip_adapter}


Trainers = dict[str, Callable[..., Trained]]


def same(one: Trained, other: Trained) -> bool:
    pairs = zip(one.adapter.tensors.items(), other.adapter.tensors.items(), strict=True)
    return all(name == second and torch.equal(a, b) for (name, a), (second, b) in pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_net_learns_and_two_runs_are_equal(kind: str, trainers: Trainers, models: Models) -> None:
    before = checksum(models("sd1"))
    random = torch.get_rng_state()
    first = trainers[kind]()
    assert checksum(models("sd1")) == before
    assert torch.equal(torch.get_rng_state(), random)
    torch.rand(3)
    assert same(first, trainers[kind]())
    assert (first.adapter.kind, first.adapter.family) == (kind, "sd1")
    assert first.adapter.base == models("sd1").fingerprint
    assert first.curve.column("loss")[0] == [1, 2, 3]
    assert all(not parameter.requires_grad for parameter in models("sd1").parts().unet.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_cancelled_and_run_again_ends_bit_equal(kind: str, trainers: Trainers, tmp_path: Path) -> None:
    options = TrainOptions(accumulation=2, ema=0.9)
    straight = trainers[kind](options=options, ctx=Stopped(tmp_path / "straight", STEPS))
    folder = tmp_path / "again"
    for step, at in ((1, 1), (2, 0)):
        with pytest.raises(Cancelled):
            trainers[kind](options=options, ctx=Stopped(folder, STEPS, step, at))
    again = trainers[kind](options=options, ctx=Stopped(folder, STEPS))
    assert same(straight, again)
    assert straight.curve.column("loss") == again.curve.column("loss")
    assert straight.adapter.digest == again.adapter.digest


def test_more_steps_go_on_from_fewer(trainers: Trainers, tmp_path: Path) -> None:
    trainers["t2i_adapter"](ctx=Stopped(tmp_path, STEPS))
    longer = Stopped(tmp_path, STEPS + 2)
    found = trainers["t2i_adapter"](steps=STEPS + 2, ctx=longer)
    assert same(found, trainers["t2i_adapter"](steps=STEPS + 2))
    assert next(data for kind, data in longer.reports if kind == "train.steps")["first"] == STEPS + 1


SETTINGS: dict[str, list[dict[str, Any]]] = {
    "controlnet": [{"embedding": [4, 8, 16, 16]}],
    "t2i_adapter": [{"size": "light"}, {"blocks": 1}, {"grayscale": True}, {"timesteps": "uniform"}],
    "ip_adapter": [{"prompt_with": "condition"}, {"image_dropout": 0.9}, {"both_dropout": 0.9}],
}
COMMON: list[dict[str, Any]] = [
    {"seed": 1},
    {"learning_rate": 2e-3},
    {"batch": 1},
    {"options": TrainOptions(caption_dropout=0.8)},
    {"options": TrainOptions(snr_gamma=1e-3)},
    {"options": TrainOptions(max_timestep=300)},
]


@pytest.mark.parametrize("kind", KINDS)
def test_each_setting_changes_the_result(kind: str, trainers: Trainers) -> None:
    digests = {trainers[kind](steps=2).adapter.digest}
    cases = [*SETTINGS[kind], *COMMON]
    for number, case in enumerate(cases):
        digests.add(trainers[kind](**{"steps": 2, **case}).adapter.digest)
        assert len(digests) == number + 2, case


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_checkpointing_changes_no_weight_by_more_than_rounding(kind: str, trainers: Trainers) -> None:
    plain = trainers[kind](steps=2).adapter.tensors
    sparing = trainers[kind](steps=2, options=TrainOptions(gradient_checkpointing=True)).adapter.tensors
    for name, tensor in plain.items():
        torch.testing.assert_close(sparing[name], tensor, rtol=1e-4, atol=1e-5)


def test_a_trained_controlnet_is_diffusers_own(trainers: Trainers, models: Models, tmp_path: Path) -> None:
    from diffusers import ControlNetModel

    adapter = trainers["controlnet"]().adapter
    assert adapter.settings["config"]["_class_name"] == "ControlNetModel"
    net = ControlNetModel.from_config(adapter.settings["config"])
    net.load_state_dict({name.removeprefix("net."): tensor for name, tensor in adapter.tensors.items()})
    source = torch.Generator().manual_seed(1)
    noisy, text, hint = (torch.rand(shape, generator=source) for shape in ((2, 4, 4, 4), (2, 77, 32), (2, 3, 32, 32)))
    net.save_pretrained(tmp_path / "net")
    handle = load_controlnet(str(tmp_path / "net"))
    assert handle.family == "sd1"
    with torch.no_grad():
        down, middle = net(noisy, 500, text, hint, return_dict=False)
        assert middle.any()  # what began as zeros has learned
        again = ControlNetModel.from_pretrained(tmp_path / "net")(noisy, 500, text, hint, return_dict=False)
    assert all(torch.equal(a, b) for a, b in zip([*down, middle], [*again[0], again[1]], strict=True))
    # The same goes on from it: with no steps' worth of learning rate it stays what it is.
    on = trainers["controlnet"](net=handle, learning_rate=0.0, steps=1, embedding=[1]).adapter
    assert all(torch.equal(on.tensors[name], tensor) for name, tensor in adapter.tensors.items())
    learned = trainers["controlnet"](net=handle, steps=1).adapter
    assert any(not torch.equal(learned.tensors[name], tensor) for name, tensor in adapter.tensors.items())


@pytest.mark.parametrize(("name", "size"), [("sd1_four", "full"), ("sd1_four", "light"), ("sdxl", "full")])
def test_a_trained_t2i_adapter_is_diffusers_own(
    name: str, size: str, trainers: Trainers, models: Models, tmp_path: Path
) -> None:
    from diffusers import T2IAdapter

    adapter = trainers["t2i_adapter"](models(name), tiny_hints(side=64), size=size, steps=1).adapter
    net = T2IAdapter.from_config(adapter.settings["config"])
    net.load_state_dict({part.removeprefix("net."): tensor for part, tensor in adapter.tensors.items()})
    net.save_pretrained(tmp_path / "net")
    handle = load_t2i_adapter(str(tmp_path / "net"))
    assert (handle.family == "sdxl") == (name == "sdxl")
    on = trainers["t2i_adapter"](models(name), tiny_hints(side=64), net=handle, learning_rate=0.0, steps=1).adapter
    assert all(torch.equal(on.tensors[part], tensor) for part, tensor in adapter.tensors.items())


def test_a_trained_ip_adapter_is_read_as_published_ones_are(trainers: Trainers, encoder: str, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    adapter = trainers["ip_adapter"]().adapter
    save_file(dict(adapter.tensors), tmp_path / "ip-adapter.safetensors")
    handle = load_ip_adapter(str(tmp_path / "ip-adapter.safetensors"), image_encoder=encoder)
    assert (handle.sites, handle.width) == (6, 32)
    assert adapter.settings["config"]["image_encoder"] == encoder


def test_sdxl(trainers: Trainers, models: Models) -> None:
    adapter = trainers["controlnet"](models("sdxl"), tiny_hints(side=64), steps=1).adapter
    assert adapter.family == "sdxl"
    assert "net.add_embedding.linear_1.weight" in adapter.tensors
    with pytest.raises(TrainingError, match="light T2I-Adapter"):
        trainers["t2i_adapter"](models("sdxl"), tiny_hints(side=64), size="light")


@pytest.mark.parametrize("kind", KINDS)
def test_validation_pictures_show_what_was_learned(kind: str, trainers: Trainers) -> None:
    options = TrainOptions(validate_every=1, validation_prompts=("a red circle",), validation_steps=1)
    first = trainers[kind](steps=1, learning_rate=1.0, options=options)
    other = trainers[kind](steps=1, learning_rate=0.5, options=options)
    assert [image.pixels.shape for image in first.images] == [(1, 32, 32, 3)]
    assert not torch.equal(first.images[0].pixels, other.images[0].pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_train_load_use_and_denoise_in_one_graph(kind: str, models: Models, encoder: str, tmp_path: Path) -> None:
    """One document: the adapter goes from the training to its loader by wire, and what it learned is in the picture."""
    inputs: dict[str, Any] = {"steps": 1, "learning_rate": 1e-2}
    inputs |= {"embedding": EMBEDDING} if kind == "controlnet" else {}
    inputs |= {"image_encoder": encoder} if kind == "ip_adapter" else {}

    def document(**more: Any) -> dict[str, Any]:
        link = {"model": {"link": "model"}, "dataset": {"link": "data"}}
        hint = "image" if kind == "ip_adapter" else "hint"
        return {
            "weft": 1,
            "nodes": {
                "model": {"type": "load_model", "inputs": {"source": models("sd1").location, "dtype": "float32"}},
                "data": {"type": "shapes_dataset", "inputs": {"pairs": "edges", "count": 2}},
                "train": {"type": f"train_{kind}", "inputs": {**link, **inputs, **more}},
                "net": {"type": f"load_{kind}", "inputs": {"adapter": {"link": "train.adapter"}}},
                "hint": {"type": "load_image", "inputs": {"path": str(tmp_path / "hint.png")}},
                "control": {"type": kind, "inputs": {"net": {"link": "net"}, hint: {"link": "hint"}}},
                "prompt": {"type": "encode_prompt", "inputs": {"model": {"link": "model"}, "text": "a red circle"}},
                "cfg": {"type": "cfg", "inputs": {"prompt": {"link": "prompt"}}},
                "denoise": {
                    "type": "denoise",
                    "inputs": {
                        "model": {"link": "model"},
                        "guidance": [{"link": "cfg"}],
                        "controls": [{"link": "control"}],
                        "steps": 2,
                        "width": 32,
                        "height": 32,
                    },
                },
            },
        }

    (tmp_path / "hint.png").write_bytes(tiny_picture(8).data)
    found = [
        run(document(**more), targets=["denoise.latents"], cache=Cache(tmp_path / "cache"))["denoise.latents"].samples
        for more in ({}, {"learning_rate": 3e-2})
    ]
    assert all(bool(torch.isfinite(samples).all()) for samples in found)
    assert not torch.equal(*found)


@pytest.mark.parametrize("kind", ["controlnet", "t2i_adapter"])
def test_items_without_a_hint_and_of_other_shapes_are_named_at_once(kind: str, trainers: Trainers) -> None:
    good = tiny_hints(6)
    wide = dataclasses.replace(good.items[3], condition=tiny_picture(77, 48, 32, "wide.png"))
    odd = hinted_item(9, side=36)
    items = (*without_hint(good, 0, 2).items[:3], wide, odd)
    with pytest.raises(TrainingError) as caught:
        trainers[kind](dataset=Dataset(items))
    text = str(caught.value)
    for part in (
        "of 5",
        "2 without a condition: picture-0.png, picture-2.png",
        "48 x 32 of wide.png beside 32 x 32 of picture-3.png",
        "picture-9.png at 36 x 36, not multiples of 8",
    ):
        assert part in text, text


def test_a_hint_of_another_size_and_one_shape_is_scaled(trainers: Trainers) -> None:
    small = tiny_hints(1)
    large = dataclasses.replace(small.items[0], condition=tiny_picture(3, 64, 64))
    assert trainers["t2i_adapter"](dataset=Dataset((large,)), steps=1).adapter.digest


def test_a_hint_that_cannot_be_read_is_passed_over(trainers: Trainers, caplog: pytest.LogCaptureFixture) -> None:
    broken = dataclasses.replace(hinted_item(5), condition=Picture("broken.png", "0" * 40, data=b"nothing"))
    good = tiny_hints(2)
    found = trainers["t2i_adapter"](dataset=Dataset((*good.items, broken)))
    assert "the condition of picture-5.png" in caplog.text
    assert same(found, trainers["t2i_adapter"](dataset=good))


def test_what_does_not_fit_the_model_is_refused(trainers: Trainers, models: Models, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"16 times smaller.* give 4"):
        trainers["controlnet"](embedding=[4, 8, 8, 8, 16])
    with pytest.raises(TrainingError, match="reads 9 channels"):
        trainers["controlnet"](models("sd1_inpaint"))
    other = load_controlnet(str(tiny_controlnet(tmp_path / "net", Path(models("sdxl").location))))
    with pytest.raises(TrainingError, match="SDXL"):
        trainers["controlnet"](net=other)
    adapter = load_t2i_adapter(str(tiny_adapter(tmp_path / "adapter", Path(models("sd1_four").location))))
    with pytest.raises(TrainingError, match="it is for another model"):
        trainers["t2i_adapter"](net=adapter)


WRONG: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "no layers": ("train_controlnet", {"embedding": []}, "embedding", "empty"),
    "a layer of nothing": ("train_controlnet", {"embedding": [16, 0, 96, 256]}, "embedding", "holds 0"),
    "shares": ("train_ip_adapter", {"image_dropout": 0.6, "both_dropout": 0.6}, "both_dropout", "more than all"),
    "no encoder": ("train_ip_adapter", {"image_encoder": "shapes-clap"}, "image_encoder", "shapes-cl"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_literals_are_told_before_the_run(case: str) -> None:
    node, inputs, field, words = WRONG[case]
    graph = {
        "model": {"type": "load_model", "inputs": {"source": "shapes"}},
        "data": {"type": "shapes_dataset", "inputs": {"pairs": "edges"}},
        "train": {"type": node, "inputs": {"model": {"link": "model"}, "dataset": {"link": "data"}, **inputs}},
    }
    (found,) = check({"weft": 1, "nodes": graph}, targets=["train"])
    assert (found.node, found.input) == ("train", field)
    assert words in found.message
