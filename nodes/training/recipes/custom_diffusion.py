"""Custom Diffusion (arXiv 2212.04488): keys and values of the cross-attention, and a word for each concept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from weft.nodes.training.denoiser import shared_copy
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.recipes.worded import WordRecipe
from weft.nodes.training.sentences import WordMaterial
from weft.nodes.training.words import NewWord
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Adapter

Freeze = Literal["crossattn_kv", "crossattn"]
LAYERS: dict[str, tuple[str, ...]] = {
    "crossattn_kv": ("attn2.to_k", "attn2.to_v"),
    "crossattn": ("attn2.to_k", "attn2.to_v", "attn2.to_q", "attn2.to_out.0"),
}
"""What learns, by the end of the layers' names."""


@dataclass(frozen=True)
class CustomSettings:
    """Which words and layers. freeze: what of the denoiser is not frozen, by the names of diffusers' script.

    words_rate: learning rate of the words' vectors. words_decay: their weight decay. seed: of vectors that begin with
    drawn numbers.
    """

    words: tuple[NewWord, ...]
    freeze: Freeze = "crossattn_kv"
    words_rate: float = 1e-5
    words_decay: float = 0.0
    seed: int = 0


class CustomDiffusionRecipe(WordRecipe):
    """Projections of the cross-attention as a whole, and the vectors of new words."""

    name: ClassVar[str] = "custom_diffusion"

    def __init__(
        self,
        model: Model,
        material: WordMaterial,
        options: TrainOptions,
        own: CustomSettings,
        prior_weight: float = 1.0,
    ) -> None:
        self.own = own
        super().__init__(model, material, options, own.words, own.seed, prior_weight)

    def settings(self) -> Any:
        """Words and layers."""
        return asdict(self.own)

    def make_unet(self) -> Any:
        """The denoiser with projections of its own."""
        unet = shared_copy(self.parts.unet)
        self.learned = own_layers(unet, LAYERS[self.own.freeze])
        return unet

    def groups(self) -> Mapping[str, Mapping[str, torch.nn.Parameter]]:
        """Two: the projections, and the vectors."""
        groups = {"unet": {f"unet.{name}": parameter for name, parameter in self.learned.items()}}
        return groups | ({"words": self.words.parameters} if self.words.parameters else {})

    def rates(self) -> Mapping[str, float]:
        """The vectors have their own."""
        return {"words": self.own.words_rate} if self.words.parameters else {}

    def decays(self) -> Mapping[str, float]:
        """Likewise."""
        return {"words": self.own.words_decay}

    def export(self, weights: Mapping[str, Tensor]) -> Adapter:
        """Projections and words."""
        settings = {"tokens": dict(self.words.tokens), "freeze": self.own.freeze}
        return Adapter.of("custom_diffusion", dict(weights), settings, self.model.fingerprint, self.model.family)


class OwnLinear(torch.nn.Linear):
    """A linear layer with float32 weights that computes in the format of what it is given."""

    def forward(self, input: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        bias = None if self.bias is None else self.bias.to(input.dtype)
        return torch.nn.functional.linear(input, self.weight.to(input.dtype), bias)


def own_layers(module: Any, ends: Sequence[str]) -> dict[str, torch.nn.Parameter]:
    """Put float32 copies in the place of some linear layers, by the end of their names; returns their parameters.

    Raises:
        TrainingError: there is no such layer.
    """
    names = [
        name
        for name, part in module.named_modules()
        if isinstance(part, torch.nn.Linear) and any(f".{name}".endswith(f".{end}") for end in ends)
    ]
    if not names:
        raise TrainingError(f"no layer of the model is one of {', '.join(ends)}: it has no cross-attention that learns")
    learned = {}
    for name in names:
        before = module.get_submodule(name)
        own = OwnLinear(before.in_features, before.out_features, before.bias is not None, device="meta")
        for kind, tensor in before.named_parameters():
            parameter = torch.nn.Parameter(tensor.detach().float().clone())
            setattr(own, kind, parameter)
            learned[f"{name}.{kind}"] = parameter
        module.set_submodule(name, own)
    return learned
