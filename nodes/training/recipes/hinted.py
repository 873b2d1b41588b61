"""What recipes share whose network reads a hint of each picture and adds to the states of a frozen denoiser."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from weft.nodes.training.denoising import Batch, Condition, DenoisingRecipe, shared_copy
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.material import Material
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions


class HintedRecipe(DenoisingRecipe):
    """A network beside the denoiser. It alone learns; gradients pass through the denoiser.

    Hints are the conditions of the items, (n, 3, H, W) in [0, 1] as they are.
    """

    def __init__(self, model: Model, material: Material, options: TrainOptions) -> None:
        super().__init__(model, material, options)
        self.net: Any = self.make_net().float().to(self.device).requires_grad_(True).train()

    def make_unet(self) -> Any:
        """The denoiser as it is."""
        return plain_denoiser(self.model, self.parts.unet)

    @abstractmethod
    def make_net(self) -> torch.nn.Module:
        """The network that learns, for this recipe alone."""

    @abstractmethod
    def residuals(self, noisy: Tensor, times: Tensor, condition: Condition, hints: Tensor) -> dict[str, Any]:
        """What the network adds, by the names that the denoiser's forward has for it."""

    def groups(self) -> Mapping[str, Mapping[str, torch.nn.Parameter]]:
        """One group: the network's weights."""
        return {"net": {f"net.{name}": parameter for name, parameter in self.net.named_parameters()}}

    def predict(self, noisy: Tensor, times: Tensor, condition: Condition, batches: Sequence[Batch]) -> Tensor:
        """What the denoiser predicts with the hints."""
        hints = torch.cat([self.material.hints(batch.items, batch.views) for batch in batches]).to(self.device)
        dtype = self.dtype if not torch.is_autocast_enabled(self.device.type) else noisy.dtype
        added = condition.added
        more = self.residuals(noisy, times, condition, hints)
        return self.unet(
            noisy.to(dtype),
            times,
            encoder_hidden_states=condition.text.to(dtype),
            added_cond_kwargs=None if added is None else {name: t.to(dtype) for name, t in added.items()},
            **{
                name: item.to(dtype) if isinstance(item, Tensor) else [part.to(dtype) for part in item]
                for name, item in more.items()
            },
        ).sample


def plain_denoiser(model: Model, unet: Any) -> Any:
    """A denoiser over the same weights, none of which learns.

    Raises:
        TrainingError: it reads other channels beside the latents, which nothing here gives.
    """
    if model.unet_channels != model.latent_channels:
        raise TrainingError(
            f"the denoiser of {model.source!r} reads {model.unet_channels} channels and its latents have "
            f"{model.latent_channels}: train on a model without further channels (no inpainting, depth or edit model)"
        )
    return shared_copy(unet)


def configuration(net: Any) -> dict[str, Any]:
    """A network's configuration as diffusers writes it, without what changes with its version."""
    config: dict[str, Any] = json.loads(net.to_json_string())
    return {name: item for name, item in config.items() if not name.startswith("_") or name == "_class_name"}
