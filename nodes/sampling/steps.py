"""The steps of the three schedulers that models come with, with their coefficients computed beforehand.

Each does the same operations on the same numbers as diffusers' class, so the result has the same bits (tests compare
them); diffusers computes every coefficient anew from one-element tensors in each step, which costs several times as
much as the step. All other schedulers, and these with clipping or thresholding, step by diffusers itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor

from weft.nodes.sampling.noise import draw

Generators = Sequence[torch.Generator] | None


class Steps(Protocol):
    """Steps of one run; to be called once per call of the denoiser, in order."""

    def step(self, prediction: Tensor, index: int, latents: Tensor, generators: Generators) -> Tensor:
        """The latents at the next level."""

    def signature(self, index: int) -> tuple[Any, ...]:
        """What step `index` depends on, as numbers."""


def fast_steps(scheduler: Any, first: int, calls: int, eta: float) -> Steps | None:
    """Precomputed steps for a scheduler, from its call `first` on; None where its own step has to be taken."""
    config = scheduler.config
    if config.get("clip_sample") or config.get("thresholding") or config.prediction_type == "sample":
        return None
    kind = type(scheduler).__name__
    if kind == "DDIMScheduler":
        return DdimSteps(scheduler, first, calls, eta)
    if kind == "PNDMScheduler" and config.skip_prk_steps:
        return PlmsSteps(scheduler, first, calls)
    if kind == "EulerDiscreteScheduler":
        return EulerSteps(scheduler, first, calls)
    return None


class DdimSteps:
    """DDIM (arXiv 2010.02502), with noise where eta > 0."""

    def __init__(self, scheduler: Any, first: int, calls: int, eta: float) -> None:
        self._velocity = scheduler.config.prediction_type == "v_prediction"
        self._stochastic = eta > 0
        self._coefficients = []
        stride = scheduler.config.num_train_timesteps // scheduler.num_inference_steps
        for timestep in scheduler.timesteps[first : first + calls].tolist():
            now, reached = _product(scheduler, timestep), _product(scheduler, timestep - stride)
            variance = ((1 - reached) / (1 - now)) * (1 - now / reached)
            spread = eta * variance**0.5
            towards = (1 - reached - spread**2) ** 0.5
            self._coefficients.append((now**0.5, (1 - now) ** 0.5, reached**0.5, towards, spread))

    def step(self, prediction: Tensor, index: int, latents: Tensor, generators: Generators) -> Tensor:
        """Towards the clean latents, then back up to the next level."""
        alpha, sigma, alpha_next, towards, spread = self._coefficients[index]
        if self._velocity:
            clean = alpha * latents - sigma * prediction
            prediction = alpha * prediction + sigma * latents
        else:
            clean = (latents - sigma * prediction) / alpha
        reached = alpha_next * clean + towards * prediction
        if self._stochastic and generators is not None:
            reached = reached + spread * draw(prediction.shape, generators, prediction.device)
        return reached

    def signature(self, index: int) -> tuple[Any, ...]:
        """Its coefficients."""
        return (self._stochastic, *map(float, self._coefficients[index]))


class PlmsSteps:
    """PNDM's linear multistep form (arXiv 2202.09778, formula 9, without the Runge-Kutta start)."""

    def __init__(self, scheduler: Any, first: int, calls: int) -> None:
        self._velocity = scheduler.config.prediction_type == "v_prediction"
        self._history: list[Tensor] = []
        self._begun: Tensor | None = None
        self._coefficients = []
        stride = scheduler.config.num_train_timesteps // scheduler.num_inference_steps
        for index, timestep in enumerate(scheduler.timesteps[first : first + calls].tolist()):
            # The second call does the first step again, now knowing where it leads.
            begin = timestep + stride if index == 1 else timestep
            now, reached = _product(scheduler, begin), _product(scheduler, begin - stride)
            divisor = now * (1 - reached) ** 0.5 + (now * (1 - now) * reached) ** 0.5
            self._coefficients.append(((reached / now) ** 0.5, reached - now, divisor, now**0.5, (1 - now) ** 0.5))

    def step(self, prediction: Tensor, index: int, latents: Tensor, generators: Generators) -> Tensor:
        """From a mix of the last four predictions."""
        keep, change, divisor, alpha, sigma = self._coefficients[index]
        if index != 1:
            self._history = [*self._history[-3:], prediction]
        past = self._history
        if index == 0:
            self._begun = latents
        elif index == 1 and self._begun is not None:
            prediction = (prediction + past[-1]) / 2
            latents, self._begun = self._begun, None
        elif len(past) == 2:
            prediction = (3 * past[-1] - past[-2]) / 2
        elif len(past) == 3:
            prediction = (23 * past[-1] - 16 * past[-2] + 5 * past[-3]) / 12
        else:
            prediction = (1 / 24) * (55 * past[-1] - 59 * past[-2] + 37 * past[-3] - 9 * past[-4])
        if self._velocity:
            prediction = alpha * prediction + sigma * latents
        return keep * latents - change * prediction / divisor

    def signature(self, index: int) -> tuple[Any, ...]:
        """Its coefficients."""
        return tuple(map(float, self._coefficients[index]))


class EulerSteps:
    """Euler's method along the probability flow (arXiv 2206.00364, algorithm 2 without churn)."""

    def __init__(self, scheduler: Any, first: int, calls: int) -> None:
        self._velocity = scheduler.config.prediction_type == "v_prediction"
        sigmas = scheduler.sigmas[first : first + calls + 1]
        self._coefficients = [
            (now, reached - now, -now / (now**2 + 1) ** 0.5, now**2 + 1) for now, reached in pairwise(sigmas)
        ]

    def step(self, prediction: Tensor, index: int, latents: Tensor, generators: Generators) -> Tensor:
        """Along the derivative."""
        sigma, change, output, skip = self._coefficients[index]
        clean = prediction * output + latents / skip if self._velocity else latents - sigma * prediction
        return latents + (latents - clean) / sigma * change

    def signature(self, index: int) -> tuple[Any, ...]:
        """Its coefficients."""
        return tuple(map(float, self._coefficients[index]))


def _product(scheduler: Any, timestep: int) -> Tensor:
    """The cumulative alpha at a timestep; before the first one, the scheduler's final value."""
    return scheduler.alphas_cumprod[timestep] if timestep >= 0 else scheduler.final_alpha_cumprod
