"""Single-file checkpoints in the original layout.

Tiny models are written in that layout by our name table. That the table is right is checked against diffusers' own
converters, which know nothing of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.loaders import single_file_utils
from safetensors.torch import load_file, save_file

from tests.tiny import tiny_sd1, tiny_sd2, tiny_sdxl, write_single_file
from weft.nodes import encode_prompt, load_model
from weft.nodes.models import ldm
from weft.nodes.models.errors import ModelError
from weft.nodes.models.tokenizers import clip_vocabulary

MAKERS = {"sd1": tiny_sd1, "sd2": tiny_sd2, "sdxl": tiny_sdxl}


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """Per family: a diffusers folder, and the same model as one file."""
    root = tmp_path_factory.mktemp("single")
    made = {}
    for name, maker in MAKERS.items():
        folder = maker(root / name, single_file=True)
        made[name] = (folder, write_single_file(folder, root / f"{name}.safetensors"))
    return made


def _config(folder: Path, component: str) -> dict[str, Any]:
    return json.loads((folder / component / "config.json").read_text())


@pytest.mark.parametrize("name", MAKERS)
def test_unet_names_agree_with_diffusers(pairs: dict[str, tuple[Path, Path]], name: str) -> None:
    folder, file = pairs[name]
    found = single_file_utils.convert_ldm_unet_checkpoint(load_file(file), _config(folder, "unet"))
    expected = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], tensor) for key, tensor in expected.items())


def test_vae_names_agree_with_diffusers(pairs: dict[str, tuple[Path, Path]]) -> None:
    folder, file = pairs["sd1"]
    found = single_file_utils.convert_ldm_vae_checkpoint(load_file(file), _config(folder, "vae"))
    expected = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key].reshape(tensor.shape), tensor) for key, tensor in expected.items())


@pytest.mark.parametrize(("name", "component"), [("sd2", "text_encoder"), ("sdxl", "text_encoder_2")])
def test_open_clip_names_agree_with_diffusers(pairs: dict[str, tuple[Path, Path]], name: str, component: str) -> None:
    folder, file = pairs[name]
    model = load_model(str(folder)).parts().component(component)
    # Their function splits fused projections by the rows of text_projection: of the model's width in real files.
    weights = {key: tensor for key, tensor in load_file(file).items() if not key.endswith("text_projection")}
    found = single_file_utils.convert_open_clip_checkpoint(model, weights, prefix=ldm.OPEN_CLIP[name])  # type: ignore[arg-type]
    expected = load_file(folder / component / "model.safetensors")
    ours = {f"text_model.{k.removeprefix('text_model.')}": tensor for k, tensor in expected.items()}
    shared = [key for key in found if key in ours]
    assert len(shared) == len(ours) - (name == "sdxl")
    assert all(torch.equal(found[key], ours[key]) for key in shared)


@pytest.mark.parametrize("name", MAKERS)
def test_a_single_file_equals_its_folder(pairs: dict[str, tuple[Path, Path]], name: str) -> None:
    folder, file = pairs[name]
    one, many = load_model(str(file)), load_model(str(folder))
    assert (one.family, one.prediction, one.zero_empty) == (many.family, many.prediction, many.zero_empty)
    assert one.scheduler["_class_name"] == many.scheduler["_class_name"]
    assert (one.scaling_factor, one.scale_factor) == (many.scaling_factor, many.scale_factor)
    a, b = one.parts(), many.parts()
    for component in ("unet", "vae", "text_encoder", *(["text_encoder_2"] if name == "sdxl" else [])):
        ours, theirs = a.component(component).state_dict(), b.component(component).state_dict()
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    latents = torch.randn(1, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    text = torch.randn(1, 77, a.unet.config.cross_attention_dim, generator=torch.Generator().manual_seed(1))
    extra = {"text_embeds": torch.ones(1, 24), "time_ids": torch.tensor([[128.0, 128, 0, 0, 128, 128]])}
    added = extra if name == "sdxl" else None
    ids = torch.tensor([[49406, 320, 1125, 49407, 49407]])
    with torch.no_grad():
        found, expected = (p.unet(latents, 7, text, added_cond_kwargs=added).sample for p in (a, b))
        assert torch.equal(found, expected)
        assert torch.equal(a.vae.decode(latents).sample, b.vae.decode(latents).sample)
        for ours, theirs in zip(a.text_encoders, b.text_encoders, strict=True):
            found, expected = ours(ids), theirs(ids)
            assert torch.equal(found.last_hidden_state, expected.last_hidden_state)
            assert torch.equal(found[0], expected[0])


@pytest.mark.parametrize("name", MAKERS)
def test_prompts_are_tokenised_as_clip_does(pairs: dict[str, tuple[Path, Path]], name: str) -> None:
    model = load_model(str(pairs[name][1]))
    found = encode_prompt(model, "a photo of a cat")
    assert found.text.shape[:2] == (1, 77)
    ids = [tokenizer("a photo of a cat").input_ids for tokenizer in model.parts().tokenizers]
    # The ids that CLIP's paper code gives for this sentence.
    assert ids[-1] == [49406, 320, 1125, 539, 320, 2368, 49407]
    pads = [tokenizer.pad_token for tokenizer in model.parts().tokenizers]
    assert pads == {"sd1": ["<|endoftext|>"], "sd2": ["!"], "sdxl": ["<|endoftext|>", "!"]}[name]


def test_clips_vocabulary_is_whole() -> None:
    vocabulary, merges = clip_vocabulary()
    assert len(vocabulary) == 49408
    assert len(merges) == 48894
    assert [vocabulary[token] for token in ("!", "cat</w>", "<|endoftext|>")] == [0, 2368, 49407]


def test_an_sd1_text_encoder_without_the_inner_prefix(pairs: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    weights = load_file(pairs["sd1"][1])
    short = {name.replace(".transformer.text_model.", ".transformer."): t for name, t in weights.items()}
    save_file(short, tmp_path / "short.safetensors")
    ours, theirs = (
        load_model(str(path)).parts().text_encoders[0] for path in (tmp_path / "short.safetensors", pairs["sd1"][1])
    )
    assert torch.equal(ours.final_layer_norm.weight, theirs.final_layer_norm.weight)


@pytest.mark.parametrize(
    ("metadata", "asked", "expected"),
    [
        (None, "auto", "v_prediction"),
        (None, "epsilon", "epsilon"),
        ({"modelspec.prediction_type": "epsilon"}, "auto", "epsilon"),
        ({"modelspec.prediction_type": "epsilon"}, "v_prediction", "v_prediction"),
    ],
)
def test_what_sd2_predicts(
    pairs: dict[str, tuple[Path, Path]],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    metadata: dict[str, str] | None,
    asked: Any,
    expected: str,
) -> None:
    file = write_single_file(pairs["sd2"][0], tmp_path / "x.safetensors", metadata)
    model = load_model(str(file), prediction=asked)
    assert model.prediction == model.scheduler["prediction_type"] == expected
    assert model.size == (768 if expected == "v_prediction" else 512)
    warned = any('set prediction="epsilon"' in record.getMessage() for record in caplog.records)
    assert warned == (metadata is None and asked == "auto")


def test_sdxl_that_says_it_predicts_v(pairs: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    weights = load_file(pairs["sdxl"][1])
    save_file({**weights, "v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)}, tmp_path / "v.safetensors")
    model = load_model(str(tmp_path / "v.safetensors"))
    assert model.prediction == "v_prediction"
    assert model.scheduler["rescale_betas_zero_snr"] is True
    assert load_model(str(pairs["sdxl"][1])).prediction == "epsilon"


@pytest.mark.parametrize("channels", [5, 9])
def test_inpainting_and_depth_files(tmp_path: Path, channels: int) -> None:
    folder = tiny_sd2(tmp_path / "m", unet_in=channels, single_file=True)
    model = load_model(str(write_single_file(folder, tmp_path / "m.safetensors")))
    assert (model.unet_channels, model.prediction) == (channels, "epsilon")
    assert model.parts().unet.conv_in.in_channels == channels


def _refused(path: Path, *words: str) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(str(path))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("key", "what"),
    [
        ("model.diffusion_model.joint_blocks.0.x.weight", "a Stable Diffusion 3 checkpoint"),
        ("model.diffusion_model.double_blocks.0.img_attn.qkv.weight", "a Flux checkpoint"),
        ("double_blocks.0.img_attn.qkv.weight", "a Flux checkpoint"),
        ("lora_unet_down_blocks_0.lora_up.weight", "a LoRA"),
        ("unet.down_blocks.0.attentions.0.to_q.lora_A.weight", "a LoRA"),
        ("control_model.input_hint_block.0.weight", "a ControlNet"),
        ("emb_params", "a textual inversion"),
        ("down_blocks.0.resnets.0.conv1.weight", "one component of a diffusers folder"),
        ("something.else", "is no checkpoint that is known"),
    ],
)
def test_other_files_are_refused_by_name(tmp_path: Path, key: str, what: str) -> None:
    save_file({key: torch.zeros(1)}, tmp_path / "x.safetensors")
    _refused(tmp_path / "x.safetensors", what, "SDXL base models")


def test_the_refiner_is_refused_by_name(pairs: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    weights = {
        name.replace("embedders.1.", "embedders.0."): tensor
        for name, tensor in load_file(pairs["sdxl"][1]).items()
        if "embedders.0." not in name
    }
    save_file(weights, tmp_path / "refiner.safetensors")
    _refused(tmp_path / "refiner.safetensors", "is an SDXL refiner")


@pytest.mark.parametrize(
    "key",
    [
        "model.diffusion_model.middle_block.1.proj_in.weight",
        "first_stage_model.decoder.mid.attn_1.q.weight",
        "first_stage_model.encoder.down.0.block.0.conv2.weight",
        "cond_stage_model.transformer.text_model.final_layer_norm.weight",
        "model.diffusion_model.out.2.weight",
    ],
)
def test_a_missing_tensor_is_named(pairs: dict[str, tuple[Path, Path]], tmp_path: Path, key: str) -> None:
    weights = load_file(pairs["sd1"][1])
    del weights[key]
    save_file(weights, tmp_path / "x.safetensors")
    _refused(tmp_path / "x.safetensors", key)


def test_a_file_without_text_encoder(pairs: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    weights = {name: t for name, t in load_file(pairs["sd1"][1]).items() if not name.startswith("cond_stage")}
    save_file(weights, tmp_path / "x.safetensors")
    _refused(tmp_path / "x.safetensors", "holds a denoiser but no text encoder")


def test_a_file_without_vae(pairs: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    weights = {name: t for name, t in load_file(pairs["sd1"][1]).items() if not name.startswith("first_stage")}
    save_file(weights, tmp_path / "x.safetensors")
    _refused(tmp_path / "x.safetensors", "lacks the tensor first_stage_model.encoder.down.0")


def test_a_truncated_checkpoint(pairs: dict[str, tuple[Path, Path]], tmp_path: Path) -> None:
    data = pairs["sd1"][1].read_bytes()
    (tmp_path / "x.safetensors").write_bytes(data[: len(data) // 3])
    _refused(tmp_path / "x.safetensors", "truncated")
