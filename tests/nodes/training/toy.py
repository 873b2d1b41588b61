"""A recipe of a few numbers, for tests of the trainer alone: thousands of steps a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from weft.nodes.training.recipe import Recipe, Samples
from weft.nodes.values.training import Adapter


class Toy(Recipe):
    """Learns a line through noisy points, each drawn by its sample's number.

    count: of items. before: called with the samples of each forward, before it. width: numbers that learn.
    """

    name: ClassVar[str] = "toy"

    def __init__(self, count: int = 5, before: Callable[[Samples], None] | None = None, width: int = 3) -> None:
        self.device = torch.device("cpu")
        self.count, self.before = count, before
        self.line, self.offset = torch.nn.Parameter(torch.zeros(width)), torch.nn.Parameter(torch.zeros(width))
        self.seen: list[tuple[int, ...]] = []
        self.validated: list[float] = []

    def identity(self) -> Any:
        return ["toy", self.count, len(self.line)]

    def groups(self) -> Mapping[str, Mapping[str, torch.nn.Parameter]]:
        return {"line": {"line": self.line}, "offset": {"offset": self.offset}}

    def sizes(self) -> list[int]:
        return [0] * self.count

    def losses(self, samples: Samples) -> Tensor:
        if self.before is not None:
            self.before(samples)
        self.seen.append(samples.numbers)
        drawn = samples.draws.normal("x", samples.numbers, self.line.shape)
        items = torch.tensor(samples.items, dtype=torch.float32)[:, None]
        return (self.line * drawn + self.offset - 2 * drawn - items).square().mean(dim=1)

    def export(self, weights: Mapping[str, Tensor]) -> Adapter:
        return Adapter.of("lora", dict(weights), {}, "", "")

    def validation_losses(self) -> Tensor | None:
        loss = (self.line - 2).square().mean().detach()
        self.validated.append(float(loss))
        return loss
