"""Tiny random-weight networks beside the denoiser, for the models of `tests.tiny`: real layouts, real topologies.

What published ones start from zero (the convolutions at a ControlNet's outputs) is not zero here, else nothing would
be compared.
"""

from __future__ import annotations

from pathlib import Path

import torch

from tests.tiny import _seeded


def tiny_controlnet(folder: Path, model: Path, seed: int = 0, *, pool: bool = False) -> Path:
    """A ControlNet made from the denoiser of a model's folder; returns ``folder``. pool: as the shuffle net has it."""
    from diffusers import ControlNetModel, UNet2DConditionModel

    with _seeded(seed + 100):
        unet = UNet2DConditionModel.from_pretrained(model / "unet")
        net = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8, 8, 16))
        net.register_to_config(global_pool_conditions=pool)
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                if name.startswith(("controlnet_down_blocks", "controlnet_mid_block")):
                    parameter.copy_(torch.randn_like(parameter) * 0.1)
                elif name.startswith("controlnet_cond_embedding"):
                    parameter.copy_(torch.randn_like(parameter) * (0.3 if parameter.ndim > 1 else 0.1))
        net.save_pretrained(folder)
    return folder


def tiny_adapter(folder: Path, model: Path, seed: int = 0, *, kind: str | None = None, channels: int = 3) -> Path:
    """A T2I-Adapter for the denoiser of a model's folder; returns ``folder``.

    kind: ``full_adapter``, ``light_adapter`` or ``full_adapter_xl``; None is the usual one of the model's family.
    channels: of its hint.
    """
    from diffusers import T2IAdapter, UNet2DConditionModel

    config = UNet2DConditionModel.load_config(model / "unet")
    levels, xl = list(config["block_out_channels"]), config.get("addition_embed_type") == "text_time"
    with _seeded(seed + 200):
        net = T2IAdapter(
            in_channels=channels,
            channels=[*levels, levels[-1]] if xl else levels,
            num_res_blocks=1,
            downscale_factor=16 if xl else 8,
            adapter_type=kind or ("full_adapter_xl" if xl else "full_adapter"),
        )
        net.save_pretrained(folder)
    return folder


def tiny_image_adapter(folder: Path, model: Path, seed: int = 0, *, kind: str = "plain") -> Path:
    """An IP-Adapter for the denoiser of a model's folder, in the published layout; returns its file.

    kind: ``plain``, ``plus`` or ``full``. Its image encoder, CLIP's vision model on 32 x 32 pixels, lies beside it.
    """
    from diffusers import UNet2DConditionModel
    from safetensors.torch import save_file
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    folder.mkdir(parents=True)
    hidden, projected = 24, 20
    unet = UNet2DConditionModel.from_pretrained(model / "unet")
    width = unet.config.cross_attention_dim
    with _seeded(seed + 300):
        encoder = CLIPVisionModelWithProjection(
            CLIPVisionConfig(
                hidden_size=hidden,
                intermediate_size=32,
                num_hidden_layers=3,
                num_attention_heads=2,
                image_size=32,
                patch_size=8,
                projection_dim=projected,
            )
        )
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.2)
        encoder.save_pretrained(folder / "image_encoder")
        state = {f"image_proj.{name}": item for name, item in _projection(kind, hidden, projected, width).items()}
        sites = [module for name, module in unet.named_modules() if name.endswith(".attn2")]
        for number, site in enumerate(sites):
            for name in ("to_k_ip", "to_v_ip"):
                weight = torch.randn(site.to_q.weight.shape[0], width) * 0.3
                state[f"ip_adapter.{2 * number + 1}.{name}.weight"] = weight
    save_file(state, folder / "ip-adapter.safetensors")
    return folder / "ip-adapter.safetensors"


def _projection(kind: str, hidden: int, projected: int, width: int) -> dict[str, torch.Tensor]:
    """The tensors between image states and tokens, by their published names."""

    def norm(name: str, size: int) -> dict[str, torch.Tensor]:
        return {f"{name}.weight": 1 + torch.randn(size) * 0.1, f"{name}.bias": torch.randn(size) * 0.1}

    def linear(name: str, out: int, into: int, bias: bool = True) -> dict[str, torch.Tensor]:
        made = {f"{name}.weight": torch.randn(out, into) * 0.3}
        return made | {f"{name}.bias": torch.randn(out) * 0.1} if bias else made

    if kind == "plain":
        return linear("proj", 4 * width, projected) | norm("norm", width)
    if kind == "full":
        return linear("proj.0", hidden, hidden) | linear("proj.2", width, hidden) | norm("proj.3", width)
    inner = 16
    state = {"latents": torch.randn(1, 5, inner)}
    state |= linear("proj_in", inner, hidden) | linear("proj_out", width, inner) | norm("norm_out", width)
    for layer in range(4):
        place = f"layers.{layer}"
        state |= norm(f"{place}.0.norm1", inner) | norm(f"{place}.0.norm2", inner) | norm(f"{place}.1.0", inner)
        state |= linear(f"{place}.0.to_q", 64, inner, False) | linear(f"{place}.0.to_kv", 128, inner, False)
        state |= linear(f"{place}.0.to_out", inner, 64, False)
        state |= linear(f"{place}.1.1", 4 * inner, inner, False) | linear(f"{place}.1.3", inner, 4 * inner, False)
    return state
