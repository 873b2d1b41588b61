"""Low-rank adapters and their kin (LoRA, arXiv 2106.09685), through PEFT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from weft.nodes.training.denoiser import shared_copy
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.live_text import TextRecipe, canonical, text_components
from weft.nodes.training.lora_settings import TEXT, LoraSettings, wrong_settings
from weft.nodes.training.material import Material
from weft.nodes.training.peft_layers import adapter_parameters, file_name, inject, lora_group, lora_settings
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Adapter


class LoraRecipe(TextRecipe):
    """An adapter on layers of the denoiser, and of the text encoders where that is asked for.

    Captions are encoded at each step where text encoders learn, so the material needs none.
    """

    name: ClassVar[str] = "lora"

    def __init__(
        self, model: Model, material: Material, options: TrainOptions, own: LoraSettings, prior_weight: float = 1.0
    ) -> None:
        wrong = [message for _, message in wrong_settings(own)]
        if wrong:
            raise TrainingError("; ".join(wrong))
        self.own = own
        self.configs: dict[str, Any] = {}
        super().__init__(model, material, options, prior_weight)
        encoders: dict[str, Any] = {}
        if own.text_encoder:
            encoders = {name: shared_copy(encoder) for name, encoder in text_components(self.parts).items()}
        for name, encoder in encoders.items():
            self.configs[name] = inject(encoder, name, replace(own, targets=TEXT))
        self.learn_text(encoders)

    def settings(self) -> Any:
        """Kind, rank, layers and seed."""
        return asdict(self.own)

    def make_unet(self) -> Any:
        """The denoiser with the adapter's layers around its own."""
        unet = shared_copy(self.parts.unet)
        self.configs["unet"] = inject(unet, "unet", self.own)
        return unet

    def groups(self) -> Mapping[str, Mapping[str, torch.nn.Parameter]]:
        """The adapter's numbers: those of the denoiser, and those of all text encoders."""
        groups = {"unet": lora_group(self.unet)}
        if self.encoders:
            groups["text_encoder"] = {
                f"{component}.{canonical(file_name(name))}": parameter
                for component, encoder in self.encoders.items()
                for name, parameter in adapter_parameters(encoder).items()
            }
        return groups

    def export(self, weights: Mapping[str, Tensor]) -> Adapter:
        """An adapter in PEFT's names."""
        settings = lora_settings(self.configs, self.own)
        return Adapter.of("lora", dict(weights), settings, self.model.fingerprint, self.model.family)
