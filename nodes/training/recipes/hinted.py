"""What recipes share whose network reads a hint of each picture and adds to the states of a frozen denoiser."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from weft.nodes.models.sources import Kind
from weft.nodes.nets.handles import ControlNet, T2IAdapter
from weft.nodes.nets.live import load_net
from weft.nodes.training.denoiser import Condition, own_copy, predicted, shared_copy
from weft.nodes.training.denoising import Batch, DenoisingRecipe
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
        more = self.residuals(noisy, times, condition, hints)
        return predicted(self.unet, noisy, times, condition, self.dtype, **more)


def net_before(net: ControlNet | T2IAdapter, describe: Callable[..., Any], kind: Kind) -> Any:
    """The network of a handle, to go on from: a float32 copy on the CPU."""
    cpu = torch.device("cpu")
    loaded = load_net(
        net.source, net.location, net.fingerprint, describe, cpu, torch.float32, kind=kind, adapter=net.adapter
    )
    return own_copy(loaded.item)


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
