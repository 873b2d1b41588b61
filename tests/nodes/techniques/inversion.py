"""diffusers' DiffEdit pipeline on our model's own modules; it brings its inverse scheduler itself."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler, StableDiffusionDiffEditPipeline
from torch import Tensor

from weft.nodes.values import Model


def diffedit_pipeline(model: Model, scheduler: Any = DDIMScheduler) -> Any:
    parts = model.parts()
    config = {"clip_sample": False, **model.scheduler, "prediction_type": model.prediction}
    pipe = StableDiffusionDiffEditPipeline(
        vae=parts.vae,
        text_encoder=parts.text_encoders[0],
        tokenizer=parts.tokenizers[0],
        unet=parts.unet,
        scheduler=scheduler.from_config(config),
        inverse_scheduler=DDIMInverseScheduler.from_config(config),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.parts = parts
    pipe.set_progress_bar_config(disable=True)
    return pipe


def picture(batch: int = 1, size: int = 16) -> Tensor:
    """Latents as an image has them: smooth, with a few shapes."""
    ramp = torch.linspace(-1, 1, size)
    rows = [torch.stack([ramp[:, None] + 0.3 * k + ramp[None, :] * (c - 1) for c in range(4)]) for k in range(batch)]
    return torch.stack(rows).sin() * 1.5
