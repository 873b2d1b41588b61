"""Steps of diffusers' train_controlnet.py and train_t2i_adapter_sdxl.py, and of an IP-Adapter, written anew.

They encode pictures and captions by the model's own modules, and take noise, timesteps and order as they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.tiny_hints import pixels_of
from weft.nodes.training.draws import Draws
from weft.nodes.values import Model
from weft.nodes.values.training import Item

TOLERANCE = {"sd1": 1e-5, "sd2": 1e-5, "sdxl": 1e-4}
"""Of the gradients. In the tiny SDXL a change of 1e-7 in what the denoiser reads is one of 2e-5 in them."""

Forward = Callable[["Inputs"], Tensor]


@dataclass(frozen=True)
class Inputs:
    """What a step is about. noisy: as the denoiser reads them. sigma, alpha: of each sample, (n, 1, 1, 1)."""

    clean: Tensor
    noise: Tensor
    times: Tensor
    text: Tensor
    added: dict[str, Tensor] | None
    hints: Tensor
    alpha: Tensor

    @property
    def noisy(self) -> Tensor:
        return self.alpha.sqrt() * self.clean + (1 - self.alpha).sqrt() * self.noise

    @property
    def sigma(self) -> Tensor:
        return ((1 - self.alpha) / self.alpha).sqrt()

    @property
    def velocity(self) -> Tensor:
        return self.alpha.sqrt() * self.noise - (1 - self.alpha).sqrt() * self.clean


class Reference:
    """A model's modules as a script has them."""

    def __init__(self, model: Model) -> None:
        self.model, self.parts = model, model.parts()
        config = model.scheduler
        beta = torch.linspace(config["beta_start"] ** 0.5, config["beta_end"] ** 0.5, 1000, dtype=torch.float32) ** 2
        self.alphas = (1 - beta).cumprod(0)

    @torch.no_grad()
    def text(self, captions: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """States and, of the second of two encoders, the pooled ones.

        One caption at a time: the tiny models make 1e-5 of how several round.
        """
        if len(captions) > 1:
            told = [self.text([caption]) for caption in captions]
            ends = [pooled for _, pooled in told if pooled is not None]
            return torch.cat([states for states, _ in told]), torch.cat(ends) if ends else None
        states, pooled = [], None
        for tokenizer, encoder in zip(self.parts.tokenizers, self.parts.text_encoders, strict=True):
            ids = tokenizer(
                list(captions), padding="max_length", max_length=tokenizer.model_max_length, return_tensors="pt"
            ).input_ids
            if len(self.parts.text_encoders) == 1:
                return encoder(ids)[0], None
            found = encoder(ids, output_hidden_states=True)
            states.append(found.hidden_states[-2])
            pooled = found[0]
        return torch.cat(states, dim=-1), pooled

    @torch.no_grad()
    def inputs(
        self, items: Sequence[Item], captions: Sequence[str], numbers: Sequence[int], times: Tensor, draws: Draws
    ) -> Inputs:
        """Of some samples, with the random numbers of a training."""
        pixels = (
            torch.from_numpy(np.stack([pixels_of(item.picture) for item in items])).permute(0, 3, 1, 2).contiguous()
        )
        told = self.parts.vae.encode(pixels * 2 - 1).latent_dist
        drawn = draws.normal("posterior", numbers, told.mean.shape[1:])
        clean = ((told.mean + told.std * drawn) * self.parts.vae.config.scaling_factor).contiguous()
        noise = draws.normal("noise", numbers, clean.shape[1:])
        text, pooled = self.text(captions)
        added = None
        if pooled is not None:
            side = pixels.shape[-1]
            ids = torch.tensor([[side, side, 0, 0, side, side]] * len(items), dtype=torch.float32)
            added = {"text_embeds": pooled, "time_ids": ids}
        conditions = [item.condition for item in items]
        hints = np.stack([pixels_of(hint) for hint in conditions if hint is not None])
        return Inputs(
            clean,
            noise,
            times,
            text,
            added,
            torch.from_numpy(hints).permute(0, 3, 1, 2).contiguous(),
            self.alphas[times].view(-1, 1, 1, 1),
        )

    def controlnet(self, net: Any) -> Forward:
        """The prediction with a ControlNet."""

        def forward(step: Inputs) -> Tensor:
            down, middle = net(
                step.noisy,
                step.times,
                encoder_hidden_states=step.text,
                controlnet_cond=step.hints,
                added_cond_kwargs=step.added,
                return_dict=False,
            )
            return self.parts.unet(
                step.noisy,
                step.times,
                step.text,
                added_cond_kwargs=step.added,
                down_block_additional_residuals=down,
                mid_block_additional_residual=middle,
            ).sample

        return forward

    def t2i_adapter(self, net: Any) -> Forward:
        """The prediction with a T2I-Adapter, of latents scaled from sigma space."""

        def forward(step: Inputs) -> Tensor:
            noisy = step.clean + step.sigma * step.noise
            return self.parts.unet(
                noisy / (step.sigma**2 + 1) ** 0.5,
                step.times,
                step.text,
                added_cond_kwargs=step.added,
                down_intrablock_additional_residuals=list(net(step.hints)),
            ).sample

        return forward

    def plain_loss(self, prediction: Tensor, step: Inputs) -> Tensor:
        """train_controlnet.py's."""
        target = step.noise if self.model.prediction == "epsilon" else step.velocity
        return torch.nn.functional.mse_loss(prediction, target, reduction="mean")


def adapter_loss(prediction: Tensor, step: Inputs, velocity: bool = False) -> Tensor:
    """train_t2i_adapter_sdxl.py's: of the denoised latents, over sigma squared. velocity: as it has it for v."""
    noisy = step.clean + step.sigma * step.noise
    denoised = prediction * -step.sigma + noisy
    target = step.velocity if velocity else step.clean
    return ((step.sigma**-2) * (denoised - target) ** 2).reshape(len(target), -1).mean(dim=1).mean()
