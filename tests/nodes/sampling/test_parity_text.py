"""Text to image equals diffusers' pipelines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor

from tests.nodes.sampling.oracle import SCHEDULERS, difference, seeded, set_scheduler
from weft.nodes import cfg, denoise, encode_prompt
from weft.nodes.values import Model

PROMPT, NEGATIVE = "a red circle left of a blue square", "a green star on black"
KINDS = {"sd1": "StableDiffusionPipeline", "sd2": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline"}
Models = Callable[[str], Model]
Pipes = Callable[[str, str], Any]


def ours(model: Model, scheduler: str, negative: str | None, scale: float, rescale: float, **options: Any) -> Tensor:
    guidance = cfg(
        encode_prompt(model, PROMPT),
        None if negative is None else encode_prompt(model, negative),
        scale=scale,
        rescale=rescale,
    )
    return denoise(model, [guidance], scheduler=scheduler, **options).latents.samples  # type: ignore[arg-type]


def theirs(
    pipe: Any,
    scheduler: str,
    negative: str | None,
    scale: float,
    rescale: float,
    *,
    steps: int,
    seed: int,
    batch: int = 1,
    **options: Any,
) -> Tensor:
    set_scheduler(pipe, scheduler)
    return pipe(
        PROMPT,
        negative_prompt=negative,
        guidance_scale=scale,
        guidance_rescale=rescale,
        num_inference_steps=steps,
        num_images_per_prompt=batch,
        generator=seeded(seed, batch),
        output_type="latent",
        **options,
    ).images


def compare(
    model: Models,
    pipe: Pipes,
    name: str,
    scheduler: str,
    negative: str | None = NEGATIVE,
    scale: float = 7.5,
    rescale: float = 0.0,
    **options: Any,
) -> None:
    a = ours(model(name), scheduler, negative, scale, rescale, **options)
    b = theirs(pipe(name, KINDS[name]), scheduler, negative, scale, rescale, **options)
    assert difference(a, b) <= 1e-5


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_every_scheduler(model: Models, pipe: Pipes, name: str, scheduler: str) -> None:
    compare(model, pipe, name, scheduler, steps=5, seed=11, width=64, height=64)


@pytest.mark.parametrize("scheduler", ["default", "euler", "heun", "dpmpp_2m_karras", "lcm"])
def test_v_prediction(model: Models, pipe: Pipes, scheduler: str) -> None:
    compare(model, pipe, "sd2", scheduler, steps=5, seed=2, rescale=0.7, width=64, height=64)


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
@pytest.mark.parametrize("scheduler", ["ddim", "euler_ancestral", "dpmpp_sde"])
def test_batch_and_rescale(model: Models, pipe: Pipes, name: str, scheduler: str) -> None:
    compare(model, pipe, name, scheduler, steps=4, seed=3, batch=3, rescale=0.6, width=64, height=48)


@pytest.mark.parametrize("eta", [0.5, 1.0])
def test_eta(model: Models, pipe: Pipes, eta: float) -> None:
    compare(model, pipe, "sd1", "ddim", steps=5, seed=4, batch=2, eta=eta, width=64, height=64)


@pytest.mark.parametrize("scale", [0.5, 1.0])
def test_low_scale_takes_the_prompt_alone(model: Models, pipe: Pipes, scale: float) -> None:
    compare(model, pipe, "sd1", "ddim", scale=scale, steps=3, seed=5, width=64, height=64)


@pytest.mark.parametrize("name", ["sd1", "sdxl"])
def test_no_negative_prompt(model: Models, pipe: Pipes, name: str) -> None:
    """An empty prompt for SD 1; zeros for SDXL, whose index asks for that."""
    compare(model, pipe, name, "euler", negative=None, steps=3, seed=6, width=64, height=64)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("scheduler", ["pndm", "ddim", "unipc"])
def test_very_few_steps(model: Models, pipe: Pipes, scheduler: str, steps: int) -> None:
    compare(model, pipe, "sd1", scheduler, steps=steps, seed=7, width=64, height=64)


def test_own_size_and_four_levels(model: Models, pipe: Pipes) -> None:
    """Width and height 0 are the model's own; sides that the UNet cannot halve evenly work too."""
    KINDS.setdefault("sd1_four", "StableDiffusionPipeline")
    a = ours(model("sd1_four"), "ddim", NEGATIVE, 5.0, 0.0, steps=2, seed=8)
    assert a.shape == (1, 4, 32, 32)
    assert (
        difference(a, theirs(pipe("sd1_four", KINDS["sd1_four"]), "ddim", NEGATIVE, 5.0, 0.0, steps=2, seed=8)) <= 1e-5
    )
    compare(model, pipe, "sd1_four", "ddim", steps=2, seed=8, width=200, height=104)
