"""What a recipe says to the trainer: which numbers learn, the loss of some samples, and what comes out of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from weft.nodes.training.draws import Draws
from weft.nodes.values.training import Adapter


@dataclass(frozen=True)
class Samples:
    """Some samples of a training, by number: each is drawn once, whatever the batch is divided into.

    step: the optimizer's step, from 0. numbers: of the samples, counted over the whole training. items: the place of
    each in the recipe's data. draws: random numbers by sample.
    """

    step: int
    numbers: tuple[int, ...]
    items: tuple[int, ...]
    draws: Draws

    def __len__(self) -> int:
        return len(self.numbers)

    def part(self, first: int, last: int) -> Samples:
        """Some of them, in their order."""
        return Samples(self.step, self.numbers[first:last], self.items[first:last], self.draws)


class Recipe(ABC):
    """One way to train. A recipe has its modules to itself: nothing else uses them."""

    name: ClassVar[str]
    """What checkpoints are told apart by."""
    device: torch.device

    @abstractmethod
    def identity(self) -> Any:
        """All that decides what is learned, beside the options: plain data, tensors and values, as `Contents` reads."""

    @abstractmethod
    def groups(self) -> Mapping[str, Mapping[str, torch.nn.Parameter]]:
        """What learns, float32: by group (each with a learning rate of its own) and name. The names are unique."""

    @abstractmethod
    def sizes(self) -> Sequence[Any]:
        """The size of each item of the data, equal for those that one batch can hold."""

    @abstractmethod
    def losses(self, samples: Samples) -> Tensor:
        """The loss of each sample: (n,) float32, with gradients. The step's loss is the mean over its samples."""

    @abstractmethod
    def export(self, weights: Mapping[str, Tensor]) -> Adapter:
        """What was learned, of weights by the names of `groups`, float32 on the CPU."""

    def rates(self) -> Mapping[str, float]:
        """Learning rates by group, where they are not that of the training."""
        return {}

    def decays(self) -> Mapping[str, float]:
        """Weight decays by group, where they are not that of the options."""
        return {}

    def prepare(self, step: int) -> None:  # noqa: B027 - most have nothing to prepare
        """Called before each step with its number, from 0: for what is made from the weights as they are then."""

    def state(self) -> tuple[dict[str, Tensor], Any]:
        """What `prepare` made and a training that goes on needs: tensors by name, and plain data."""
        return {}, None

    def restore(self, tensors: Mapping[str, Tensor], data: Any) -> None:  # noqa: B027 - likewise
        """Put back what `state` gave."""

    def validation_losses(self) -> Tensor | None:
        """The loss on what is held out, with noise that is always the same: a number; None where nothing is."""
        return None

    def evaluating(self) -> AbstractContextManager[None]:
        """While it is validated."""
        return nullcontext()

    def numbers(self) -> dict[str, float]:
        """What else there is to tell of the last step, such as a mean reward."""
        return {}
