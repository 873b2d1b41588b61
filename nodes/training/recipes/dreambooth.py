"""DreamBooth (arXiv 2208.12242): the whole denoiser learns, and the text encoders where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from weft.nodes.training.denoiser import own_copy
from weft.nodes.training.live_text import TextRecipe, canonical, text_components
from weft.nodes.training.material import Material
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Adapter


class DreamBoothRecipe(TextRecipe):
    """All weights of the denoiser, float32, whatever format the model has.

    Args:
        text_encoder: whether those of the text encoders learn too. Captions are then encoded at each step.
    """

    name: ClassVar[str] = "dreambooth"

    def __init__(
        self,
        model: Model,
        material: Material,
        options: TrainOptions,
        text_encoder: bool = False,
        prior_weight: float = 1.0,
    ) -> None:
        self._with_text = text_encoder
        super().__init__(model, material, options, prior_weight)
        encoders: dict[str, Any] = {}
        if text_encoder:
            with model.parts() as parts:
                encoders = {name: own_copy(encoder) for name, encoder in text_components(parts).items()}
        self.learn_text(encoders)

    def settings(self) -> Any:
        """Whether text encoders learn."""
        return {"text_encoder": self._with_text}

    def make_unet(self) -> Any:
        """A denoiser of its own. The shared one is given back at once, as it takes as much memory again."""
        self.dtype = torch.float32
        with self.model.parts() as parts:
            return own_copy(parts.unet)

    def groups(self) -> Mapping[str, Mapping[str, torch.nn.Parameter]]:
        """All parameters: those of the denoiser, and those of all text encoders."""
        groups = {"unet": {f"unet.{name}": p for name, p in self.unet.named_parameters()}}
        if self.encoders:
            groups["text_encoder"] = {
                f"{component}.{canonical(name)}": parameter
                for component, encoder in self.encoders.items()
                for name, parameter in encoder.named_parameters()
            }
        return groups

    def export(self, weights: Mapping[str, Tensor]) -> Adapter:
        """The components that learned, whole."""
        components = ["unet", *self.encoders]
        return Adapter.of(
            "weights", dict(weights), {"components": components}, self.model.fingerprint, self.model.family
        )
