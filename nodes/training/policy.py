"""A denoiser as a policy: what recipes that learn from rewards share. Prompts, DDIM's steps and an adapter.

Each step of DDIM with eta above 0 (arXiv 2010.02502) draws from a Gaussian: its mean is DDIM's step, and its standard
deviation eta times that of the posterior. Pictures are sampled by it, and their probabilities are those of its noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from weft.engine import Context
from weft.nodes.sampling.content import Contents, NoContent
from weft.nodes.sampling.schedule import build_scheduler
from weft.nodes.training.denoiser import (
    Condition,
    begin_training,
    cached_states,
    condition_of,
    model_identity,
    predicted,
    shared_copy,
)
from weft.nodes.training.draws import Draws
from weft.nodes.training.encoding import encode_texts
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.lora_settings import LoraSettings, wrong_settings
from weft.nodes.training.objective import Diffusion, objective_of
from weft.nodes.training.peft_layers import inject, lora_group, lora_settings
from weft.nodes.training.precision import Numerics
from weft.nodes.training.recipe import Recipe
from weft.nodes.values.model import Model
from weft.nodes.values.rewards import Reward
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Adapter, TextCache

OF_DATA_SETS = ("snr_gamma", "noise_offset", "caption_dropout", "masked", "min_timestep", "max_timestep")
"""Options of trainings on pictures, which have no meaning where a model learns from its own."""


@dataclass(frozen=True)
class Sampling:
    """How pictures are made. steps: of DDIM. guidance: its scale; 1 and below is none. eta: 0 draws nothing."""

    steps: int = 50
    guidance: float = 5.0
    eta: float = 1.0


class DdimSteps:
    """DDIM's steps for a model, as diffusers' DDIMScheduler makes them, for rows that may be at different steps.

    times: (T,) int64, the timestep of each. deviations: (T,) the standard deviation of what each draws; 0 is none.
    """

    def __init__(self, model: Model, objective: Diffusion, sampling: Sampling) -> None:
        scheduler: Any = build_scheduler("ddim", {**model.scheduler, "prediction_type": model.prediction})
        scheduler.set_timesteps(sampling.steps)
        self._objective = objective
        device = objective.alphas.device
        self.times: Tensor = scheduler.timesteps.long().to(device)
        before = self.times - len(objective.alphas) // sampling.steps
        last = scheduler.final_alpha_cumprod.to(device=device, dtype=torch.float32)
        self._alphas = objective.alphas[self.times]
        self._before = torch.where(before >= 0, objective.alphas[before.clamp(min=0)], last)
        variance = (1 - self._before) / (1 - self._alphas) * (1 - self._alphas / self._before)
        self.deviations = sampling.eta * variance.clamp(min=0) ** 0.5

    def __len__(self) -> int:
        return len(self.times)

    def mean(self, noisy: Tensor, prediction: Tensor, places: Tensor) -> Tensor:
        """Where the step goes without what it draws: (n, C, h, w). places: of the steps, (n,)."""
        times = self.times[places]
        clean = self._objective.clean(noisy, prediction, times)
        noise = self._objective.noise(noisy, prediction, times)
        before, deviation = self._wide(self._before, places), self._wide(self.deviations, places)
        return before**0.5 * clean + (1 - before - deviation**2).clamp(min=0) ** 0.5 * noise

    def log_probability(self, sample: Tensor, mean: Tensor, places: Tensor) -> Tensor:
        """Of what a step gave, the mean over its numbers: (n,). Only for steps that draw."""
        deviation = self._wide(self.deviations, places)
        square = (sample - mean) ** 2 / (2 * deviation**2)
        return (-square - torch.log(deviation) - HALF_LOG_TWO_PI).mean(dim=tuple(range(1, sample.ndim)))

    def clean(self, noisy: Tensor, prediction: Tensor, places: Tensor) -> Tensor:
        """The clean latents that a prediction means."""
        return self._objective.clean(noisy, prediction, self.times[places])

    def step(self, noisy: Tensor, prediction: Tensor, places: Tensor, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """One step: what it gives, and its mean. noise: normal numbers, or None where the step draws nothing."""
        mean = self.mean(noisy, prediction, places)
        return mean if noise is None else mean + self._wide(self.deviations, places) * noise, mean

    @staticmethod
    def _wide(numbers: Tensor, places: Tensor) -> Tensor:
        return numbers[places].view(-1, 1, 1, 1)


HALF_LOG_TWO_PI = 0.9189385332046727


class PolicyRecipe(Recipe):
    """A recipe that makes pictures of prompts by its own denoiser, which learns from what a reward says of them.

    Args:
        model: to train on.
        prompts: what pictures are made for.
        seed: of the training.
        texts: captions that were encoded before.
    """

    def __init__(
        self,
        model: Model,
        prompts: Sequence[str],
        reward: Reward,
        sampling: Sampling,
        own: LoraSettings,
        options: TrainOptions,
        ctx: Context,
        seed: int,
        texts: TextCache | None = None,
    ) -> None:
        self.model, self.prompts, self.reward, self.sampling = model, tuple(prompts), reward, sampling
        self.own, self.options, self.ctx, self.draws = own, options, ctx, Draws(seed)
        self._check()
        self.parts = model.parts()
        self.device = self.parts.device
        self.objective = objective_of(model, self.device)
        self.ddim = DdimSteps(model, self.objective, sampling)
        self.texts = encode_texts(model, ["", *self.prompts], ctx, texts)
        self.unet: Any = shared_copy(self.parts.unet)
        self.config = inject(self.unet, "unet", own)
        begin_training(self.unet, options)
        side = model.size // model.scale_factor
        self.shape = (model.latent_channels, side, side)

    def _check(self) -> None:
        if not self.prompts:
            raise TrainingError("there is no prompt to make pictures for")
        wrong = [message for _, message in wrong_settings(self.own)]
        if wrong:
            raise TrainingError("; ".join(wrong))
        default = TrainOptions()
        idle = [name for name in OF_DATA_SETS if getattr(self.options, name) != getattr(default, name)]
        if idle:
            raise TrainingError(
                f"the options {', '.join(idle)} are for trainings on a data set; this one learns from pictures that it "
                "makes: leave them out"
            )
        if self.model.unet_channels != self.model.latent_channels:
            raise TrainingError(
                f"the model {self.model.source!r} wants {self.model.unet_channels} channels, which have more in them "
                "than a prompt says: take one that makes pictures of prompts alone"
            )
        try:
            Contents().key(self.reward)
        except NoContent as error:
            raise TrainingError(
                f"the reward cannot be told apart from others ({error}), so that no training could go on with it: "
                "make it a frozen dataclass with @value in a file"
            ) from error

    def identity(self) -> Any:
        """Model, prompts, reward and settings."""
        own = (asdict(self.sampling), asdict(self.own), self.settings())
        return (model_identity(self.model), list(self.prompts), self.reward, self.draws.seed, own)

    def settings(self) -> Any:
        """The recipe's own settings, as plain data."""
        return {}

    def groups(self) -> Mapping[str, Mapping[str, torch.nn.Parameter]]:
        """One group: the adapter's numbers."""
        return {"unet": lora_group(self.unet)}

    def export(self, weights: Mapping[str, Tensor]) -> Adapter:
        """A LoRA in PEFT's names."""
        settings = lora_settings({"unet": self.config}, self.own)
        return Adapter.of("lora", dict(weights), settings, self.model.fingerprint, self.model.family)

    def numerics(self) -> AbstractContextManager[Any]:
        """Around forwards outside of a step, so that they compute as those within."""
        return Numerics(self.options.precision, self.device).forward()

    def prompts_of(self, numbers: Sequence[int]) -> list[str]:
        """The prompt of each sample by its number: all prompts in turn, in another order each time."""
        count, found = len(self.prompts), []
        for number in numbers:
            turn, place = divmod(number, count)
            found.append(self.prompts[int(self.draws.order("prompts", turn, count)[place])])
        return found

    def first_latents(self, numbers: Sequence[int]) -> Tensor:
        """The noise that samples begin as: (n, C, h, w) on the device."""
        return self.draws.normal("first latents", numbers, self.shape).to(self.device)

    def step_noise(self, place: int, numbers: Sequence[int]) -> Tensor | None:
        """What a step of DDIM draws for samples; None where it draws nothing."""
        if float(self.ddim.deviations[place]) == 0:
            return None
        return self.draws.normal(f"noise of step {place}", numbers, self.shape).to(self.device)

    def condition(self, prompts: Sequence[str]) -> Condition:
        """What the denoiser is told of each sample; the empty prompt comes first, as often, where there is guidance."""
        captions = ["" for _ in prompts if self.guided] + list(prompts)
        text, pooled = cached_states(self.texts, captions, self.device)
        if self.guided and self.model.zero_empty:
            text[: len(prompts)] = 0
            if pooled is not None:
                pooled[: len(prompts)] = 0
        padding = self.texts.entries[""][0].to(self.device)
        return condition_of(self.model, text, padding, pooled, [(self.model.size, self.model.size)] * len(captions))

    @property
    def guided(self) -> bool:
        """Whether pictures are made with classifier-free guidance."""
        return self.sampling.guidance > 1

    def predict(self, noisy: Tensor, places: Tensor, condition: Condition) -> Tensor:
        """What the denoiser predicts, with guidance, float32: (n, C, h, w). places: of DDIM's steps, (n,)."""
        times = self.ddim.times[places]
        if self.guided:
            noisy, times = torch.cat([noisy, noisy]), torch.cat([times, times])
        found = predicted(self.unet, noisy, times, condition, self.parts.dtype).float()
        if not self.guided:
            return found
        without, with_prompt = found.chunk(2)
        return without + self.sampling.guidance * (with_prompt - without)
