"""A denoiser in training: copies of it, what it is told, and one forward of it, as all recipes have them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from weft.nodes.training.memory import on_device
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import TextCache


@dataclass(frozen=True)
class Condition:
    """What the denoiser is told of each sample.

    text: (n, L, D) states. padding: (l, D), those of the empty prompt, which fill up a shorter text beside a longer
    one. added: SDXL's pooled states and sizes.
    """

    text: Tensor
    padding: Tensor
    added: dict[str, Tensor] | None = None

    def joined(self, other: Condition) -> Condition:
        """Both, one after the other."""
        length = max(self.text.shape[1], other.text.shape[1])
        text = torch.cat([filled(self.text, length, self.padding), filled(other.text, length, self.padding)])
        added = None
        if self.added is not None and other.added is not None:
            added = {name: torch.cat([tensor, other.added[name]]) for name, tensor in self.added.items()}
        return Condition(text, self.padding, added)


def filled(text: Tensor, length: int, padding: Tensor) -> Tensor:
    """States (n, L, D), filled up to a length with those of the empty prompt, (l, D), as a denoise does it."""
    times = -(-(length - text.shape[1]) // padding.shape[0])
    if times <= 0:
        return text
    more = padding.to(text.device).repeat(times, 1)[: length - text.shape[1]]
    return torch.cat([text, more.expand(len(text), -1, -1)], dim=1)


def cached_states(texts: TextCache, captions: Sequence[str], device: torch.device) -> tuple[Tensor, Tensor | None]:
    """States (n, L, D) of captions that were encoded before, and the pooled ones (n, P), on the device."""
    entries = [texts.entries[caption] for caption in captions]
    length, padding = max(len(states) for states, _ in entries), texts.entries[""][0]
    text = torch.cat([filled(states[None], length, padding) for states, _ in entries])
    pooled = [own for _, own in entries if own is not None]
    return on_device(text, device), on_device(torch.stack(pooled), device) if pooled else None


def condition_of(
    model: Model, text: Tensor, padding: Tensor, pooled: Tensor | None, sizes: Sequence[tuple[int, int]]
) -> Condition:
    """States as a condition. SDXL is told the pooled ones too, and the size of each sample, width and height."""
    if model.family != "sdxl":
        return Condition(text, padding)
    assert pooled is not None
    ids = torch.tensor([[high, wide, 0, 0, high, wide] for wide, high in sizes], dtype=text.dtype)
    return Condition(text, padding, {"text_embeds": pooled, "time_ids": on_device(ids, text.device)})


def predicted(unet: Any, noisy: Tensor, times: Tensor, condition: Condition, dtype: torch.dtype, **more: Any) -> Tensor:
    """What a denoiser predicts: (n, C, h, w).

    dtype: what it computes in outside of mixed precision. more: tensors and lists of them, by the names of further
    arguments of the denoiser's forward.
    """
    if torch.is_autocast_enabled(noisy.device.type):
        dtype = noisy.dtype
    added = condition.added
    return unet(
        noisy.to(dtype),
        times,
        encoder_hidden_states=condition.text.to(dtype),
        added_cond_kwargs=None if added is None else {name: tensor.to(dtype) for name, tensor in added.items()},
        **{
            name: item.to(dtype) if isinstance(item, Tensor) else [part.to(dtype) for part in item]
            for name, item in more.items()
        },
    ).sample


def begin_training(unet: Any, options: TrainOptions) -> None:
    """Put a denoiser into the mode that it learns in."""
    unet.train()
    for module in unet.modules():
        # Its random numbers would come from a generator whose state no checkpoint has. Published models have none.
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    if options.gradient_checkpointing:
        unet.enable_gradient_checkpointing()


def model_identity(model: Model) -> Any:
    """What of a model decides how it trains: its weights, changes to them, format, objective and VAE scaling."""
    vae = (model.vae.fingerprint, model.vae.settings) if model.vae is not None else None
    patches = list(model.patches)
    return (model.fingerprint, patches, model.dtype, model.prediction, model.scheduler, model.scaling_factor, vae)


def shared_copy(module: Any) -> Any:
    """A module of its own over the same weights: layers can be put around it, and the weights must stay as they are."""
    memo = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, memo).requires_grad_(False)


def own_copy(module: Any) -> Any:
    """A copy with float32 weights of its own, which can learn."""
    return copy.deepcopy(module).float()
