"""Folders: what is accepted, what is refused and in which words, and that the weights are the files'."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file

from tests.tiny import copy_model, tiny_sd1
from weft.engine import Context, InputPathError
from weft.nodes import load_model
from weft.nodes.models.errors import ModelError
from weft.nodes.models.locate import locate, weights_fingerprint


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file (None removes), by replacing it: other copies share its bytes."""
    content = {k: v for k, v in {**json.loads(path.read_text()), **changes}.items() if v is not None}
    path.unlink()
    path.write_text(json.dumps(content))


def rewrite(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    path.unlink()
    save_file(tensors, path)


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Path:
    return copy_model(models / "sd1", tmp_path / "copy")


@pytest.mark.parametrize(
    ("name", "family", "prediction", "encoders"),
    [
        ("sd1", "sd1", "epsilon", 1),
        ("sd1_old", "sd1", "epsilon", 1),
        ("sd2", "sd2", "v_prediction", 1),
        ("sdxl", "sdxl", "epsilon", 2),
        ("sdxl_old", "sdxl", "epsilon", 2),
    ],
)
def test_a_folder_is_understood(models: Path, name: str, family: str, prediction: str, encoders: int) -> None:
    model = load_model(str(models / name))
    assert (model.family, model.prediction, model.size, model.scale_factor) == (family, prediction, 128, 8)
    assert (model.unet_channels, model.latent_channels) == (4, 4)
    assert model.scaling_factor == (0.13025 if family == "sdxl" else 0.18215)
    assert model.scheduler["prediction_type"] == prediction
    parts = model.parts()
    assert len(parts.text_encoders) == len(parts.tokenizers) == encoders
    assert str(parts.unet.device) == model.device == "cpu"
    assert {p.dtype for p in parts.unet.parameters()} == {torch.float32}
    assert not any(p.requires_grad for p in parts.unet.parameters())
    assert not parts.unet.training


@pytest.mark.parametrize("name", ["sd1", "sd1_old", "sd2"])
def test_modules_equal_those_of_diffusers(models: Path, name: str) -> None:
    ours = load_model(str(models / name)).parts()
    theirs = StableDiffusionPipeline.from_pretrained(models / name, safety_checker=None)
    latents = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    text = torch.randn(2, 77, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(ours.unet(latents, 500, text).sample, theirs.unet(latents, 500, text).sample)
        assert torch.equal(ours.vae.decode(latents).sample, theirs.vae.decode(latents).sample)
        ids = torch.tensor([[3, 7, 11]])
        assert torch.equal(ours.text_encoders[0](ids)[0], theirs.text_encoder(ids)[0])


def test_a_model_runs_within_a_graph_and_from_the_cache(models: Path, tmp_path: Path) -> None:
    from weft.engine import Cache, run
    from weft.graphs import Graph

    results = []
    for _ in range(2):
        with Graph() as graph:
            model = load_model(str(models / "sd1"))
        results.append(run(graph, targets=[model], cache=Cache(tmp_path / "cache")))
    assert [result.ran for result in results] == [1, 0]
    assert results[1][model].family == "sd1"
    assert results[1][model].parts().unet is not None


def test_tokenizer_length_is_the_models_own(models: Path) -> None:
    assert load_model(str(models / "sd1_old")).parts().tokenizers[0].model_max_length == 40
    assert load_model(str(models / "sd1")).parts().tokenizers[0].model_max_length == 77


def test_old_vae_attention_names_are_read(copy: Path) -> None:
    path = copy / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, tensor in weights.items():
        for new, before in old.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{before}.")
        renamed[name] = tensor
    assert renamed.keys() != weights.keys()
    rewrite(path, renamed)
    loaded = load_model(str(copy)).parts().vae.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in weights.items())


def test_sharded_weights_are_read(copy: Path) -> None:
    folder = copy / "unet"
    weights = load_file(folder / "diffusion_pytorch_model.safetensors")
    UNet2DConditionModel.from_pretrained(folder).save_pretrained(copy / "sharded", max_shard_size="300KB")
    shutil.rmtree(folder)
    (copy / "sharded").rename(folder)
    assert len(list(folder.glob("*-of-*.safetensors"))) > 1
    loaded = load_model(str(copy)).parts().unet.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in weights.items())
    next(iter(sorted(folder.glob("*-of-*.safetensors")))).unlink()
    with pytest.raises(ModelError, match=r"lacks diffusion_pytorch_model-00001-of-.*, which .*index\.json names"):
        load_model(str(copy))


def test_an_index_may_not_lead_out_of_its_folder(copy: Path) -> None:
    folder = copy / "unet"
    (folder / "diffusion_pytorch_model.safetensors").unlink()
    index = {"weight_map": {"conv_in.weight": "../vae/diffusion_pytorch_model.safetensors"}}
    (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ModelError, match="names no files in its weight_map"):
        load_model(str(copy))


def test_float16_files_serve_only_where_plain_ones_are_missing(copy: Path) -> None:
    plain = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(plain)
    half = {name: tensor.half() for name, tensor in weights.items()}
    save_file(half, copy / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    assert torch.equal(load_model(str(copy)).parts().unet.conv_in.weight, weights["conv_in.weight"])
    plain.unlink()
    loaded = load_model(str(copy)).parts().unet
    assert loaded.dtype == torch.float32
    assert torch.equal(loaded.conv_in.weight, half["conv_in.weight"].float())


def test_dtype_is_honoured_and_the_sdxl_vae_kept_wide(models: Path, tmp_path: Path) -> None:
    parts = load_model(str(models / "sdxl"), dtype="float16").parts()
    assert parts.unet.dtype == parts.text_encoders[1].dtype == torch.float16
    assert parts.vae.dtype == torch.float32
    assert load_model(str(models / "sd1"), dtype="float16").parts().vae.dtype == torch.float16
    fixed = copy_model(models / "sdxl", tmp_path / "fixed")
    edit(fixed / "vae" / "config.json", force_upcast=False)
    assert load_model(str(fixed), dtype="float16").parts().vae.dtype == torch.float16
    assert load_model(str(models / "sdxl"), dtype="bfloat16").parts().vae.dtype == torch.bfloat16


def test_a_device_that_is_absent_is_said_before_anything_is_read(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="device 'cuda:7' is not there; this machine has cpu"):
        load_model(str(models / "sd1"), device="cuda:7")


def test_nothing_is_printed_on_stdout(models: Path, capfd: pytest.CaptureFixture[str]) -> None:
    model = load_model(str(models / "sdxl"))
    parts = model.parts()
    assert parts.unet is not None
    assert parts.tokenizers
    out, err = capfd.readouterr()
    assert out == ""
    assert "%|" not in err  # no progress bar either


def test_files_that_changed_since_are_refused(copy: Path, residency: object) -> None:
    model = load_model(str(copy))
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    rewrite(path, {name: tensor + 1 for name, tensor in load_file(path).items()})
    with pytest.raises(ModelError, match="changed since it was loaded"):
        _ = model.parts().unet


def test_a_model_that_moved_is_found_by_its_source(
    copy: Path, residency: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copy.parent)
    model = load_model("copy")
    elsewhere = copy.parent / "elsewhere"
    elsewhere.mkdir()
    copy.rename(elsewhere / "copy")
    monkeypatch.chdir(elsewhere)
    assert model.parts().unet is not None


def test_the_fingerprint_follows_content_not_place_or_time(models: Path, copy: Path) -> None:
    before = weights_fingerprint(locate(str(models / "sd1")))
    assert weights_fingerprint(locate(str(copy))) == before
    os.utime(copy / "unet" / "config.json", (1, 1))
    (copy / "README.md").write_text("not part of the model")
    assert weights_fingerprint(locate(str(copy))) == before
    edit(copy / "scheduler" / "scheduler_config.json", beta_end=0.02)
    assert weights_fingerprint(locate(str(copy))) != before


# ---- what is refused ----


def refused(source: Path | str, *words: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(str(source))
    for word in words:
        assert word in str(caught.value)


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    refused(tmp_path / "photos", "is no model folder", "model_index.json and unet/config.json are missing")
    (tmp_path / "photos" / "big.safetensors").write_bytes(b"")
    refused(tmp_path / "photos", "give that file itself")


def test_a_name_that_nothing_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(
        "shape",
        "looked for a bundled model (shapes, shapes-depth, shapes-edit)",
        str(tmp_path / "shape"),
        "Did you mean 'shapes'?",
    )
    refused("no model here", str(tmp_path / "no model here"))
    refused("  ", "name is empty")
    refused("a\0b", "zero byte")


def test_a_missing_bundled_model_says_which_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from weft.nodes.models import locate as module

    monkeypatch.setitem(module.BUNDLED, "shapes", "shapes/nowhere")
    refused("shapes", "bundled model 'shapes' is missing", "nowhere/model_index.json", "Install the package again")


@pytest.mark.parametrize("name", ["model.ckpt", "weights.bin", "x.pt", "X.PTH"])
def test_pickles_are_refused_with_the_reason(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04")
    refused(tmp_path / name, name, "pickles, which can run any code", ".safetensors")


def test_a_folder_with_pickles_only(copy: Path) -> None:
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    path.rename(path.with_suffix(".bin"))
    refused(copy, "unet", "diffusion_pytorch_model.bin and no safetensors", "run any code")
    path.with_suffix(".bin").unlink()
    refused(copy, "unet/diffusion_pytorch_model.safetensors is missing")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_missing_folder_is_named(copy: Path, part: str) -> None:
    shutil.rmtree(copy / part)
    refused(copy, "incomplete", part)


def test_all_missing_folders_are_named_at_once(models: Path, tmp_path: Path) -> None:
    broken = copy_model(models / "sdxl", tmp_path / "xl")
    shutil.rmtree(broken / "text_encoder_2")
    shutil.rmtree(broken / "tokenizer_2")
    refused(broken, "incomplete sdxl model: it lacks the folder text_encoder_2, tokenizer_2")


def test_a_truncated_file(copy: Path) -> None:
    path = copy / "vae" / "diffusion_pytorch_model.safetensors"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[: len(data) // 2])
    refused(copy, str(path), "truncated")


def test_wrong_keys_name_the_first_that_miss(copy: Path) -> None:
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(path)
    rewrite(path, {("x." + name if name.startswith("conv_in") else name): t for name, t in weights.items()})
    refused(copy, str(path), "unet", f"2 of {len(weights)} tensors are missing", "conv_in.weight, conv_in.bias")


def test_shapes_are_compared_before_anything_is_allocated(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    edit(copy / "unet" / "config.json", cross_attention_dim=1 << 20)
    monkeypatch.setattr("weft.nodes.models.build._read", lambda *_: pytest.fail("a tensor was read"))
    refused(
        copy, "does not fit the configuration of the unet", "attn2.to_k.weight is [16, 32] where [16, 1048576] is right"
    )


def test_a_configuration_that_makes_no_sense(copy: Path) -> None:
    edit(copy / "unet" / "config.json", down_block_types=["NoSuchBlock", "DownBlock2D"])
    refused(copy, "the configuration of the unet", "NoSuchBlock")


def test_broken_json_is_named(copy: Path) -> None:
    path = copy / "vae" / "config.json"
    path.unlink()
    path.write_text("{")
    refused(copy, str(path), "is no JSON")


def test_a_tokenizer_without_vocabulary(copy: Path) -> None:
    (copy / "tokenizer" / "tokenizer.json").unlink()
    refused(copy, "is no tokenizer: it needs tokenizer.json, or vocab.json and merges.txt")


def test_a_tokenizer_larger_than_its_encoder(copy: Path, residency: object) -> None:
    edit(copy / "text_encoder" / "config.json", vocab_size=20)
    path = copy / "text_encoder" / "model.safetensors"
    weights = load_file(path)
    name = next(name for name in weights if name.endswith("token_embedding.weight"))
    rewrite(path, {**weights, name: weights[name][:20].clone()})
    with pytest.raises(ModelError, match=r"has 592 tokens, its text encoder has 20 embeddings"):
        _ = load_model(str(copy)).parts().tokenizers


@pytest.mark.parametrize(
    ("pipeline", "what"),
    [
        ("FluxPipeline", "Flux"),
        ("StableDiffusion3Pipeline", "Stable Diffusion 3"),
        ("PixArtAlphaPipeline", "PixArt"),
        ("SomethingNewPipeline", "a transformer (SomethingNewPipeline)"),
    ],
)
def test_transformers_are_refused_by_name(tmp_path: Path, pipeline: str, what: str) -> None:
    (tmp_path / "transformer").mkdir()
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": pipeline, "transformer": ["diffusers", "X"]}))
    refused(tmp_path, what, "Stable Diffusion 1.x, Stable Diffusion 2.x and SDXL base models")


def test_the_sdxl_refiner_is_refused_by_name(models: Path, tmp_path: Path) -> None:
    refiner = copy_model(models / "sdxl", tmp_path / "refiner")
    shutil.rmtree(refiner / "text_encoder")
    refused(refiner, "SDXL refiner")


def test_other_components_are_refused_by_name(copy: Path) -> None:
    edit(copy / "vae" / "config.json", _class_name="AutoencoderTiny")
    refused(copy, "the vae of", "AutoencoderTiny")
    edit(copy / "vae" / "config.json", _class_name="AutoencoderKL")
    edit(copy / "text_encoder" / "config.json", model_type="t5")
    refused(copy, "the text_encoder of", "t5 model, not CLIP")
    edit(copy / "unet" / "config.json", num_class_embeds=1000)
    refused(copy, "wants more than text", "num_class_embeds")
    edit(copy / "unet" / "config.json", _class_name="UNetSpatioTemporalConditionModel")
    refused(copy, "UNetSpatioTemporalConditionModel")


def test_other_predictions_are_refused_unless_overruled(copy: Path) -> None:
    edit(copy / "scheduler" / "scheduler_config.json", prediction_type="sample")
    refused(copy, "predicts 'sample'")
    model = load_model(str(copy), prediction="v_prediction")
    assert model.prediction == model.scheduler["prediction_type"] == "v_prediction"
    assert model.parts().unet is not None


def test_a_file_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    refused(tmp_path / "notes.txt", "no .safetensors file")


def test_roots_bound_what_may_be_read(models: Path, tmp_path: Path) -> None:
    with pytest.raises(InputPathError, match="outside the folders"):
        load_model(str(models / "sd1"), ctx=Context(roots=[tmp_path]))
    assert load_model("sd1", ctx=Context(roots=[tmp_path, models])).location == str(models / "sd1")


def test_check_finds_a_missing_model_before_anything_runs(models: Path, tmp_path: Path) -> None:
    from weft.engine import check

    def problems(**inputs: Any) -> list[tuple[str, str | None, str]]:
        found = check({"weft": 1, "nodes": {"m": {"type": "load_model", "inputs": inputs}}}, targets=["m"])
        return [(problem.code, problem.input, problem.message) for problem in found]

    assert problems(source=str(models / "sd1")) == []
    ((code, port, message),) = problems(source=str(tmp_path))
    assert (code, port) == ("bad_value", "source")
    assert "is no model folder" in message
    ((code, port, message),) = problems(source=str(models / "sd1"), device="gpu")
    assert (code, port) == ("bad_value", "device")
    ((code, port, message),) = problems(source=str(models / "sd1"), dtype="int8")
    assert (code, port) == ("not_a_choice", "dtype")


@pytest.mark.parametrize("channels", [5, 8, 9])
def test_other_input_channels_are_read(tmp_path: Path, channels: int) -> None:
    model = load_model(str(tiny_sd1(tmp_path / "m", unet_in=channels)))
    assert model.unet_channels == model.parts().unet.conv_in.in_channels == channels
