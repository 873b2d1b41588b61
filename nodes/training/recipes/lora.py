"""Low-rank adapters and their kin (LoRA, arXiv 2106.09685), through PEFT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from weft.nodes.training.denoising import DenoisingRecipe, shared_copy
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.material import Material
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Adapter

NAME = "default"
"""PEFT's name of the adapter, which is a part of its parameters' names and of no file."""
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")


@dataclass(frozen=True)
class LoraSettings:
    """Which layers, and how. alpha: the factor on what is learned is alpha / rank; 0 means the rank."""

    kind: str = "lora"
    rank: int = 4
    alpha: float = 0.0
    targets: tuple[str, ...] = ATTENTION
    text_encoder: bool = False
    seed: int = 0


class LoraRecipe(DenoisingRecipe):
    """An adapter on layers of the denoiser."""

    name: ClassVar[str] = "lora"

    def __init__(
        self, model: Model, material: Material, options: TrainOptions, own: LoraSettings, prior_weight: float = 1.0
    ) -> None:
        self.own = own
        super().__init__(model, material, options, prior_weight)

    def settings(self) -> Any:
        """Rank, layers and seed."""
        return asdict(self.own)

    def make_unet(self) -> Any:
        """The denoiser with the adapter's layers around its own."""
        unet = shared_copy(self.parts.unet)
        self.config = inject(unet, self.own, self.own.targets, Draws(self.own.seed))
        return unet

    def groups(self) -> Mapping[str, Mapping[str, torch.nn.Parameter]]:
        """One group: the adapter's numbers."""
        return {"unet": adapter_parameters(self.unet, "unet")}

    def export(self, weights: Mapping[str, Tensor]) -> Adapter:
        """A LoRA in PEFT's names."""
        tensors = {name.replace(f".{NAME}", ""): tensor for name, tensor in weights.items()}
        settings = {"peft": {"unet": self.config}, "alpha": self.own.alpha or self.own.rank, "rank": self.own.rank}
        return Adapter.of("lora", tensors, settings, self.model.fingerprint, self.model.family)


def inject(module: Any, own: LoraSettings, targets: Sequence[str], draws: Draws) -> dict[str, Any]:
    """Put an adapter around layers of a module; returns PEFT's configuration as plain data.

    Raises:
        TrainingError: no layer has one of these names.
    """
    from peft import LoraConfig, inject_adapter_in_model

    alpha: Any = own.alpha or own.rank
    config = LoraConfig(r=own.rank, lora_alpha=alpha, target_modules=list(targets), use_dora=own.kind == "dora")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(own.seed)
        try:
            inject_adapter_in_model(config, module, adapter_name=NAME)
        except ValueError as error:
            raise TrainingError(f"no layer of the model is one of {', '.join(targets)}: {error}") from error
    with torch.no_grad():
        for name, parameter in adapter_parameters(module, "").items():
            parameter.data = parameter.data.float()
            if ".lora_A." in name:
                # As diffusers begins; drawn apart, so that no other node's random numbers matter.
                drawn = draws.normal(f"init {name}", [0], parameter.shape)[0]
                parameter.copy_(drawn.to(parameter.device) / own.rank)
    return {"peft_type": "LORA", "r": own.rank, "lora_alpha": alpha, "target_modules": sorted(targets)}


def adapter_parameters(module: Any, prefix: str) -> dict[str, torch.nn.Parameter]:
    """What an adapter put into a module, by name."""
    dot = f"{prefix}." if prefix else ""
    return {f"{dot}{name}": p for name, p in module.named_parameters() if f".{NAME}" in name}
