"""A reward that knows nothing, to see what a training does without one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weft.engine import node, value
from weft.nodes.training.inputs import Seed
from weft.nodes.values.rewards import Occasion, Reward

if TYPE_CHECKING:
    from torch import Tensor


@value("reward.random")
@dataclass(frozen=True, eq=False)
class RandomReward(Reward):
    """A number from [0, 1) for each picture, by its number in the training and the seed."""

    seed: int = 0

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """By the place in the batch: (n,)."""
        return self._drawn(range(len(prompts)))

    def rate(self, images: Tensor, prompts: Sequence[str], occasion: Occasion) -> Tensor:
        """By the number of each picture: (n,)."""
        return self._drawn(occasion.numbers or range(len(prompts)))

    def _drawn(self, numbers: Sequence[int]) -> Tensor:
        from weft.nodes.training.draws import Draws

        return Draws(self.seed).uniform("random reward", numbers).float()


@node("reward_random", category="training")
def reward_random(seed: Seed = 0) -> Reward:
    """Reward pictures at random, from 0 to 1, whatever they show: a stand-in, and a check of what rewards really do.

    Args:
        seed: of the numbers; equal ones give the same picture of a training the same reward.
    """
    return RandomReward(seed)
