"""What the files of a network say, read as headers and JSON only. Light: no torch."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from weft.nodes.models import ldm
from weft.nodes.models.description import Description, Weights, read_json
from weft.nodes.models.errors import ModelError
from weft.nodes.models.families import Family
from weft.nodes.models.folder import weight_files
from weft.nodes.models.headers import TensorInfo, read_header
from weft.nodes.models.single import unet_config
from weft.nodes.models.sources import files_fingerprint

_WEIGHTS = "diffusion_pytorch_model"


def fingerprint(description: Description) -> str:
    """Identifies a network by the content of what is read of it.

    Raises:
        ModelError: a file cannot be read.
    """
    root = description.location
    return files_fingerprint(description.files, root if root.is_dir() else root.parent)


def describe_controlnet(path: Path) -> Description:
    """What a ControlNet is: a diffusers folder, or a single file with diffusers' names or the original ones.

    Raises:
        ModelError: it is none, unsound, or of a kind that is not supported.
    """
    if path.is_dir():
        config, tensors, files = folder_net(path, "ControlNetModel", "ControlNet")
        return _described("controlnet", path, family_of(config), config, tensors, files)
    tensors = read_header(path).tensors
    if "controlnet_cond_embedding.conv_in.weight" in tensors:
        config = _control_config(path, tensors)
        return _described("controlnet", path, family_of(config), config, tensors, [path])
    if ldm.CONTROL + "input_hint_block.0.weight" not in tensors:
        first = ", ".join(list(tensors)[:3]) or "nothing"
        raise ModelError(
            f"{path} is no ControlNet: neither controlnet_cond_embedding.conv_in.weight nor "
            f"{ldm.CONTROL}input_hint_block.0.weight is in it; it holds {first}"
        )
    config = _original_config(path, tensors)
    return _described("controlnet", path, family_of(config), config, tensors, [path], "ldm")


def describe_adapter(path: Path) -> Description:
    """What a T2I-Adapter is: a diffusers folder.

    Raises:
        ModelError: it is none, or unsound.
    """
    if not path.is_dir():
        raise ModelError(f"{path} is a file; a T2I-Adapter is read from its diffusers folder (config.json and weights)")
    config, tensors, files = folder_net(path, "T2IAdapter", "T2I-Adapter")
    return _described("t2i_adapter", path, adapter_family(config), config, tensors, files)


def adapter_family(config: Any) -> Family:
    """The family of the models that a T2I-Adapter of this configuration is for."""
    return "sdxl" if config.get("adapter_type") == "full_adapter_xl" else "sd1"


def _described(
    name: str,
    path: Path,
    family: Family,
    config: dict[str, Any],
    tensors: dict[str, TensorInfo],
    files: list[Path],
    layout: Any = "diffusers",
) -> Description:
    return Description(path, family, "epsilon", {name: Weights(config, tensors, layout)}, {}, {}, 0, files)


def folder_net(path: Path, kind: str, name: str) -> tuple[dict[str, Any], dict[str, TensorInfo], list[Path]]:
    """Configuration, tensors and files of a network in diffusers' layout. Raises ModelError for any other."""
    if not (path / "config.json").is_file():
        single = sorted(path.glob("*.safetensors"))
        hint = f"; it holds {single[0].name}: give that file itself" if single else ""
        raise ModelError(f"{path} is no {name}: config.json is missing{hint}")
    config = read_json(path / "config.json")
    if config.get("_class_name", kind) != kind:
        raise ModelError(f"{path} is no {name}: its config.json describes a {config['_class_name']}")
    files = weight_files(path, _WEIGHTS)
    tensors: dict[str, TensorInfo] = {}
    for file in files:
        if file.suffix == ".safetensors":
            tensors |= read_header(file).tensors
    return config, tensors, [path / "config.json", *files]


def family_of(config: Any) -> Family:
    """The family of a denoiser, or of a network made from one, by its configuration."""
    if config.get("addition_embed_type") == "text_time":
        return "sdxl"
    return "sd2" if config.get("use_linear_projection") else "sd1"


def _original_config(path: Path, tensors: dict[str, TensorInfo]) -> dict[str, Any]:
    """A configuration read off the original names, which are those of a denoiser's first half."""
    bare = {name.removeprefix(ldm.CONTROL): info for name, info in tensors.items() if name.startswith(ldm.CONTROL)}
    bare["out.2.weight"] = TensorInfo("F32", (4,), path)  # a denoiser's last layer, which these do not have
    family: Family = "sdxl" if "label_emb.0.0.weight" in bare else "sd1"
    config = unet_config(path, bare, family, 1280)
    if family == "sd1" and config["use_linear_projection"]:
        config = unet_config(path, bare, "sd2", 0)
    for name in ("out_channels", "up_block_types"):
        config.pop(name)
    hints = [bare[f"input_hint_block.{2 * i}.weight"].shape for i in range(_count(bare, r"input_hint_block\.(\d+)\.w"))]
    config["conditioning_channels"] = hints[0][1]
    config["conditioning_embedding_out_channels"] = [hints[0][0], *(shape[0] for shape in hints[2:-1:2])]
    return config


def _control_config(path: Path, tensors: dict[str, TensorInfo]) -> dict[str, Any]:
    """A configuration read off diffusers' names, for files without a config.json."""

    def shape(name: str) -> tuple[int, ...]:
        if name not in tensors:
            raise ModelError(f"{path} lacks the tensor {name}")
        return tensors[name].shape

    levels = _count(tensors, r"down_blocks\.(\d+)\.")
    depths = [_count(tensors, rf"down_blocks\.{i}\.attentions\.0\.transformer_blocks\.(\d+)\.") for i in range(levels)]
    wide = [shape(f"down_blocks.{i}.resnets.0.conv1.weight")[0] for i in range(levels)]
    first = next((i for i, depth in enumerate(depths) if depth), None)
    middle = _count(tensors, r"mid_block\.attentions\.0\.transformer_blocks\.(\d+)\.")
    if not middle:
        raise ModelError(f"{path} has no attention in its middle: a ControlNet of a kind that is not known")
    place = f"down_blocks.{first}" if first is not None else "mid_block"
    linear = len(shape(f"{place}.attentions.0.proj_in.weight")) == 2
    hints = _count(tensors, r"controlnet_cond_embedding\.blocks\.(\d+)\.")
    start = shape("controlnet_cond_embedding.conv_in.weight")
    config: dict[str, Any] = {
        "in_channels": shape("conv_in.weight")[1],
        "conditioning_channels": start[1],
        "conditioning_embedding_out_channels": [
            start[0],
            *(shape(f"controlnet_cond_embedding.blocks.{i}.weight")[0] for i in range(1, hints, 2)),
        ],
        "block_out_channels": wide,
        "layers_per_block": _count(tensors, r"down_blocks\.0\.resnets\.(\d+)\."),
        "down_block_types": ["CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths],
        # The middle has the depth of the last level, which tells it where that has no attention itself.
        "transformer_layers_per_block": [*(max(1, depth) for depth in depths[:-1]), middle],
        "cross_attention_dim": shape(f"{place}.attentions.0.transformer_blocks.0.attn2.to_k.weight")[1],
        "use_linear_projection": linear,
        "attention_head_dim": [max(1, width // 64) for width in wide] if linear else 8,
    }
    if "add_embedding.linear_1.weight" in tensors:
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": shape("add_embedding.linear_1.weight")[1],
        }
    return config


def _count(tensors: dict[str, TensorInfo], pattern: str) -> int:
    return len({match[1] for name in tensors if (match := re.match(pattern, name))})
