"""Tiny random-weight models that the tests build: real layouts, real topologies, a few hundred kilobytes.

Attention weights are scaled up and norms are perturbed: with default initialisation attention maps are near uniform
and norms are the identity, which hides errors.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Literal

import torch

Layout = Literal["new", "old"]

WORDS = (
    *("a", "red", "blue", "green", "circle", "square", "triangle", "star", "on", "white", "black", "background"),
    *("left", "right", "of", "the", "large", "small", "photo", "cat", "dog", "with", "and", "in"),
)


def tiny_sd1(
    folder: str | Path,
    prediction: str = "epsilon",
    unet_in: int = 4,
    seed: int = 0,
    *,
    layout: Layout = "new",
    levels: Literal[2, 4] = 2,
    sample_size: int = 16,
    length: int = 77,
    single_file: bool = False,
) -> Path:
    """A model in the layout and topology of Stable Diffusion 1.x; returns ``folder``.

    prediction: ``epsilon`` or ``v_prediction``. unet_in: channels into the UNet (4, 5, 8 or 9).
    layout: ``new`` as transformers 5 writes, ``old`` as published checkpoints are (``text_model.`` prefix, vocab.json
    and merges.txt). levels: UNet levels, the last without attention. sample_size: latent side; pixels are 8 times that.
    length: text positions. single_file: sizes that a single file implies without saying them (CLIP's vocabulary, groups
    and heads of the real models), so that ``write_single_file`` loses nothing.
    """
    folder = Path(folder)
    vocabulary = 49408 if single_file else len(tiny_vocabulary()[0])
    with _seeded(seed):
        _save_text(folder / "text_encoder", "quick_gelu", vocabulary, length, layout)
        heads = 8 if single_file else 4
        _save_unet(
            folder, unet_in, sample_size, levels, 64 if single_file else 32, single_file, attention_head_dim=heads
        )
        _save_vae(folder, sample_size * 8, 0.18215, single_file)
    save_tokenizer(folder / "tokenizer", "<|endoftext|>", length, layout)
    _save_scheduler(folder, "PNDMScheduler", prediction, skip_prk_steps=True, set_alpha_to_one=False)
    _save_index(folder, "StableDiffusionPipeline", scheduler="PNDMScheduler")
    return folder


def tiny_sd2(
    folder: str | Path,
    prediction: str = "v_prediction",
    unet_in: int = 4,
    seed: int = 0,
    *,
    layout: Layout = "new",
    levels: Literal[2, 4] = 2,
    sample_size: int = 16,
    length: int = 77,
    single_file: bool = False,
) -> Path:
    """A model in the topology of Stable Diffusion 2.x (linear projections, heads per level); see ``tiny_sd1``."""
    folder = Path(folder)
    vocabulary = 49408 if single_file else len(tiny_vocabulary()[0])
    with _seeded(seed):
        _save_text(folder / "text_encoder", "gelu", vocabulary, length, layout)
        heads = ([1, 2, 2, 2] if single_file else [2, 4, 4, 4])[:levels]
        options: dict[str, Any] = {"attention_head_dim": heads, "use_linear_projection": True}
        _save_unet(folder, unet_in, sample_size, levels, 64 if single_file else 32, single_file, **options)
        _save_vae(folder, sample_size * 8, 0.18215, single_file)
    save_tokenizer(folder / "tokenizer", "!", length, layout)
    _save_scheduler(folder, "DDIMScheduler", prediction, set_alpha_to_one=False)
    _save_index(folder, "StableDiffusionPipeline", scheduler="DDIMScheduler")
    return folder


def tiny_sdxl(
    folder: str | Path,
    prediction: str = "epsilon",
    unet_in: int = 4,
    seed: int = 0,
    *,
    layout: Layout = "new",
    sample_size: int = 16,
    length: int = 77,
    single_file: bool = False,
    force_zeros: bool = True,
) -> Path:
    """A model in the topology of Stable Diffusion XL: two text encoders, size conditioning; see ``tiny_sd1``.

    force_zeros: the ``force_zeros_for_empty_prompt`` of the pipeline's index.
    """
    folder = Path(folder)
    vocabulary = 49408 if single_file else len(tiny_vocabulary()[0])
    with _seeded(seed):
        _save_text(folder / "text_encoder", "quick_gelu", vocabulary, length, layout, layers=3)
        _save_text(folder / "text_encoder_2", "gelu", vocabulary, length, layout, layers=3, projection=24)
        _save_unet(
            folder,
            unet_in,
            sample_size,
            3,
            128 if single_file else 64,
            single_file,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=[1, 2, 2] if single_file else [2, 4, 4],
            transformer_layers_per_block=[1, 1, 2],
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + 24,
        )
        _save_vae(folder, sample_size * 8, 0.13025, single_file, force_upcast=True)
    save_tokenizer(folder / "tokenizer", "<|endoftext|>", length, layout)
    save_tokenizer(folder / "tokenizer_2", "!", length, layout)
    _save_scheduler(folder, "EulerDiscreteScheduler", prediction)
    _save_index(
        folder,
        "StableDiffusionXLPipeline",
        scheduler="EulerDiscreteScheduler",
        text_encoder_2="CLIPTextModelWithProjection",
        tokenizer_2="CLIPTokenizer",
        force_zeros_for_empty_prompt=force_zeros,
    )
    return folder


def copy_model(source: Path, target: Path) -> Path:
    """A copy of a model folder by hard links; write to a copied file only by replacing it."""
    shutil.copytree(source, target, copy_function=os.link)
    return target


def write_single_file(folder: Path, path: Path, metadata: dict[str, str] | None = None) -> Path:
    """The model of ``folder`` (made with ``single_file=True``) as one checkpoint in the original layout."""
    from safetensors.torch import load_file, save_file

    from weft.nodes.models import ldm

    unet = json.loads((folder / "unet" / "config.json").read_text())
    family = "sdxl" if unet.get("addition_embed_type") else "sd2" if unet.get("use_linear_projection") else "sd1"
    whole: dict[str, torch.Tensor] = {}
    fused: dict[str, dict[int, torch.Tensor]] = {}
    for weights in sorted(folder.glob("*/*.safetensors")):
        config = json.loads((weights.parent / "config.json").read_text())
        for name, tensor in load_file(weights).items():
            place = ldm.stored_names(weights.parent.name, family, name, config)[0]
            if place.third is not None:
                fused.setdefault(place.name, {})[place.third] = tensor
                continue
            if ".mid.attn_1." in place.name and tensor.ndim == 2:  # convolutions there, linear in diffusers
                tensor = tensor[:, :, None, None]
            whole[place.name] = (tensor.T if place.transposed else tensor).contiguous()
    whole |= {name: torch.cat([parts[i] for i in range(3)]) for name, parts in fused.items()}
    if family == "sd2":  # the last layer, which diffusers leaves away because it is never used
        layers = sum(name.endswith("ln_1.weight") for name in whole)
        last = f"{ldm.OPEN_CLIP['sd2']}transformer.resblocks.{layers - 1}."
        new = last.replace(f"s.{layers - 1}.", f"s.{layers}.")
        whole |= {n.replace(last, new): torch.zeros_like(t) for n, t in whole.items() if n.startswith(last)}
    save_file(whole, path, metadata=metadata)
    return path


def tiny_vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """A byte-level BPE vocabulary in CLIP's manner: each of ``WORDS`` is one token, others split into bytes."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    vocabulary = {token: index for index, token in enumerate(letters + [letter + "</w>" for letter in letters])}
    merges: list[tuple[str, str]] = []
    for word in WORDS:
        pieces = [*word[:-1], word[-1] + "</w>"]
        while len(pieces) > 1:
            pair = (pieces[0], pieces[1])
            pieces[:2] = ["".join(pair)]
            if pair not in merges:
                merges.append(pair)
                vocabulary.setdefault(pieces[0], len(vocabulary))
    for special in ("<|startoftext|>", "<|endoftext|>"):
        vocabulary[special] = len(vocabulary)
    return vocabulary, merges


class _seeded:  # noqa: N801
    """Seeds torch for a block and puts the caller's generator back."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __enter__(self) -> None:
        self.state = torch.get_rng_state()
        torch.manual_seed(self.seed)

    def __exit__(self, *error: object) -> None:
        torch.set_rng_state(self.state)


@torch.no_grad()
def _liven(module: torch.nn.Module) -> None:
    """Make attention peaked and norms uneven, so that a wrong map or a skipped norm shows."""
    for name, parameter in module.named_parameters():
        if parameter.ndim == 1:
            parameter.add_(torch.randn_like(parameter) * 0.1)
        elif name.endswith(("to_q.weight", "to_k.weight")):
            parameter.mul_(5)
        elif name.endswith(("q_proj.weight", "k_proj.weight")):
            parameter.mul_(12)
        elif name.endswith(("v_proj.weight", "out_proj.weight", "fc1.weight", "fc2.weight", "embedding.weight")):
            parameter.mul_(6)
        elif name.endswith(("to_v.weight", "to_out.0.weight")):
            parameter.mul_(2)


def _save_text(
    folder: Path, act: str, vocabulary: int, length: int, layout: Layout, layers: int = 2, projection: int | None = None
) -> None:
    from safetensors.torch import load_file, save_file
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    width = 64 if vocabulary == 49408 else 32  # CLIP's heads are 64 wide, which a single file does not say
    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=1 if vocabulary == 49408 else 4,
        hidden_act=act,
        max_position_embeddings=length,
        projection_dim=projection or width,
        bos_token_id=vocabulary - 2,
        eos_token_id=vocabulary - 1,
        pad_token_id=vocabulary - 1,
    )
    model = CLIPTextModelWithProjection(config) if projection else CLIPTextModel(config)
    _liven(model)
    model.save_pretrained(folder)
    path = folder / "model.safetensors"
    weights = load_file(path)
    plain = {name.removeprefix("text_model."): tensor for name, tensor in weights.items()}
    if layout == "old":
        plain = {n if n.startswith("text_projection") else f"text_model.{n}": tensor for n, tensor in plain.items()}
    elif projection:
        plain = weights
    save_file(plain, path, metadata={"format": "pt"})


def save_tokenizer(folder: Path, pad: str, length: int, layout: Layout) -> None:
    from transformers import CLIPTokenizer

    vocabulary, merges = tiny_vocabulary()
    if layout == "new":
        CLIPTokenizer(vocab=vocabulary, merges=merges, pad_token=pad, model_max_length=length).save_pretrained(folder)
        return
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    special = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
    special["pad_token"] = pad
    _write_json(folder / "special_tokens_map.json", special)
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": length, "do_lower_case": True}
    _write_json(folder / "tokenizer_config.json", {**settings, **special})


def _save_unet(
    folder: Path, channels: int, sample_size: int, levels: int, cross: int, single_file: bool, **options: Any
) -> None:
    from diffusers import UNet2DConditionModel

    settings: dict[str, Any] = {
        "down_block_types": ("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
        "block_out_channels": ((64, 128, 128, 128) if single_file else (16, 32, 32, 32))[:levels],
        "layers_per_block": 2 if levels < 4 else 1,
        "norm_num_groups": 32 if single_file else 8,
    }
    unet = UNet2DConditionModel(
        sample_size=sample_size, in_channels=channels, out_channels=4, cross_attention_dim=cross, **(settings | options)
    )
    _liven(unet)
    unet.save_pretrained(folder / "unet")


def _save_vae(folder: Path, sample_size: int, scaling_factor: float, single_file: bool, **options: Any) -> None:
    from diffusers import AutoencoderKL

    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(32,) * 4 if single_file else (8, 8, 16, 16),
        layers_per_block=1,
        norm_num_groups=32 if single_file else 4,
        latent_channels=4,
        sample_size=sample_size,
        scaling_factor=scaling_factor,
        **options,
    )
    _liven(vae)
    vae.save_pretrained(folder / "vae")


def _save_scheduler(folder: Path, name: str, prediction: str, **options: Any) -> None:
    import diffusers

    scheduler = getattr(diffusers, name)(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        prediction_type=prediction,
        **({"clip_sample": False} if name == "DDIMScheduler" else {}),
        **options,
    )
    scheduler.save_pretrained(folder / "scheduler")


def _save_index(folder: Path, pipeline: str, scheduler: str, **components: Any) -> None:
    index: dict[str, Any] = {
        "_class_name": pipeline,
        "_diffusers_version": "0.30.0",
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", scheduler],
    }
    if pipeline == "StableDiffusionPipeline":
        index |= {"safety_checker": [None, None], "feature_extractor": [None, None]}
    for name, item in components.items():
        index[name] = ["transformers", item] if isinstance(item, str) else item
    _write_json(folder / "model_index.json", index)


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")
