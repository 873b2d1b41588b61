"""A denoise with guidance on a tiny model, beside a diffusers pipeline on the same modules."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from tests.nodes.sampling.oracle import seeded, set_scheduler
from tests.nodes.techniques.measure import counted
from weft.nodes import cfg, denoise, encode_prompt
from weft.nodes.values import Guidance, Model

PROMPT, NEGATIVE = "a red circle", "a blue square"
SIZE = {"width": 128, "height": 128}


def base(model: Model, scale: float = 5.0, **options: Any) -> Guidance:
    """cfg with the prompts that `theirs` has."""
    return cfg(encode_prompt(model, PROMPT), encode_prompt(model, NEGATIVE), scale=scale, **options)


def ours(model: Model, *guidance: Guidance, scale: float = 5.0, **options: Any) -> Tensor:
    """Latents (B, 4, h, w) under cfg and more guidance."""
    settings: dict[str, Any] = {"steps": 4, "scheduler": "ddim", "seed": 7, **SIZE} | options
    controls = settings.pop("controls", [])
    return denoise(model, [base(model, scale), *guidance], controls, **settings).latents.samples


def cost(model: Model, *guidance: Guidance, scale: float = 5.0, **options: Any) -> list[int]:
    """The rows of each forward."""
    # Held, so that the module counted is the one that runs.
    parts = model.parts()
    with counted(parts.unet) as rows:
        ours(model, *guidance, scale=scale, **options)
    return rows


def theirs(
    pipe: Any, scheduler: str, steps: int = 4, batch: int = 1, scale: float = 5.0, seed: int = 7, **options: Any
) -> Tensor:
    """Latents of a diffusers pipeline; its own attention processors are put back after."""
    before = dict(pipe.unet.attn_processors)
    set_scheduler(pipe, scheduler)
    settings: dict[str, Any] = {"negative_prompt": NEGATIVE, **SIZE} | options
    try:
        return pipe(
            PROMPT,
            guidance_scale=scale,
            num_inference_steps=steps,
            num_images_per_prompt=batch,
            generator=seeded(seed, batch),
            output_type="latent",
            **settings,
        ).images
    finally:
        pipe.unet.set_attn_processor(before)
