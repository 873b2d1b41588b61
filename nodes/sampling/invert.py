"""DDIM inversion: the loop run backwards, from clean latents to the noise that gives them again.

`invert_latents` is what the `invert` node and techniques for real images share; `along` reads a trajectory at any
noise level, in the coordinates of any scheduler.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from weft.engine import Context
from weft.nodes.models.parts import place_of
from weft.nodes.sampling.begin import begin, scheduler_config
from weft.nodes.sampling.loop import Denoised, denoise_loop
from weft.nodes.sampling.noise import generators
from weft.nodes.sampling.run import Run, Step
from weft.nodes.sampling.schedule import Schedule, build_scheduler
from weft.nodes.technique import Order, Predictions, Technique
from weft.nodes.values import Guidance, Model, Trajectory


class InverseSchedule(Schedule):
    """DDIM's levels upwards (arXiv 2105.05233, appendix F): those of the scheduler `ddim`, in the other order.

    Call i sees latents at level i, the one that call i - 1 reached, and tells the denoiser the timestep of level i + 1.
    Level 0 is that of nearly clean latents. A `strength` below 1 leaves the last, noisiest steps out, so that the way
    ends where `Schedule` of that strength begins.
    """

    def __init__(
        self, config: Mapping[str, Any], steps: int, *, strength: float = 1.0, device: torch.device | str = "cpu"
    ) -> None:
        super().__init__(build_scheduler("ddim", config), steps, device=device)
        self.calls = min(int(steps * strength), steps)
        self.timesteps, self.on_device = self.timesteps[::-1][: self.calls], self.on_device[::-1][: self.calls]
        self.alphas, self.sigmas = self.alphas[: self.calls + 1], self.sigmas[: self.calls + 1]

    def _levels(self, first: int) -> tuple[list[Tensor], list[Tensor]]:
        scheduler = self.scheduler
        timesteps = [int(timestep) for timestep in reversed(self.timesteps)]
        start = timesteps[0] - scheduler.config.num_train_timesteps // scheduler.num_inference_steps
        products = [scheduler.final_alpha_cumprod if start < 0 else scheduler.alphas_cumprod[start]]
        products += [scheduler.alphas_cumprod[timestep] for timestep in timesteps]
        return [product**0.5 for product in products], [(1 - product) ** 0.5 for product in products]

    def step_signature(self, index: int) -> None:
        """Nothing: a step is told by its levels."""
        return None

    def step(self, prediction: Tensor, index: int, latents: Tensor) -> Tensor:
        """From level `index` to the next, noisier one, along the predicted noise."""
        clean, noise = self.x0(prediction, latents, index), self.epsilon(prediction, latents, index)
        return self.renoise(clean, noise, index + 1)

    def renoise(self, clean: Tensor, noise: Tensor, index: int) -> Tensor:
        """Clean latents with `noise` added up to level `index`; here the last level is the noisiest."""
        return self.alphas[index] * clean + self.sigmas[index] * noise


@dataclass(frozen=True, eq=False, kw_only=True)
class Begin(Technique):
    """Latents to begin with, as they are. latents: (B, C, H, W)."""

    latents: Tensor

    def start(self, run: Run) -> Tensor:
        """The latents."""
        return self.latents


@dataclass(frozen=True, eq=False, kw_only=True)
class Regularize(Guidance):
    """Makes the predicted noise of an inversion more like noise (Pix2Pix Zero, arXiv 2302.03027, section 3.1).

    times: rounds in each step; each descends the autocorrelation `rolls` times and the KL divergence once.
    autocorrelation, divergence: step sizes, 0 for none. seed: of the shifts that the autocorrelation is taken at.
    Every image has a loss and shifts of its own.
    """

    order: ClassVar[int] = Order.NOISE
    counts_calls: ClassVar[bool] = False

    times: int = 5
    autocorrelation: float = 20.0
    divergence: float = 20.0
    rolls: int = 5
    seed: int = 0

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        """The prediction after some descents."""
        sources = step.run.state(self, lambda: generators(self.seed, step.run.batch))
        rows = zip(prediction.split(1), step.latents.split(1), sources, strict=True)
        return torch.cat([self._descend(step, row, latents, source) for row, latents, source in rows])

    def snapshot(self, run: Run) -> list[Tensor] | None:
        """The generators' states."""
        sources: list[torch.Generator] | None = run.state_of(self)
        return None if sources is None else [source.get_state() for source in sources]

    def restore(self, step: Step, snapshot: list[Tensor]) -> None:
        """The generators' states."""
        sources = step.run.state(self, lambda: generators(self.seed, step.run.batch))
        for source, state in zip(sources, snapshot, strict=True):
            source.set_state(state)

    def _descend(self, step: Step, prediction: Tensor, latents: Tensor, source: torch.Generator) -> Tensor:
        def gradient(loss: Callable[[Tensor], Tensor]) -> Tensor:
            with torch.enable_grad():
                variable = prediction.detach().requires_grad_()
                return torch.autograd.grad(loss(_reached(step, variable, latents)), variable)[0]

        for _ in range(self.times):
            for _ in range(self.rolls if self.autocorrelation > 0 else 0):
                change = gradient(lambda noise: autocorrelation(noise, source))
                prediction = prediction - self.autocorrelation * (change / self.rolls)
            if self.divergence > 0:
                prediction = prediction - self.divergence * gradient(divergence)
        return prediction


def _reached(step: Step, prediction: Tensor, latents: Tensor) -> Tensor:
    """The noise that a prediction means at the timestep which the denoiser was told: the level reached."""
    return step.run.schedule.epsilon(prediction, latents, step.index + 1)


def autocorrelation(noise: Tensor, source: torch.Generator) -> Tensor:
    """How much noise (1, C, H, W) resembles itself shifted, at several scales: 0 for white noise."""
    total = noise.new_zeros(())
    for channel in range(noise.shape[1]):
        plane = noise[:, channel : channel + 1]
        while True:
            shift = int(torch.randint(max(1, plane.shape[2] // 2), (1,), generator=source))
            for dim in (2, 3):
                total = total + (plane * plane.roll(shift, dims=dim)).mean() ** 2
            if plane.shape[2] <= 8 or plane.shape[3] < 2:
                break
            plane = functional.avg_pool2d(plane, kernel_size=2)
    return total


def divergence(noise: Tensor) -> Tensor:
    """The KL divergence from standard normal noise, twice and up to a constant, of a mean and variance as found."""
    variance = noise.var()
    return variance + noise.mean() ** 2 - 1 - torch.log(variance + 1e-7)


@dataclass(frozen=True, eq=False)
class Inverted:
    """What an inversion made. path: as in `Denoised`, from clean to noisy. trajectory: the same, as a value."""

    done: Denoised
    trajectory: Trajectory

    @property
    def noise(self) -> Tensor:
        """The noisiest latents, (B, C, H, W)."""
        return self.trajectory.latents[-1]


def invert_latents(
    model: Model,
    unet: Any,
    clean: Tensor,
    techniques: Sequence[Technique],
    ctx: Context,
    *,
    steps: int,
    strength: float = 1.0,
    seed: int = 0,
) -> Inverted:
    """Invert clean latents (B, C, H, W) under any techniques.

    unet: the model's, of parts that the caller holds. ctx: is told the progress. seed: of the noise that techniques may
    draw; the inversion itself draws none.
    """
    device, _ = place_of(unet)
    schedule = InverseSchedule(scheduler_config(model), steps, strength=strength, device=device)
    clean = clean.to(device, torch.float32)
    shape = (clean.shape[0], clean.shape[1], clean.shape[2], clean.shape[3])
    sources = generators(seed, shape[0])
    run = begin(model, unet, schedule, shape, sources, [*techniques, Begin(latents=clean)], ctx, clean=clean)
    done = denoise_loop(run, watch=lambda step, prediction: ctx.progress(step.index + 1, step.calls))
    levels = [float(sigma / alpha) for sigma, alpha in zip(schedule.sigmas, schedule.alphas, strict=True)]
    trajectory = Trajectory(
        scheduler="ddim_inverse",
        seeds=tuple(seed + number for number in range(shape[0])),
        timesteps=tuple(float(timestep) for timestep in schedule.timesteps),
        # The start is the image itself, whatever the scheduler takes as its lowest level.
        sigmas=(0.0, *levels[1:]),
        latents=tuple(latents.cpu() for latents in done.path),
    )
    return Inverted(done, trajectory)


def along(trajectory: Trajectory, alpha: Tensor, sigma: Tensor) -> Tensor:
    """The latents of an inversion at a noise level: x = alpha x0 + sigma e, as `Schedule.alphas` and `.sigmas` say.

    Between two levels it is the straight line in x / alpha over sigma / alpha, which is the way DDIM itself goes: so
    levels of other schedulers and step counts are met too, and those a little above the highest one, since schedulers
    differ in where they begin. (1 or B, C, H, W), on the CPU.
    Raises ValueError for a level of more than twice the highest one.
    """
    wanted, levels = float(sigma / alpha), trajectory.sigmas
    if wanted > 2 * levels[-1]:
        raise ValueError(
            f"the inversion reaches noise level {levels[-1]:.4g} and the run begins at {wanted:.4g}: "
            "invert with at least the run's strength and steps"
        )
    # Rounding differs between schedulers; where a level was stored, it is taken as it is.
    near = min(range(len(levels)), key=lambda index: abs(levels[index] - wanted))
    if abs(levels[near] - wanted) <= 1e-4 * max(wanted, 1e-3):
        return _scaled(trajectory.latents[near], levels[near], alpha)
    above = next((index for index, level in enumerate(levels) if level >= wanted), len(levels) - 1)
    low, high = (trajectory.latents[index] * _unscale(levels[index]) for index in (above - 1, above))
    share = (wanted - levels[above - 1]) / (levels[above] - levels[above - 1])
    return torch.lerp(low, high, share) * float(alpha)


def _unscale(level: float) -> float:
    """1 / alpha of DDIM's latents at a level, where alpha^2 + sigma^2 = 1."""
    return (1 + level**2) ** 0.5


def _scaled(latents: Tensor, level: float, alpha: Tensor) -> Tensor:
    factor = _unscale(level) * float(alpha)
    return latents if abs(factor - 1) <= 1e-4 else latents * factor
