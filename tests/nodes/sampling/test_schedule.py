"""Schedules: neutral conversions, levels, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from weft.nodes.sampling.noise import draw, generators
from weft.nodes.sampling.schedule import SCHEDULERS, Schedule, build_scheduler

CONFIG: dict[str, Any] = {
    "_class_name": "PNDMScheduler",
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "steps_offset": 1,
    "skip_prk_steps": True,
    "set_alpha_to_one": False,
}


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("name", ["default", *SCHEDULERS])
def test_conversions_are_inverses(name: str, prediction: str) -> None:
    """The prediction of known clean latents and noise gives both back, at every level, in every parametrisation."""
    schedule = Schedule(build_scheduler(name, {**CONFIG, "prediction_type": prediction}), 6)
    clean, noise = torch.randn(2, 1, 4, 8, 8).double()
    for index in range(schedule.calls):
        latents = schedule.renoise(clean, noise, index)
        alpha, sigma = schedule.alphas[index], schedule.sigmas[index]
        a, s = alpha / (alpha**2 + sigma**2) ** 0.5, sigma / (alpha**2 + sigma**2) ** 0.5
        output = noise if prediction == "epsilon" else a * noise - s * clean
        assert torch.allclose(schedule.x0(output, latents, index), clean, atol=1e-3)
        assert torch.allclose(schedule.epsilon(output, latents, index), noise, atol=1e-3)
        assert torch.allclose(schedule.from_x0(clean, latents, index), output, atol=1e-3)
        assert torch.allclose(schedule.from_epsilon(noise, latents, index), output, atol=1e-3)
        # What the denoiser is given has unit variance whatever the scheduler's coordinates.
        assert float(schedule.scale(latents, index).std()) == pytest.approx(1.0, abs=0.2)
    assert torch.equal(schedule.renoise(clean, noise, schedule.calls), clean)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_levels_are_those_that_the_scheduler_noises_to(name: str) -> None:
    """`renoise` is the scheduler's own add_noise, bit for bit, also in the middle of the schedule."""
    scheduler = build_scheduler(name, CONFIG)
    schedule = Schedule(scheduler, 8, strength=0.5)
    clean, noise = torch.randn(2, 1, 4, 8, 8)
    theirs = scheduler.add_noise(clean, noise, schedule.timesteps[0].reshape(1))
    assert torch.equal(schedule.renoise(clean, noise, 0), theirs)


def test_a_perfect_denoiser_arrives() -> None:
    """Given the true noise at each level, every deterministic scheduler ends at the clean latents."""
    clean, noise = torch.randn(2, 1, 4, 8, 8)
    for name in ("ddim", "pndm", "euler", "dpmpp_2m", "dpmpp_2m_karras", "unipc", "heun"):
        schedule = Schedule(build_scheduler(name, CONFIG), 10)
        latents = schedule.renoise(clean, noise, 0)
        for index in range(schedule.calls):
            latents = schedule.step(schedule.from_x0(clean, latents, index), index, latents)
        # Some end at the first training level, whose sigma is 0.03, rather than at zero.
        assert (latents - clean).abs().max() < 0.2, name


def test_calls_and_whole_steps() -> None:
    heun = Schedule(build_scheduler("heun", CONFIG), 4)
    assert (heun.calls, [heun.whole(index) for index in range(7)]) == (7, [False, True, False, True, False, True, True])
    assert Schedule(build_scheduler("pndm", CONFIG), 4).calls == 5
    assert Schedule(build_scheduler("ddim", CONFIG), 10, strength=0.35).calls == 3
    for name in SCHEDULERS:
        assert Schedule(build_scheduler(name, CONFIG), 10, strength=0.05).calls == 0


def test_latents_are_not_clipped_by_default() -> None:
    """diffusers clips latents to 1 under DDIM where a configuration (PNDM's, say) does not mention clipping."""
    assert build_scheduler("ddim", CONFIG).config.clip_sample is False
    assert build_scheduler("ddim", {**CONFIG, "clip_sample": True}).config.clip_sample is True


def test_clipping_is_left_to_diffusers() -> None:
    schedule = Schedule(build_scheduler("ddim", {**CONFIG, "clip_sample": True}), 4)
    latents = torch.randn(1, 4, 8, 8) * 5
    scheduler = build_scheduler("ddim", {**CONFIG, "clip_sample": True})
    scheduler.set_timesteps(4)
    theirs = scheduler.step(latents, scheduler.timesteps[0], latents).prev_sample
    assert torch.equal(schedule.step(latents, 0, latents), theirs)


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="unknown scheduler 'dmd': one of default, ddim"):
        build_scheduler("dmd", CONFIG)
    with pytest.raises(ValueError, match="'Magic' is not in diffusers"):
        build_scheduler("default", {**CONFIG, "_class_name": "Magic"})
    with pytest.raises(ValueError, match="'UNet2DModel' is not in diffusers"):
        build_scheduler("default", {**CONFIG, "_class_name": "UNet2DModel"})


def test_noise_of_image_k_is_that_of_its_seed() -> None:
    batch = draw((3, 4, 8, 8), generators(5, 3), "cpu")
    for number in range(3):
        assert torch.equal(batch[number], draw((1, 4, 8, 8), generators(5 + number, 1), "cpu")[0])
