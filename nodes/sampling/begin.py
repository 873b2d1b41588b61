"""What a run begins with: the model's part of it, made in one place, and clean latents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from weft.engine import Context
from weft.nodes.models.parts import place_of
from weft.nodes.prompts.encode import unconditional
from weft.nodes.sampling.noise import draw, generators
from weft.nodes.sampling.run import Resume, Run
from weft.nodes.sampling.schedule import Schedule, corrected
from weft.nodes.sampling.vae import encode_pixels
from weft.nodes.technique import Technique
from weft.nodes.values import Image, Latents, Model


def begin(
    model: Model,
    unet: Any,
    schedule: Schedule,
    shape: tuple[int, int, int, int],
    sources: Sequence[torch.Generator],
    techniques: Sequence[Technique],
    ctx: Context,
    *,
    clean: Tensor | None = None,
    pure_noise: bool = False,
    noise: Tensor | None = None,
) -> Run:
    """A run of a model, ready for the loop; the first noise is drawn here.

    unet: the model's, of parts that the caller holds while the run lasts. shape: (B, C, H, W) of the latents.
    sources: one generator per image. ctx: where steps of earlier runs are found, and where to report.
    clean, pure_noise: as in `Run`; latents are brought to the run's device and number format.
    noise: (B, C, H, W), in place of the first draw; what is drawn later is as it would be without.
    """
    device, dtype = place_of(unet)
    drawn = draw(shape, sources, device)
    return Run(
        unet=unet,
        schedule=schedule,
        shape=shape,
        generators=sources,
        noise=drawn if noise is None else noise.to(device, torch.float32),
        device=device,
        dtype=dtype,
        clean=None if clean is None else clean.to(device, torch.float32),
        pure_noise=pure_noise,
        time_ids=_size_conditioning(model, *shape[2:]),
        scale_factor=model.scale_factor,
        scale_embedding=scale_embedding(unet),
        empty=lambda: unconditional(model, ctx.log),
        techniques=techniques,
        resume=_resuming(model, ctx),
    )


def scheduler_config(model: Model) -> dict[str, Any]:
    """What `build_scheduler` takes for a model; for Stable Diffusion 1 and 2 it is `corrected`."""
    config = {**model.scheduler, "prediction_type": model.prediction}
    return config if model.family == "sdxl" else corrected(config)


def scale_embedding(unet: Any) -> int:
    """The width of the guidance-scale embedding of a distilled denoiser; 0 for all others."""
    return int(unet.config.get("time_cond_proj_dim") or 0)


def clean_latents(model: Model, image: Image | None, latents: Latents | None, ctx: Context) -> Tensor:
    """Denoiser latents (B, C, H, W) for nodes that take an image or latents. Raises ValueError for both or neither."""
    if (image is None) == (latents is None):
        raise ValueError("either `image` or `latents` is needed" + (", not both" if image is not None else ""))
    if image is not None:
        return encoded(model, image.pixels, None, ctx).samples
    assert latents is not None
    if latents.samples.shape[1] != model.latent_channels:
        raise ValueError(
            f"the latents have {latents.samples.shape[1]} channels and this model's {model.latent_channels}: are they "
            "from another?"
        )
    return latents.samples


def encoded(model: Model, pixels: Tensor, seed: int | None, ctx: Context, tiled: bool | None = None) -> Latents:
    """Latents of pictures (B, H, W, 3): the mean of the VAE's distribution, or with `seed` a draw from it.

    tiled: as in `encode_pixels`.

    Raises ValueError for sides that are no multiples of the VAE's factor.
    """
    scale = model.scale_factor
    height, width = pixels.shape[1:3]
    if height % scale or width % scale:
        near = f"{max(1, round(width / scale)) * scale} x {max(1, round(height / scale)) * scale}"
        raise ValueError(
            f"the image is {width} x {height}; its sides have to be multiples of {scale}: resize it to {near}"
        )
    sources = generators(seed, pixels.shape[0]) if seed is not None else None
    with model.parts() as parts, torch.no_grad():
        return Latents(encode_pixels(parts.vae, pixels, sources=sources, tiled=tiled, check=ctx.check_cancelled))


def repeated(samples: Tensor, count: int) -> Tensor:
    """Latents or masks of fewer images, (n, ...), for `count` images; n divides it."""
    return samples.repeat(count // samples.shape[0], 1, 1, 1)


def _size_conditioning(model: Model, rows: int, columns: int) -> Tensor | None:
    """SDXL's size conditioning, (1, 6): original size, crop offset and target size, all of this image; else None.

    rows, columns: of the latents.
    """
    if model.family != "sdxl":
        return None
    height, width = rows * model.scale_factor, columns * model.scale_factor
    return torch.tensor([[height, width, 0, 0, height, width]], dtype=torch.float32)


def _resuming(model: Model, ctx: Context) -> Resume | None:
    """How a run of this model goes on from earlier ones; None where nothing is kept between runs."""
    if ctx.trails is None:
        return None
    recipe = (model.fingerprint, model.family, model.prediction, model.dtype, model.zero_empty, model.patches)
    return Resume(ctx.trails, recipe, ctx.reused)
