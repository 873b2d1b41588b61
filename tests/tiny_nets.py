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
