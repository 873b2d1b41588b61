"""The published models' true sizes, as sparse files that hold zeros: nothing of that size is allocated."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from weft.nodes import load_model
from weft.nodes.models import ldm
from weft.nodes.models.description import Description
from weft.nodes.models.locate import describe, locate

# The configurations of the published models, as far as they differ from the classes' defaults.
SD1_UNET = {"cross_attention_dim": 768, "attention_head_dim": 8}
SD2_UNET = {"cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": True}
SDXL_UNET = {
    "cross_attention_dim": 2048,
    "attention_head_dim": [5, 10, 20],
    "use_linear_projection": True,
    "block_out_channels": [320, 640, 1280],
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "transformer_layers_per_block": [1, 2, 10],
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
VAE = {
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "layers_per_block": 2,
}
CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
CLIP_H = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16}
CLIP_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}
PUBLISHED: dict[str, dict[str, dict[str, Any]]] = {
    "sd1": {"unet": SD1_UNET, "vae": VAE, "text_encoder": {**CLIP_L, "hidden_act": "quick_gelu"}},
    "sd2": {"unet": SD2_UNET, "vae": VAE, "text_encoder": {**CLIP_H, "hidden_act": "gelu"}},
    "sdxl": {
        "unet": SDXL_UNET,
        "vae": VAE,
        "text_encoder": {**CLIP_L, "hidden_act": "quick_gelu"},
        "text_encoder_2": {**CLIP_G, "hidden_act": "gelu", "projection_dim": 1280},
    },
}
PARAMETERS = {"sd1": 859_520_964, "sd2": 865_910_724, "sdxl": 2_567_463_684}


def shell(component: str, config: dict[str, Any]) -> torch.nn.Module:
    with torch.device("meta"):
        if component == "unet":
            return UNet2DConditionModel(**config)
        if component == "vae":
            return AutoencoderKL(**config)
        kind = CLIPTextModelWithProjection if component == "text_encoder_2" else CLIPTextModel
        return kind(CLIPTextConfig(**config))


def sparse_checkpoint(path: Path, family: str) -> dict[str, torch.nn.Module]:
    """A file with a true header and a hole in place of the data."""
    shapes: dict[str, list[int]] = {}
    shells = {}
    for component, config in PUBLISHED[family].items():
        module = shells[component] = shell(component, config)
        named = {**dict(getattr(module, "config", {}))} if component in ("unet", "vae") else config
        for name, tensor in module.state_dict().items():
            place = ldm.stored_names(component, family, name, named)[0]
            shape = list(tensor.shape)
            if place.third is not None:
                shape[0] *= 3
            shapes[place.name] = shape[::-1] if place.transposed else shape
    if family == "sd2":
        last = f"{ldm.OPEN_CLIP['sd2']}transformer.resblocks.22."
        shapes |= {n.replace(".22.", ".23."): shape for n, shape in shapes.items() if n.startswith(last)}
    table, end = {}, 0
    for name, shape in shapes.items():
        begin, end = end, end + 2 * math.prod(shape)
        table[name] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(table).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return shells


@pytest.mark.parametrize("family", PUBLISHED)
def test_a_published_size_is_recognised(tmp_path: Path, family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shells = sparse_checkpoint(tmp_path / "big.safetensors", family)
    # Gigabytes of zeros need no hash here; that content is hashed is tested with small models.
    monkeypatch.setattr("weft.nodes.models.locate.weights_fingerprint", lambda *_: "zeros")
    model = load_model(str(tmp_path / "big.safetensors"), prediction="epsilon")
    assert model.family == family
    found: Description = describe(locate(str(tmp_path / "big.safetensors")))
    for component, module in shells.items():
        derived = shell(component, {k: v for k, v in found.weights[component].config.items() if k != "scaling_factor"})
        assert {n: t.shape for n, t in derived.state_dict().items()} == {
            n: t.shape for n, t in module.state_dict().items()
        }
    assert sum(t.numel() for t in shells["unet"].state_dict().values()) == PARAMETERS[family]
    unet = found.weights["unet"].config
    assert unet["attention_head_dim"] == PUBLISHED[family]["unet"]["attention_head_dim"]
    for name in ("text_encoder", "text_encoder_2"):
        if name in shells:
            config, published = found.weights[name].config, PUBLISHED[family][name]
            assert {key: config[key] for key in published} == published
