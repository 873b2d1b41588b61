"""Models of random weights for the benchmark of training: a tiny one, and one shaped as Stable Diffusion of 34 M."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

Preset = Literal["tiny", "mid"]


def build_model(folder: Path, preset: Preset) -> Path:
    """A model folder in diffusers' layout. tiny: 64 px, latents of 32 x 32. mid: 256 px, latents likewise."""
    import torch
    from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    from tests.tiny import save_tokenizer, tiny_vocabulary

    torch.manual_seed(0)
    mid = preset == "mid"
    channels = (64, 128, 256, 256) if mid else (32, 64)
    width = 128 if mid else 32
    unet = UNet2DConditionModel(
        sample_size=32,
        block_out_channels=channels,
        layers_per_block=2,
        down_block_types=(*("CrossAttnDownBlock2D",) * 3, "DownBlock2D")
        if mid
        else ("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("UpBlock2D", *("CrossAttnUpBlock2D",) * 3) if mid else ("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=width,
        attention_head_dim=8,
        norm_num_groups=32 if mid else 8,
    )
    unet.save_pretrained(folder / "unet")
    levels = (64, 64, 128, 128) if mid else (32, 64)
    AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(levels),
        up_block_types=("UpDecoderBlock2D",) * len(levels),
        block_out_channels=levels,
        layers_per_block=2 if mid else 1,
        sample_size=256 if mid else 64,
    ).save_pretrained(folder / "vae")
    words = len(tiny_vocabulary()[0])
    config = CLIPTextConfig(
        vocab_size=words,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=6 if mid else 2,
        num_attention_heads=4,
        max_position_embeddings=77,
        projection_dim=width,
        bos_token_id=words - 2,
        eos_token_id=words - 1,
        pad_token_id=words - 1,
    )
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    save_tokenizer(folder / "tokenizer", "<|endoftext|>", 77, "new")
    DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear").save_pretrained(
        folder / "scheduler"
    )
    index: dict[str, Any] = {
        "_class_name": "StableDiffusionPipeline",
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", "DDPMScheduler"],
    }
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return folder


def write_pictures(folder: Path, count: int, side: int = 512) -> Path:
    """Photos of a kind: JPEG files of smooth noise."""
    import numpy as np
    import PIL.Image

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = PIL.Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8))
        coarse.resize((side, side), PIL.Image.Resampling.BICUBIC).save(folder / f"{number}.jpg", quality=92)
    return folder
