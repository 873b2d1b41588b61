"""Names in original single-file checkpoints (the layout of CompVis and Stability AI) for each diffusers name."""

from __future__ import annotations

import re
from dataclasses import dataclass

UNET = "model.diffusion_model."
VAE = "first_stage_model."
CONTROL = "control_model."
CLIP = {"sd1": "cond_stage_model.transformer.", "sdxl": "conditioner.embedders.0.transformer."}
OPEN_CLIP = {"sd2": "cond_stage_model.model.", "sdxl": "conditioner.embedders.1.model."}


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a parameter lies: the stored tensor's name; its third when q, k, v are fused; whether it is transposed."""

    name: str
    third: int | None = None
    transposed: bool = False


def stored_names(component: str, family: str, name: str, config: dict[str, object]) -> list[Stored]:
    """Places where the parameter ``name`` of a component may lie in a single file, the usual one first."""
    if component == "unet":
        return [Stored(UNET + unet_name(name, int(str(config["layers_per_block"])), _plain_up(config)))]
    if component == "controlnet":
        return [Stored(CONTROL + controlnet_name(name, int(str(config["layers_per_block"]))))]
    if component == "vae":
        levels = config["block_out_channels"]
        assert isinstance(levels, (list, tuple))
        own = vae_name(name, len(levels))
        return [Stored(VAE + own), Stored(own)]  # the second in the file of a VAE alone
    bare = name.removeprefix("text_model.")
    if component == "text_encoder" and family in CLIP:
        return [Stored(f"{CLIP[family]}text_model.{bare}"), Stored(CLIP[family] + bare)]
    found = open_clip_name(bare)
    return [Stored(OPEN_CLIP[family] + found.name, found.third, found.transposed)]


def _plain_up(config: dict[str, object]) -> frozenset[int]:
    """Up blocks without attention: there the upsampler is the second module of its output block, else the third."""
    types = config["up_block_types"]
    assert isinstance(types, (list, tuple))
    return frozenset(i for i, kind in enumerate(types) if kind == "UpBlock2D")


_UNET_TOP = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_BLOCK = re.compile(r"(down|up)_blocks\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
_MID = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")


def unet_name(name: str, layers: int, plain_up: frozenset[int] = frozenset()) -> str:
    """The original name, without prefix, of a ``UNet2DConditionModel`` parameter; ``layers`` per block."""
    head, _, kind = name.rpartition(".")
    if head in _UNET_TOP:
        return f"{_UNET_TOP[head]}.{kind}"
    if match := _MID.fullmatch(name):
        part, index, rest = match[1], int(match[2]), match[3]
        return f"middle_block.{2 * index}.{_resnet(rest)}" if part == "resnets" else f"middle_block.1.{rest}"
    match = _BLOCK.fullmatch(name)
    if match is None:
        return name
    side, block, part, index, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    if part == "downsamplers":
        return f"input_blocks.{(block + 1) * (layers + 1)}.0.op.{kind}"
    if part == "upsamplers":
        return f"output_blocks.{block * (layers + 1) + layers}.{1 if block in plain_up else 2}.conv.{kind}"
    place = (
        f"input_blocks.{1 + block * (layers + 1) + index}"
        if side == "down"
        else f"output_blocks.{block * (layers + 1) + index}"
    )
    return f"{place}.0.{_resnet(rest)}" if part == "resnets" else f"{place}.1.{rest}"


_HINT = re.compile(r"controlnet_cond_embedding\.(conv_in|blocks\.(\d+))\.(.+)")


def controlnet_name(name: str, layers: int, hints: int = 8) -> str:
    """The original name, without prefix, of a ``ControlNetModel`` parameter; ``hints`` convolutions read the hint."""
    parts = name.split(".")
    if parts[0] == "controlnet_down_blocks":
        return f"zero_convs.{parts[1]}.0.{parts[2]}"
    if parts[0] == "controlnet_mid_block":
        return f"middle_block_out.0.{parts[1]}"
    if match := _HINT.fullmatch(name):
        place = 0 if match[2] is None else 1 + int(match[2])
        return f"input_hint_block.{2 * place}.{match[3]}"
    if parts[0] == "controlnet_cond_embedding":
        return f"input_hint_block.{2 * (hints - 1)}.{parts[2]}"
    return unet_name(name, layers)


def _resnet(rest: str) -> str:
    head, _, kind = rest.rpartition(".")
    return f"{_UNET_RESNET.get(head, head)}.{kind}"


_VAE_PARTS = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}


def vae_name(name: str, levels: int) -> str:
    """The original name, without prefix, of an ``AutoencoderKL`` parameter with ``levels`` resolutions."""
    side, _, rest = name.partition(".")
    if side not in ("encoder", "decoder"):
        return name
    head, _, kind = rest.rpartition(".")
    if head == "conv_norm_out":
        return f"{side}.norm_out.{kind}"
    if match := _MID.fullmatch(rest):
        if match[1] == "resnets":
            return f"{side}.mid.block_{int(match[2]) + 1}.{match[3]}"
        part, _, kind = match[3].rpartition(".")
        return f"{side}.mid.attn_1.{_VAE_PARTS.get(part, part)}.{kind}"
    match = _BLOCK.fullmatch(rest)
    if match is None:
        return name
    block, part, inner = int(match[2]), match[3], match[5]
    place = f"{side}.down.{block}" if match[1] == "down" else f"{side}.up.{levels - 1 - block}"
    if part == "resnets":
        return f"{place}.block.{match[4]}.{inner.replace('conv_shortcut', 'nin_shortcut')}"
    return f"{place}.{'downsample' if part == 'downsamplers' else 'upsample'}.{inner}"


_OPEN_CLIP = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
}
_OPEN_CLIP_LAYER = {
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}


def open_clip_name(name: str) -> Stored:
    """Where OpenCLIP keeps the parameter ``name`` (without ``text_model.``) of a CLIP text encoder."""
    if name in _OPEN_CLIP:
        return Stored(_OPEN_CLIP[name])
    if name == "text_projection.weight":
        return Stored("text_projection", transposed=True)
    match = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
    if match is None:
        return Stored(name)
    layer, part, kind = f"transformer.resblocks.{match[1]}", match[2], match[3]
    if part in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
        return Stored(f"{layer}.attn.in_proj_{kind}", third="qkv".index(part[10]))
    return Stored(f"{layer}.{_OPEN_CLIP_LAYER.get(part, part)}.{kind}")
