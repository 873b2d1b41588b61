"""Image to image and inpainting equal diffusers' pipelines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import KDPM2AncestralDiscreteScheduler, KDPM2DiscreteScheduler
from torch import Tensor

from tests.nodes.sampling.oracle import SCHEDULERS, difference, seeded, set_scheduler
from weft.nodes import cfg, denoise, encode_image, encode_masked_image, encode_prompt
from weft.nodes.values import Guidance, Image, Latents, Mask, Model

PROMPT, NEGATIVE = "a red circle on white", "blue"
Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]


def guidance(model: Model) -> Guidance:
    return cfg(encode_prompt(model, PROMPT), encode_prompt(model, NEGATIVE), scale=6.0)


def picture(batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.nn.functional.interpolate(torch.rand(batch, 3, 8, 8, generator=generator), (64, 64)).permute(
        0, 2, 3, 1
    )


def rectangle() -> Tensor:
    pixels = torch.zeros(1, 64, 64)
    pixels[:, 16:48, 8:40] = 1
    return pixels


def their_run(pipe: Any, scheduler: str, *, seed: int, steps: int, batch: int = 1, **options: Any) -> Tensor:
    set_scheduler(pipe, scheduler)
    return pipe(
        PROMPT,
        negative_prompt=NEGATIVE,
        guidance_scale=6.0,
        num_inference_steps=steps,
        num_images_per_prompt=batch,
        generator=seeded(seed, batch),
        output_type="latent",
        **options,
    ).images


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize(("name", "kind"), [("sd1", "StableDiffusion"), ("sdxl", "StableDiffusionXL")])
def test_image_to_image(model: Models, pipe: Pipes, name: str, kind: str, scheduler: str) -> None:
    m = model(name)
    start = encode_image(m, Image(picture()))
    a = denoise(m, [guidance(m)], start=start, strength=0.6, steps=6, scheduler=scheduler, seed=3, batch=2)  # type: ignore[arg-type]
    b = their_run(
        pipe(name, f"{kind}Img2ImgPipeline"), scheduler, seed=3, steps=6, batch=2, image=start.samples, strength=0.6
    )
    assert difference(a.latents.samples, b) <= 1e-5


def test_full_strength_still_starts_from_the_image(model: Models, pipe: Pipes) -> None:
    m = model("sd1")
    start = encode_image(m, Image(picture()))
    a = denoise(m, [guidance(m)], start=start, strength=1.0, steps=3, scheduler="ddim", seed=3)
    b = their_run(
        pipe("sd1", "StableDiffusionImg2ImgPipeline"), "ddim", seed=3, steps=3, image=start.samples, strength=1.0
    )
    assert difference(a.latents.samples, b) <= 1e-5


THEIR_CLASSES: dict[str, Any] = {"kdpm2": KDPM2DiscreteScheduler, "kdpm2_ancestral": KDPM2AncestralDiscreteScheduler}


def add_noise_between(scheduler: Any, samples: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> Any:
    """What diffusers' KDPM2 means to do: the second stage of a step is at a level between two, and so is what is kept
    of the image there. Its own `add_noise` takes the level of the end of the step: the network is told of more noise
    than there is."""
    index = scheduler.begin_index if scheduler.step_index is None else scheduler.step_index
    sigma = scheduler.sigmas[index]
    if not scheduler.state_in_first_order:
        place = index - 1 if isinstance(scheduler, KDPM2AncestralDiscreteScheduler) else index
        sigma = scheduler.sigmas_interpol[place]
    return samples + noise * sigma


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("strength", [1.0, 0.7])
def test_inpaint_four_channels(
    model: Models, pipe: Pipes, scheduler: str, strength: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scheduler.startswith("kdpm2"):
        monkeypatch.setattr(THEIR_CLASSES[scheduler], "add_noise", add_noise_between)
    m = model("sd1")
    start = encode_image(m, Image(picture()))
    a = denoise(
        m,
        [guidance(m)],
        start=start,
        strength=strength,
        mask=Mask(rectangle()),
        steps=5,
        scheduler=scheduler,  # type: ignore[arg-type]
        seed=4,
        batch=2,
    )
    b = their_run(
        pipe("sd1", "StableDiffusionInpaintPipeline"),
        scheduler,
        seed=4,
        steps=5,
        batch=2,
        strength=strength,
        image=start.samples,
        mask_image=rectangle()[:, None],
        masked_image_latents=torch.zeros_like(start.samples),
        height=64,
        width=64,
    )
    assert difference(a.latents.samples, b) <= 1e-5
    kept = rectangle()[0, ::8, ::8] == 0
    assert torch.equal(a.latents.samples[..., kept], start.samples.expand(2, -1, -1, -1)[..., kept])


@pytest.mark.parametrize("scheduler", ["default", "ddim", "euler_ancestral", "dpmpp_2m", "heun"])
@pytest.mark.parametrize("strength", [1.0, 0.7])
@pytest.mark.parametrize(("name", "kind"), [("sd1_inpaint", "StableDiffusion"), ("sdxl_inpaint", "StableDiffusionXL")])
def test_inpaint_nine_channels(
    model: Models, pipe: Pipes, name: str, kind: str, scheduler: str, strength: float
) -> None:
    m = model(name)
    start = encode_image(m, Image(picture()))
    masked = encode_masked_image(m, Image(picture()), Mask(rectangle()))
    a = denoise(
        m,
        [guidance(m)],
        start=start if strength < 1 else None,
        strength=strength,
        mask=Mask(rectangle()),
        masked=masked,
        steps=4,
        scheduler=scheduler,  # type: ignore[arg-type]
        seed=5,
        batch=2,
        width=64,
        height=64,
    )
    b = their_run(
        pipe(name, f"{kind}InpaintPipeline"),
        scheduler,
        seed=5,
        steps=4,
        batch=2,
        strength=strength,
        image=start.samples,
        mask_image=rectangle()[:, None],
        masked_image_latents=masked.samples,
        height=64,
        width=64,
    )
    assert difference(a.latents.samples, b) <= 1e-5


def test_encoding_equals_diffusers(model: Models, pipe: Pipes) -> None:
    """With `sample`, image k is drawn with seed + k, as diffusers draws with a list of generators."""
    m, vae = model("sd1"), pipe("sd1", "StableDiffusionPipeline").vae
    pixels = picture(2)
    signal = pixels.permute(0, 3, 1, 2) * 2 - 1
    with torch.no_grad():
        theirs = [
            vae.encode(signal[k : k + 1]).latent_dist.sample(generator) for k, generator in enumerate(seeded(9, 2))
        ]
        mean = vae.encode(signal).latent_dist.mode()
    ours = encode_image(m, Image(pixels), sample=True, seed=9).samples
    assert difference(ours, vae.config.scaling_factor * torch.cat(theirs)) <= 1e-6
    assert difference(encode_image(m, Image(pixels)).samples, vae.config.scaling_factor * mean) <= 1e-6


def test_masked_image_is_grey_where_masked(model: Models) -> None:
    m = model("sd1")
    pixels = picture()
    blanked = pixels.clone()
    blanked[:, 16:48, 8:40] = 0.5
    a = encode_masked_image(m, Image(pixels), Mask(rectangle()))
    assert difference(a.samples, encode_image(m, Image(blanked)).samples) <= 1e-5


def test_strength_zero_returns_the_start(model: Models) -> None:
    m = model("sd1")
    start = Latents(torch.randn(1, 4, 8, 8))
    result = denoise(m, [guidance(m)], start=start, strength=0.0, steps=5)
    assert torch.equal(result.latents.samples, start.samples)
    assert result.trajectory.timesteps == ()
