"""ControlNet (arXiv 2302.05543): a copy of the denoiser's first half learns to read hints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from weft.nodes.lazy import IMPORTING
from weft.nodes.models.first_weights import own_random
from weft.nodes.models.sources import CONTROLNET
from weft.nodes.nets.files import describe_controlnet
from weft.nodes.nets.fit import controlnet_misfit
from weft.nodes.nets.handles import ControlNet
from weft.nodes.training.denoiser import Condition
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.initial import begin
from weft.nodes.training.material import Material
from weft.nodes.training.recipes.hinted import HintedRecipe, configuration, net_before
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Adapter

EMBEDDING = (16, 32, 96, 256)
"""Channels of the layers that a hint passes first, in published ControlNets."""


@dataclass(frozen=True)
class ControlNetSettings:
    """embedding: channels of the layers that a hint passes first. seed: of their weights."""

    embedding: tuple[int, ...] = EMBEDDING
    seed: int = 0


class ControlNetRecipe(HintedRecipe):
    """A ControlNet, new or one to go on from.

    Args:
        net: to go on from; None begins with a copy of the denoiser.
    """

    name: ClassVar[str] = "controlnet"

    def __init__(
        self,
        model: Model,
        material: Material,
        options: TrainOptions,
        own: ControlNetSettings,
        net: ControlNet | None = None,
    ) -> None:
        self.own, self.before = own, net
        super().__init__(model, material, options)
        if options.gradient_checkpointing:
            self.net.enable_gradient_checkpointing()

    def settings(self) -> Any:
        """Those of a new one, or which one it was."""
        return asdict(self.own) if self.before is None else self.before.fingerprint

    def make_net(self) -> torch.nn.Module:
        """The denoiser's first half with zeros at its outputs, or the one to go on from."""
        with IMPORTING:
            from diffusers import ControlNetModel
        if self.before is not None:
            return self._going_on(self.before)
        factor = self.model.scale_factor
        if 2 ** (len(self.own.embedding) - 1) != factor:
            raise TrainingError(
                f"the hint's layers {list(self.own.embedding)} make it {2 ** (len(self.own.embedding) - 1)} times "
                f"smaller and latents of this model are {factor} times smaller than pixels: each number after the "
                f"first halves it, so give {factor.bit_length()}"
            )
        with own_random():
            net = ControlNetModel.from_unet(self.parts.unet, conditioning_embedding_out_channels=self.own.embedding)
        begin_embedding(net, Draws(self.own.seed))
        return net

    def _going_on(self, before: ControlNet) -> torch.nn.Module:
        net = net_before(before, describe_controlnet, CONTROLNET)
        misfit = controlnet_misfit(before.source, before.family, net.config, self.parts.unet.config)
        if misfit is not None:
            raise TrainingError(misfit)
        if net.config.conditioning_channels != 3:
            raise TrainingError(
                f"the ControlNet {before.source!r} reads {net.config.conditioning_channels} channels, not 3"
            )
        return net

    def residuals(self, noisy: Tensor, times: Tensor, condition: Condition, hints: Tensor) -> dict[str, Any]:
        """Additions to the skip connections and the middle."""
        down, middle = self.net(
            noisy,
            times,
            encoder_hidden_states=condition.text.float(),
            controlnet_cond=hints,
            added_cond_kwargs=condition.added,
            return_dict=False,
        )
        return {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}

    def export(self, weights: Mapping[str, Tensor]) -> Adapter:
        """A ControlNet in diffusers' names."""
        settings = {"config": configuration(self.net)}
        return Adapter.of("controlnet", dict(weights), settings, self.model.fingerprint, self.model.family)


def begin_embedding(net: Any, draws: Draws) -> None:
    """Draw the layers that a hint passes first. The last of them gives nothing at the beginning, as published."""
    embedding = net.controlnet_cond_embedding
    begin(embedding.conv_in, draws, "conv_in")
    begin(embedding.blocks, draws, "blocks.")
