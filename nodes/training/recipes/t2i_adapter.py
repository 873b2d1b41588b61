"""T2I-Adapter (arXiv 2302.08453): a small network whose features of a hint join the denoiser's first half."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from weft.nodes.lazy import IMPORTING
from weft.nodes.models.first_weights import own_random
from weft.nodes.models.sources import ADAPTER
from weft.nodes.nets.files import describe_adapter
from weft.nodes.nets.fit import adapter_channels, adapter_misfit
from weft.nodes.nets.handles import T2IAdapter
from weft.nodes.training.denoiser import Condition
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.initial import begin
from weft.nodes.training.material import Material
from weft.nodes.training.recipe import Samples
from weft.nodes.training.recipes.hinted import HintedRecipe, configuration, net_before
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Adapter

AdapterSize = Literal["full", "light"]
Timesteps = Literal["cubic", "uniform"]


@dataclass(frozen=True)
class T2IAdapterSettings:
    """size: which of diffusers' architectures. blocks: of each level. grayscale: it reads one channel, the brightness.

    timesteps: ``cubic`` are more often high, where the layout of a picture is decided.
    """

    size: AdapterSize = "full"
    blocks: int = 2
    grayscale: bool = False
    timesteps: Timesteps = "cubic"
    seed: int = 0


class T2IAdapterRecipe(HintedRecipe):
    """A T2I-Adapter of the denoiser's channels, new or one to go on from.

    Args:
        net: to go on from; None begins anew.
    """

    name: ClassVar[str] = "t2i_adapter"

    def __init__(
        self,
        model: Model,
        material: Material,
        options: TrainOptions,
        own: T2IAdapterSettings,
        net: T2IAdapter | None = None,
    ) -> None:
        self.own, self.before = own, net
        super().__init__(model, material, options)

    def settings(self) -> Any:
        """Those of a new one, or which one it was; and how timesteps are drawn."""
        return asdict(self.own) if self.before is None else (self.before.fingerprint, self.own.timesteps)

    def make_net(self) -> torch.nn.Module:
        """One sized to the denoiser, or the one to go on from."""
        with IMPORTING:
            import diffusers
        if self.before is not None:
            return self._going_on(self.before)
        options = architecture(self.model, self.parts.unet.config.block_out_channels, self.own)
        with own_random():
            net = diffusers.T2IAdapter(**options)
        begin(net, Draws(self.own.seed))
        return net

    def _going_on(self, before: T2IAdapter) -> torch.nn.Module:
        net = net_before(before, describe_adapter, ADAPTER)
        misfit = adapter_misfit(before.source, before.family, adapter_channels(net.config), self.parts.unet.config)
        if misfit is not None:
            raise TrainingError(misfit)
        return net

    def levels(self, samples: Samples, purpose: str) -> Tensor:
        """1 - u^3 with u uniform, or uniform."""
        drawn = super().levels(samples, purpose)
        return drawn if self.own.timesteps == "uniform" else 1 - drawn**3

    def residuals(self, noisy: Tensor, times: Tensor, condition: Condition, hints: Tensor) -> dict[str, Any]:
        """Features for the blocks of the first half."""
        read = hints.mean(dim=1, keepdim=True) if self.net.config.in_channels == 1 else hints
        return {"down_intrablock_additional_residuals": self.net(read)}

    def export(self, weights: Mapping[str, Tensor]) -> Adapter:
        """A T2I-Adapter in diffusers' names."""
        settings = {"config": configuration(self.net)}
        return Adapter.of("t2i_adapter", dict(weights), settings, self.model.fingerprint, self.model.family)


def architecture(model: Model, levels: Any, own: T2IAdapterSettings) -> dict[str, Any]:
    """The configuration of a T2I-Adapter for a denoiser with levels of so many channels.

    Raises:
        TrainingError: there is none of this size for the model's family.
    """
    channels = list(levels)
    common: dict[str, Any] = {"in_channels": 1 if own.grayscale else 3, "num_res_blocks": own.blocks}
    if model.family != "sdxl":
        kind = "full_adapter" if own.size == "full" else "light_adapter"
        return {**common, "channels": channels, "downscale_factor": model.scale_factor, "adapter_type": kind}
    if own.size == "light":
        raise TrainingError("a light T2I-Adapter is for Stable Diffusion 1.x and 2.x: choose the size 'full' for SDXL")
    # Its first level has no attention and takes features behind its downsampling; the last ones are for the middle.
    channels.append(channels[-1])
    return {
        **common,
        "channels": channels,
        "downscale_factor": 2 * model.scale_factor,
        "adapter_type": "full_adapter_xl",
    }
