"""What a denoiser learns to predict: noise and targets of a family of models, apart from the network that predicts.

Recipes are written against `Objective`. Models that predict a flow will bring another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from weft.nodes.lazy import IMPORTING
from weft.nodes.models.families import Prediction
from weft.nodes.training.memory import on_device
from weft.nodes.values.model import Model


class Objective(Protocol):
    """How clean latents become a noisy input and a target. Tensors are (n, C, h, w), times (n,)."""

    def times(self, levels: Tensor, low: int = 0, high: int = 1000) -> Tensor:
        """The time of each sample, from no noise at level 0 to all noise near 1: (n,) on the device.

        levels: (n,) in [0, 1). low, high: the part of the training steps that is used, in thousandths of them.
        """

    def noisy(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """What the denoiser is given."""

    def target(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """What it should predict."""

    def clean(self, noisy: Tensor, prediction: Tensor, times: Tensor) -> Tensor:
        """The clean latents that a prediction means."""

    def weights(self, times: Tensor, snr_gamma: float) -> Tensor:
        """The weight of each sample's loss: (n,) float32; min-SNR (arXiv 2303.09556) where `snr_gamma` is above 0."""


class Diffusion:
    """The discrete diffusion of Stable Diffusion 1.x, 2.x and SDXL, by the scheduler's configuration.

    config: of the model's scheduler. prediction: epsilon or v_prediction.
    """

    def __init__(self, config: Mapping[str, Any], prediction: Prediction, device: torch.device) -> None:
        with IMPORTING:
            from diffusers import DDPMScheduler
        own = {name: item for name, item in config.items() if not name.startswith("_")}
        scheduler: Any = DDPMScheduler.from_config({**own, "prediction_type": prediction})
        self.prediction = prediction
        self.alphas: Tensor = scheduler.alphas_cumprod.to(device=device, dtype=torch.float32)
        self.steps = len(self.alphas)

    def times(self, levels: Tensor, low: int = 0, high: int = 1000) -> Tensor:
        """Whole training steps: (n,) int64. At least one is in the range, however narrow it is."""
        first = min(low * self.steps // 1000, self.steps - 1)
        last = min(max(high * self.steps // 1000, first + 1), self.steps)
        steps = (first + (levels * (last - first)).floor()).long().clamp(max=last - 1)
        return on_device(steps, self.alphas.device)

    def _parts(self, times: Tensor) -> tuple[Tensor, Tensor]:
        share = self.alphas[times.long()].view(-1, 1, 1, 1)
        return share**0.5, (1 - share) ** 0.5

    def noisy(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """sqrt(a) clean + sqrt(1 - a) noise."""
        signal, spread = self._parts(times)
        return signal * clean + spread * noise

    def target(self, clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """The noise, or v = sqrt(a) noise - sqrt(1 - a) clean."""
        if self.prediction == "epsilon":
            return noise
        signal, spread = self._parts(times)
        return signal * noise - spread * clean

    def clean(self, noisy: Tensor, prediction: Tensor, times: Tensor) -> Tensor:
        """The prediction of the clean latents."""
        signal, spread = self._parts(times)
        if self.prediction == "epsilon":
            return (noisy - spread * prediction) / signal
        return signal * noisy - spread * prediction

    def noise(self, noisy: Tensor, prediction: Tensor, times: Tensor) -> Tensor:
        """The prediction of the noise."""
        if self.prediction == "epsilon":
            return prediction
        signal, spread = self._parts(times)
        return spread * noisy + signal * prediction

    def snr(self, times: Tensor) -> Tensor:
        """The ratio of signal to noise, a / (1 - a): (n,)."""
        share = self.alphas[times.long()]
        return share / (1 - share)

    def weights(self, times: Tensor, snr_gamma: float) -> Tensor:
        """Ones, or min(snr, gamma) / snr; for v, over snr + 1."""
        if snr_gamma <= 0:
            return torch.ones(len(times), device=self.alphas.device)
        snr = self.snr(times)
        least = snr.clamp(max=snr_gamma)
        return least / (snr if self.prediction == "epsilon" else snr + 1)


def objective_of(model: Model, device: torch.device) -> Diffusion:
    """What a model's denoiser learns to predict. The one place that knows which objective a model has."""
    return Diffusion(model.scheduler, model.prediction, device)
