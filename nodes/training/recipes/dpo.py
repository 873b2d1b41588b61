"""Diffusion-DPO (arXiv 2311.12908): of two pictures for a prompt, the preferred one is predicted better than it was by
the model as it is without the adapter, and the other one worse.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from weft.nodes.training.denoising import Batch
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.lora_settings import LoraSettings
from weft.nodes.training.material import Material
from weft.nodes.training.recipes.lora import LoraRecipe
from weft.nodes.values.model import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.training import Item

Loss = Literal["sigmoid", "hinge", "ipo"]


@dataclasses.dataclass(frozen=True)
class DpoSettings:
    """loss: of a pair. beta: how far the model may go from where it was; larger stays nearer."""

    loss: Loss = "sigmoid"
    beta: float = 2500.0


class DpoRecipe(LoraRecipe):
    """A LoRA that learns from pairs: the picture of each item is preferred to its condition.

    material: made with the conditions.
    """

    name: ClassVar[str] = "dpo"

    def __init__(
        self, model: Model, material: Material, options: TrainOptions, own: LoraSettings, dpo: DpoSettings
    ) -> None:
        self.dpo = dpo
        lonely = [item.picture.name for item in material.instances if item.condition is None]
        if lonely:
            raise TrainingError(
                f"{len(lonely)} items have no other picture that they are preferred to, first {lonely[0]}: make pairs "
                "with `preferences`, or a paired data set whose condition is the other picture"
            )
        if material.classes:
            raise TrainingError("class images have no place among pairs: the model without its adapter keeps it near")
        super().__init__(model, material, options, own)
        self._right = self._all = 0

    def settings(self) -> Any:
        """Rank and layers, and the loss."""
        return {"lora": super().settings(), "dpo": dataclasses.asdict(self.dpo)}

    def prepare(self, step: int) -> None:
        """Count anew how many pairs are told right."""
        self._right = self._all = 0

    def batch(self, items: Sequence[Any], samples: Any, purpose: str) -> Batch:
        """The preferred pictures; their masks have no meaning here."""
        return dataclasses.replace(super().batch(items, samples, purpose), mask=None)

    def errors(self, *batches: Batch) -> Tensor:
        """The loss of each pair: (n,). Both pictures have the same noise and timestep."""
        (batch,) = batches
        others = [_other(item) for item in batch.items]
        other = self.material.latents(others, batch.views, batch.samples, f"{batch.purpose}other ").to(self.device)
        clean, noise, times = torch.cat([batch.clean, other]), batch.noise.repeat(2, 1, 1, 1), batch.times.repeat(2)
        noisy, target = self.objective.noisy(clean, noise, times), self.objective.target(clean, noise, times)
        one = self.condition(batch)
        condition = one.joined(one)
        now = self._difference(self.predict(noisy, times, condition, batches), target)
        with torch.no_grad(), without_adapter(self.unet):
            before = self._difference(self.predict(noisy, times, condition, batches), target)
        logits = before - now
        self._right, self._all = self._right + int((logits > 0).sum()), self._all + len(logits)
        return self._loss(logits) * self.objective.weights(batch.times, self.options.snr_gamma)

    @staticmethod
    def _difference(prediction: Tensor, target: Tensor) -> Tensor:
        """By how much the error is larger on the preferred picture than on the other: (n,)."""
        preferred, other = (prediction.float() - target).square().mean(dim=(1, 2, 3)).chunk(2)
        return preferred - other

    def _loss(self, logits: Tensor) -> Tensor:
        beta = self.dpo.beta
        if self.dpo.loss == "sigmoid":
            return -F.logsigmoid(beta * logits)
        if self.dpo.loss == "hinge":
            return torch.relu(1 - beta * logits)
        return (logits - 1 / (2 * beta)) ** 2

    def numbers(self) -> dict[str, float]:
        """The share of pairs that the adapter tells right."""
        return {"accuracy": self._right / self._all} if self._all else {}


def _other(item: Item) -> Item:
    """The picture that an item's own is preferred to."""
    assert item.condition is not None
    return dataclasses.replace(item, picture=item.condition, condition=None)


@contextmanager
def without_adapter(module: Any) -> Iterator[None]:
    """While the module computes as it was before the adapter."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    layers = [layer for layer in module.modules() if isinstance(layer, BaseTunerLayer)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)
