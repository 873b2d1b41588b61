"""Steps of diffusers' example scripts for textual inversion and Custom Diffusion, written anew: what ours must equal.

They hold the whole table of embeddings as the parameter, as the scripts do, and take latents, noise and timesteps as
they are given.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Drawn:
    """What a step of a script draws: latents as the denoiser sees them, noise, timesteps, and its texts."""

    clean: Tensor
    noise: Tensor
    times: Tensor
    texts: Sequence[str]
    mask: Tensor | None = None

    def joined(self, other: Drawn) -> Drawn:
        """Instances and class images in one batch."""
        pairs = [(getattr(self, name), getattr(other, name)) for name in ("clean", "noise", "times")]
        return Drawn(*(torch.cat(pair) for pair in pairs), texts=[*self.texts, *other.texts])


@dataclass(eq=False)
class Reference:
    """A model as the scripts load it, with tokens added, whose rows begin as one word's.

    vectors: tokens of each word. init: the word that they begin with.
    """

    folder: Path
    tokens: Sequence[str]
    init: Sequence[str]
    vectors: int = 1
    tokenizers: list[Any] = field(init=False)
    encoders: list[Any] = field(init=False)
    ids: list[int] = field(init=False)

    def __post_init__(self) -> None:
        from diffusers import DDPMScheduler, UNet2DConditionModel
        from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

        config = json.loads((self.folder / "scheduler" / "scheduler_config.json").read_text())
        self.scheduler: Any = DDPMScheduler.from_config({k: v for k, v in config.items() if not k.startswith("_")})
        self.unet: Any = UNet2DConditionModel.from_pretrained(self.folder / "unet")
        self.unet.requires_grad_(False)
        self.tokenizers, self.encoders = [], []
        for end in ("", "_2"):
            if not (self.folder / f"text_encoder{end}").exists():
                continue
            kind: Any = CLIPTextModelWithProjection if end else CLIPTextModel
            tokenizer: Any = CLIPTokenizer.from_pretrained(self.folder / f"tokenizer{end}")
            encoder = kind.from_pretrained(self.folder / f"text_encoder{end}")
            encoder.requires_grad_(False)
            first = len(tokenizer)
            for token in self.tokens:
                tokenizer.add_tokens([token, *(f"{token}_{k}" for k in range(1, self.vectors))])
            encoder.resize_token_embeddings(len(tokenizer))
            table = encoder.get_input_embeddings().weight
            table.requires_grad_(True)
            with torch.no_grad():
                for number, word in enumerate(self.init):
                    (begin,) = tokenizer(word, add_special_tokens=False).input_ids
                    place = first + number * self.vectors
                    table[place : place + self.vectors] = table[begin]
            self.ids = list(range(first, len(tokenizer)))
            self.tokenizers.append(tokenizer)
            self.encoders.append(encoder)

    @property
    def tables(self) -> list[Any]:
        """The embeddings as a whole, of each text encoder."""
        return [encoder.get_input_embeddings().weight for encoder in self.encoders]

    def states(self, texts: Sequence[str]) -> tuple[Tensor, Tensor | None]:
        """What the denoiser is told."""
        for token in self.tokens:
            whole = " ".join([token, *(f"{token}_{k}" for k in range(1, self.vectors))])
            texts = [text.replace(token, whole) for text in texts]
        found, pooled = [], None
        for tokenizer, encoder in zip(self.tokenizers, self.encoders, strict=True):
            length = tokenizer.model_max_length
            ids = tokenizer(
                list(texts), padding="max_length", truncation=True, max_length=length, return_tensors="pt"
            ).input_ids
            output = encoder(ids, output_hidden_states=True)
            found.append(output.hidden_states[-2] if len(self.encoders) > 1 else output[0])
            pooled = output[0]
        return torch.cat(found, dim=-1), pooled if len(self.encoders) > 1 else None

    def prediction(self, drawn: Drawn, size: int) -> tuple[Tensor, Tensor]:
        """What the denoiser predicts of a batch, and what it should."""
        noisy = self.scheduler.add_noise(drawn.clean, drawn.noise, drawn.times)
        states, pooled = self.states(drawn.texts)
        added = None
        if pooled is not None:
            ids = torch.tensor([[size, size, 0, 0, size, size]] * len(drawn.texts), dtype=states.dtype)
            added = {"text_embeds": pooled, "time_ids": ids}
        predicted = self.unet(noisy, drawn.times, states, added_cond_kwargs=added).sample
        if self.scheduler.config.prediction_type == "epsilon":
            return predicted, drawn.noise
        return predicted, self.scheduler.get_velocity(drawn.clean, drawn.noise, drawn.times)

    def inversion_loss(self, drawn: Drawn, size: int) -> Tensor:
        """Of textual inversion: the mean over all numbers."""
        predicted, target = self.prediction(drawn, size)
        return F.mse_loss(predicted.float(), target.float(), reduction="mean")

    def custom_losses(self, drawn: Drawn, prior: Drawn | None, size: int) -> tuple[Tensor, Tensor]:
        """Of Custom Diffusion as the script has them: the instance loss with its mask, and the prior loss.

        The script sums the instance loss over the channels and divides by a mask of one: it is as many times too large.
        """
        predicted, target = self.prediction(drawn if prior is None else drawn.joined(prior), size)
        rest = predicted.new_zeros(())
        if prior is not None:
            (predicted, after), (target, wanted) = predicted.chunk(2), target.chunk(2)
            rest = F.mse_loss(after.float(), wanted.float(), reduction="mean")
        mask = torch.ones(len(predicted), 1, *predicted.shape[-2:]) if drawn.mask is None else drawn.mask
        loss = F.mse_loss(predicted.float(), target.float(), reduction="none")
        return ((loss * mask).sum([1, 2, 3]) / mask.sum([1, 2, 3])).mean(), rest

    def rows(self) -> list[Tensor]:
        """What the new tokens have become, of each text encoder."""
        return [table.detach()[self.ids].clone() for table in self.tables]
