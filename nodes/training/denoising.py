"""What recipes that teach a denoiser share: noise, targets, losses with weights and masks, and prior preservation.

A recipe says which modules learn, what the denoiser is told, and how it predicts. The step of arXiv 2006.11239, with
prior preservation as in arXiv 2208.12242.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from weft.nodes.training.denoiser import (
    Condition,
    begin_training,
    cached_states,
    condition_of,
    model_identity,
    predicted,
)
from weft.nodes.training.draws import Draws
from weft.nodes.training.material import Material, fixed_samples
from weft.nodes.training.memory import on_device
from weft.nodes.training.objective import objective_of
from weft.nodes.training.pictures import View, size_of
from weft.nodes.training.recipe import Recipe, Samples
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Item

VALIDATION_TIMES = 4
"""Noise levels at which each item that is held out is measured."""


@dataclass(frozen=True)
class Batch:
    """Items of a batch, ready for the denoiser. All tensors are on the device, float32, (n, C, h, w) or (n,).

    purpose: what their random numbers are drawn for; those of class images have others than instances.
    """

    items: Sequence[Item]
    views: Sequence[View]
    samples: Samples
    purpose: str
    clean: Tensor
    noise: Tensor
    times: Tensor
    mask: Tensor | None


class DenoisingRecipe(Recipe):
    """A recipe that teaches a denoiser to predict.

    Args:
        model: to train on.
        material: to learn from.
        prior_weight: how much the class images count, where there are some.

    `dtype` is what the denoiser computes in outside of mixed precision: the model's, unless `make_unet` sets another.
    """

    def __init__(self, model: Model, material: Material, options: TrainOptions, prior_weight: float = 1.0) -> None:
        self.model, self.material, self.options, self.prior_weight = model, material, options, prior_weight
        self.parts = model.parts()
        self.device = self.parts.device
        self.dtype = self.parts.dtype
        self.objective = objective_of(model, self.device)
        self._padding: Tensor | None = None
        self.unet: Any = self.make_unet()
        begin_training(self.unet, options)

    @abstractmethod
    def make_unet(self) -> Any:
        """The denoiser, for this recipe alone: see `shared_copy` and `own_copy`, beside which `dtype` is float32."""

    @abstractmethod
    def settings(self) -> Any:
        """The recipe's own settings, as plain data: a part of `identity`."""

    def identity(self) -> Any:
        """Model, data and settings."""
        return (model_identity(self.model), self.material.identity(), self.prior_weight, self.settings())

    def sizes(self) -> list[tuple[int, int]]:
        """Of the instances."""
        return self.material.sizes()

    def losses(self, samples: Samples) -> Tensor:
        """The weighted square error of each sample, and of a class image beside it where there are some."""
        batch = self.batch([self.material.instances[k] for k in samples.items], samples, "")
        if not self.material.classes:
            return self.errors(batch)
        before = self.batch(self.material.class_items(samples, len(samples)), samples, "class ")
        found = self.errors(batch, before)
        learned, prior = found.chunk(2)
        return learned + self.prior_weight * prior

    def batch(self, items: Sequence[Item], samples: Samples, purpose: str) -> Batch:
        """Latents, noise and times of some items."""
        options, draws = self.options, samples.draws
        views = self.material.views(items, samples, purpose)
        clean = self.material.latents(items, views, samples, purpose)
        noise = draws.normal(f"{purpose}noise", samples.numbers, clean.shape[1:])
        if options.noise_offset:
            offset = draws.normal(f"{purpose}noise offset", samples.numbers, (clean.shape[1], 1, 1))
            noise = noise + options.noise_offset * offset
        mask = self.material.masks(items, views, clean.shape[-2:]) if options.masked else None
        if mask is not None:
            mask = options.unmasked_weight + (1 - options.unmasked_weight) * mask
        return Batch(
            items,
            views,
            samples,
            purpose,
            on_device(clean, self.device),
            on_device(noise, self.device),
            self.times(samples, purpose),
            None if mask is None else on_device(mask, self.device),
        )

    def times(self, samples: Samples, purpose: str) -> Tensor:
        """The timestep of each sample: (n,)."""
        options = self.options
        return self.objective.times(self.levels(samples, purpose), options.min_timestep, options.max_timestep)

    def levels(self, samples: Samples, purpose: str) -> Tensor:
        """How far up in the range of timesteps each sample is: (n,) float64 in [0, 1)."""
        return samples.draws.uniform(f"{purpose}timestep", samples.numbers)

    def errors(self, *batches: Batch) -> Tensor:
        """The weighted square error of each sample of one or two batches, in one forward: (n,) float32."""
        clean, noise, times = (torch.cat([getattr(b, k) for b in batches]) for k in ("clean", "noise", "times"))
        condition = self.condition(batches[0])
        for other in batches[1:]:
            condition = condition.joined(self.condition(other))
        prediction = self.predict(self.objective.noisy(clean, noise, times), times, condition, batches)
        square = (prediction.float() - self.objective.target(clean, noise, times)).square()
        masks = [b.mask for b in batches]
        if any(mask is not None for mask in masks):
            ones = [
                b.clean.new_ones(len(b.clean), 1, *b.clean.shape[-2:]) if b.mask is None else b.mask for b in batches
            ]
            mask = torch.cat(ones).expand_as(square)
            error = (square * mask).sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3)).clamp(min=1e-6)
        else:
            error = square.mean(dim=(1, 2, 3))
        return error * self.objective.weights(times, self.options.snr_gamma)

    def condition(self, batch: Batch) -> Condition:
        """What the denoiser is told of each sample of a batch."""
        text, pooled = self.text_states(self.captions(batch))
        sizes = [size_of(item, self.model.size) for item in batch.items]
        return condition_of(self.model, text, self.padding, pooled, sizes)

    def captions(self, batch: Batch) -> list[str]:
        """The caption that the denoiser is told of each sample."""
        return self.material.captions(batch.items, batch.samples, batch.purpose, self.options.caption_dropout)

    def text_states(self, captions: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """States (n, L, D) of captions and the pooled ones (n, P), on the device: those that were encoded before."""
        assert self.material.texts is not None
        return cached_states(self.material.texts, captions, self.device)

    @property
    def padding(self) -> Tensor:
        """The states of the empty prompt, (l, D), on the device."""
        if self._padding is None:
            assert self.material.texts is not None
            self._padding = self.material.texts.entries[""][0].to(self.device)
        return self._padding

    def predict(self, noisy: Tensor, times: Tensor, condition: Condition, batches: Sequence[Batch]) -> Tensor:
        """What the denoiser predicts: (n, C, h, w)."""
        return predicted(self.unet, noisy, times, condition, self.dtype)

    def validation_losses(self) -> Tensor | None:
        """The mean error on what is held out, at the same noise levels with the same noise each time."""
        held_out = self.material.validation
        if not held_out:
            return None
        samples = fixed_samples(Draws(self.options.validation_seed), len(held_out), VALIDATION_TIMES)
        total = torch.zeros((), device=self.device)
        learned = self.options
        # Equal for all options, so that the curves of two trainings can be compared.
        self.options = dataclasses.replace(learned, snr_gamma=0.0, noise_offset=0.0, caption_dropout=0.0)
        try:
            for place, number in enumerate(samples.numbers):
                item = held_out[samples.items[place]]
                one = self.batch([item], samples.part(place, place + 1), "validation ")
                level = (number // len(held_out) + 0.5) / VALIDATION_TIMES
                times = self.objective.times(torch.full((1,), level, dtype=torch.float64))
                total += self.errors(dataclasses.replace(one, times=times))[0]
        finally:
            self.options = learned
        return total / len(samples)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """The denoiser without what is for training alone."""
        self.unet.eval()
        try:
            yield
        finally:
            self.unet.train()
