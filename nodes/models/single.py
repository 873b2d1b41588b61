"""Understanding a single-file checkpoint in the original layout, from its header alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from weft.nodes.models import ldm
from weft.nodes.models.description import SUPPORTED, Description, Weights, prediction_of
from weft.nodes.models.errors import ModelError
from weft.nodes.models.families import Family, Prediction
from weft.nodes.models.headers import Header, TensorInfo, read_header

# What else a .safetensors may be, by a piece of its tensors' names; the first that fits names it.
_OTHERS = (
    ("joint_blocks.", "a Stable Diffusion 3 checkpoint"),
    ("double_blocks.", "a Flux checkpoint"),
    ("double_stream", "a Flux-like transformer checkpoint"),
    ("time_stack.", "a Stable Video Diffusion checkpoint"),
    ("temporal_transformer", "a video model's checkpoint"),
    ("down_1.0.", "a Stable Cascade checkpoint"),
    ("lora_", "a LoRA: apply it to a base model"),
    ("hada_w1", "a LoHa: apply it to a base model"),
    ("input_hint_block.", "a ControlNet: load it as a control"),
    ("controlnet_cond_embedding.", "a ControlNet: load it as a control"),
    ("image_proj", "an IP-Adapter: load it as a control"),
    ("emb_params", "a textual inversion"),
    ("clip_g", "a textual inversion"),
    ("single_transformer_blocks.", "a Flux transformer of a diffusers folder"),
    ("down_blocks.", "one component of a diffusers folder: give the folder that holds model_index.json"),
    ("text_model.", "a text encoder alone"),
    ("decoder.conv_in.", "a VAE alone: give it to load_vae, beside a model"),
)
_ASSUMED = (
    "{} does not say what it predicts: v_prediction is assumed, as SD 2.x at 768 px has it. "
    'If images come out as noise or burnt, set prediction="epsilon".'
)
_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}


def describe_file(path: Path, prediction: str = "auto") -> Description:
    """What a checkpoint is.

    Args:
        path: a ``.safetensors`` file.
        prediction: ``epsilon`` or ``v_prediction`` where the file's own word is wrong or absent.

    Raises:
        ModelError: it is unsound, or something other than a supported model.
    """
    header = read_header(path)
    tensors = header.tensors
    family = _family(path, tensors)
    unet = _under(tensors, ldm.UNET)
    _refuse_other_unets(path, unet)
    said = _prediction(path, header, family, prediction)
    predicts = said or "v_prediction"
    text = {"text_encoder": _text_encoder(path, tensors, family)}
    if family == "sdxl":
        text["text_encoder_2"] = _open_clip(path, tensors, family)
    tokenizers: dict[str, Path | str] = {"tokenizer": "!" if family == "sd2" else "<|endoftext|>"}
    if family == "sdxl":
        tokenizers["tokenizer_2"] = "!"
    pooled = int(text["text_encoder_2"]["projection_dim"]) if family == "sdxl" else 0
    return Description(
        location=path,
        family=family,
        prediction=predicts,
        weights={
            "unet": Weights(unet_config(path, unet, family, pooled), tensors, "ldm"),
            "vae": Weights(vae_config(path, tensors, 0.13025 if family == "sdxl" else 0.18215), tensors, "ldm"),
            **{name: Weights(config, tensors, "ldm") for name, config in text.items()},
        },
        tokenizers=tokenizers,
        scheduler=_scheduler(family, predicts, "ztsnr" in tensors),
        size=_size(header, family, predicts),
        files=[path],
        zero_empty=family == "sdxl",
        notes=() if said else (_ASSUMED.format(path.name),),
    )


def _under(tensors: dict[str, TensorInfo], prefix: str) -> dict[str, TensorInfo]:
    return {name[len(prefix) :]: info for name, info in tensors.items() if name.startswith(prefix)}


def _family(path: Path, tensors: dict[str, TensorInfo]) -> Family:
    def has(prefix: str) -> bool:
        return any(name.startswith(prefix) for name in tensors)

    if has(ldm.UNET + "input_blocks."):
        if has("conditioner.embedders.1.model."):
            return "sdxl"
        if has("conditioner.embedders.0.model."):
            raise ModelError(f"{path} is an SDXL refiner. {SUPPORTED}")
        if has(ldm.OPEN_CLIP["sd2"]):
            return "sd2"
        if has(ldm.CLIP["sd1"]):
            return "sd1"
        if not has("conditioner.") and not has("cond_stage_model."):
            raise ModelError(f"{path} holds a denoiser but no text encoder ({ldm.CLIP['sd1']}... is missing)")
    for piece, what in _OTHERS:
        if any(piece in name for name in tensors):
            raise ModelError(f"{path} is {what}. {SUPPORTED}")
    first = ", ".join(list(tensors)[:3]) or "nothing"
    raise ModelError(
        f"{path} is no checkpoint that is known: no {ldm.UNET}input_blocks... in it; it holds {first}. {SUPPORTED}"
    )


def _refuse_other_unets(path: Path, unet: dict[str, TensorInfo]) -> None:
    for piece, what in _OTHERS[:5]:
        if any(piece in name for name in unet):
            raise ModelError(f"{path} is {what}. {SUPPORTED}")
    channels = _shape(path, unet, "input_blocks.0.0.weight", ldm.UNET)[1]
    if channels not in (4, 5, 8, 9):
        raise ModelError(f"{path} takes {channels} input channels (an upscaler?); 4, 5, 8 and 9 are supported")


def _prediction(path: Path, header: Header, family: Family, asked: str) -> Prediction | None:
    """What it predicts, or None where neither file nor caller says."""
    if asked != "auto":
        return prediction_of(asked, "prediction")
    said = header.metadata.get("modelspec.prediction_type", "").lower()
    if said.startswith("v") or "v_pred" in header.tensors:
        return "v_prediction"
    if said.startswith("eps") or family != "sd2":
        return "epsilon"
    # SD 2 ships both with equal keys: the 768 model predicts v; base, inpainting and depth models predict epsilon.
    if header.tensors[ldm.UNET + "input_blocks.0.0.weight"].shape[1] != 4:
        return "epsilon"
    return None


def _size(header: Header, family: Family, prediction: Prediction) -> int:
    said = re.match(r"(\d+)x(\d+)$", header.metadata.get("modelspec.resolution", ""))
    if said:
        return max(int(said[1]), int(said[2]))
    return {"sd1": 512, "sd2": 768 if prediction == "v_prediction" else 512, "sdxl": 1024}[family]


def _scheduler(family: Family, prediction: Prediction, zero_terminal: bool) -> dict[str, Any]:
    config: dict[str, Any] = {**_BETAS, "steps_offset": 1, "prediction_type": prediction}
    if family == "sd1":
        return {"_class_name": "PNDMScheduler", **config, "skip_prk_steps": True, "set_alpha_to_one": False}
    if family == "sd2":
        return {"_class_name": "DDIMScheduler", **config, "clip_sample": False, "set_alpha_to_one": False}
    spacing = "trailing" if zero_terminal else "leading"
    config |= {"timestep_spacing": spacing, "rescale_betas_zero_snr": zero_terminal}
    return {"_class_name": "EulerDiscreteScheduler", **config}


def _shape(path: Path, tensors: dict[str, TensorInfo], name: str, prefix: str = "") -> tuple[int, ...]:
    if name not in tensors:
        raise ModelError(f"{path} lacks the tensor {prefix}{name}")
    return tensors[name].shape


def _count(tensors: dict[str, TensorInfo], pattern: str) -> int:
    """How many numbers the first group of ``pattern`` takes at the start of the tensors' names."""
    return len({match[1] for name in tensors if (match := re.match(pattern, name))})


def unet_config(path: Path, unet: dict[str, TensorInfo], family: Family, pooled: int) -> dict[str, Any]:
    """Levels, depths and widths, read off the input blocks: a level ends where an ``op`` downsamples."""
    levels: list[tuple[int, int, int]] = []  # channels, resnets, transformer depth
    channels = resnets = depth = 0
    cross = linear = None
    for index in range(1, _count(unet, r"input_blocks\.(\d+)\.")):
        if f"input_blocks.{index}.0.op.weight" in unet:
            levels.append((channels, resnets, depth))
            channels = resnets = depth = 0
            continue
        channels = _shape(path, unet, f"input_blocks.{index}.0.in_layers.2.weight", ldm.UNET)[0]
        resnets += 1
        depth = max(depth, _count(unet, rf"input_blocks\.{index}\.1\.transformer_blocks\.(\d+)\."))
        if depth:
            key = f"input_blocks.{index}.1."
            cross = _shape(path, unet, key + "transformer_blocks.0.attn2.to_k.weight", ldm.UNET)[1]
            linear = len(_shape(path, unet, key + "proj_in.weight", ldm.UNET)) == 2
    levels.append((channels, resnets, depth))
    if cross is None or len({level[1] for level in levels}) != 1:
        raise ModelError(f"the denoiser in {path} has a topology that is not known. {SUPPORTED}")
    wide = [level[0] for level in levels]
    heads: Any = 8 if family == "sd1" else [max(1, width // 64) for width in wide]
    config: dict[str, Any] = {
        "in_channels": _shape(path, unet, "input_blocks.0.0.weight", ldm.UNET)[1],
        "out_channels": _shape(path, unet, "out.2.weight", ldm.UNET)[0],
        "block_out_channels": wide,
        "layers_per_block": levels[0][1],
        "down_block_types": ["CrossAttnDownBlock2D" if level[2] else "DownBlock2D" for level in levels],
        "up_block_types": ["CrossAttnUpBlock2D" if level[2] else "UpBlock2D" for level in reversed(levels)],
        "transformer_layers_per_block": [max(1, level[2]) for level in levels],
        "cross_attention_dim": cross,
        "use_linear_projection": bool(linear),
        "attention_head_dim": heads,
    }
    if family == "sdxl":
        width = _shape(path, unet, "label_emb.0.0.weight", ldm.UNET)[1]
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": (width - pooled) // 6,
            "projection_class_embeddings_input_dim": width,
        }
    return config


def vae_config(path: Path, tensors: dict[str, TensorInfo], scaling: float, prefix: str = ldm.VAE) -> dict[str, Any]:
    """The configuration of a VAE in the original names, which stand behind a prefix."""
    vae = _under(tensors, prefix)
    levels = _count(vae, r"encoder\.down\.(\d+)\.")
    wide = [
        _shape(path, vae, f"encoder.down.{i}.block.0.conv2.weight", prefix)[0]
        for i in range(levels or 1)  # no level at all: let the first name be reported as lacking
    ]
    return {
        "block_out_channels": wide,
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": _count(vae, r"encoder\.down\.0\.block\.(\d+)\."),
        "latent_channels": _shape(path, vae, "post_quant_conv.weight", prefix)[1],
        "scaling_factor": scaling,
    }


def _text_encoder(path: Path, tensors: dict[str, TensorInfo], family: Family) -> dict[str, Any]:
    if family == "sd2":
        return _open_clip(path, tensors, family)
    prefix = ldm.CLIP[family]
    text = {name.removeprefix("text_model."): info for name, info in _under(tensors, prefix).items()}
    layers = _count(text, r"encoder\.layers\.(\d+)\.")
    vocabulary, width = _shape(path, text, "embeddings.token_embedding.weight", prefix)
    positions = _shape(path, text, "embeddings.position_embedding.weight", prefix)[0]
    inner = _shape(path, text, "encoder.layers.0.mlp.fc1.weight", prefix)[0]
    return _clip_config(vocabulary, width, positions, layers, inner, "quick_gelu")


def _open_clip(path: Path, tensors: dict[str, TensorInfo], family: Family) -> dict[str, Any]:
    prefix = ldm.OPEN_CLIP[family]
    text = _under(tensors, prefix)
    layers = _count(text, r"transformer\.resblocks\.(\d+)\.")
    vocabulary, width = _shape(path, text, "token_embedding.weight", prefix)
    positions = _shape(path, text, "positional_embedding", prefix)[0]
    inner = _shape(path, text, "transformer.resblocks.0.mlp.c_fc.weight", prefix)[0]
    if family == "sd2":  # its last layer is not used: states before it go through the final norm
        return _clip_config(vocabulary, width, positions, layers - 1, inner, "gelu")
    projected = _shape(path, text, "text_projection", prefix)[1]
    return _clip_config(vocabulary, width, positions, layers, inner, "gelu") | {"projection_dim": projected}


def _clip_config(vocabulary: int, width: int, positions: int, layers: int, inner: int, act: str) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": max(1, width // 64),
        "max_position_embeddings": positions,
        "hidden_act": act,
        "layer_norm_eps": 1e-5,
        "projection_dim": width,
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
    }
