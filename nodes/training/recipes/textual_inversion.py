"""Textual inversion (arXiv 2208.01618): new words whose vectors are learned, in front of a model that stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from weft.nodes.training.denoiser import shared_copy
from weft.nodes.training.recipes.worded import WordRecipe
from weft.nodes.training.sentences import WordMaterial
from weft.nodes.training.words import NewWord
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Adapter


@dataclass(frozen=True)
class InversionSettings:
    """Which words, and how. hold_norm: the share by which a vector's norm may leave that of its beginning, 0 any.

    weight_decay: of the vectors. seed: of vectors that begin with drawn numbers.
    """

    words: tuple[NewWord, ...]
    hold_norm: float = 0.0
    weight_decay: float = 0.0
    seed: int = 0


class TextualInversionRecipe(WordRecipe):
    """The vectors of new words."""

    name: ClassVar[str] = "textual_inversion"

    def __init__(self, model: Model, material: WordMaterial, options: TrainOptions, own: InversionSettings) -> None:
        self.own = own
        super().__init__(model, material, options, own.words, own.seed)

    def settings(self) -> Any:
        """The words, and how they are learned."""
        return asdict(self.own)

    def make_unet(self) -> Any:
        """The denoiser, frozen."""
        return shared_copy(self.parts.unet)

    def groups(self) -> Mapping[str, Mapping[str, torch.nn.Parameter]]:
        """One group: the vectors."""
        return {"words": self.words.parameters}

    def decays(self) -> Mapping[str, float]:
        """Vectors would be drawn to no word at all by a weight decay: theirs is apart."""
        return {"words": self.own.weight_decay}

    def prepare(self, step: int) -> None:
        """Hold the norms."""
        if self.own.hold_norm:
            self.words.hold(self.words.parameters, self.own.hold_norm)

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """With norms as they are exported."""
        self.prepare(0)
        with super().evaluating():
            yield

    def export(self, weights: Mapping[str, Tensor]) -> Adapter:
        """The words."""
        if self.own.hold_norm:
            weights = {name: tensor.clone() for name, tensor in weights.items()}
            self.words.hold(weights, self.own.hold_norm)
        settings = {"tokens": dict(self.words.tokens), "init": {word.token: word.init for word in self.own.words}}
        return Adapter.of("embedding", dict(weights), settings, self.model.fingerprint, self.model.family)
