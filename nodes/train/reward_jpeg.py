"""Rewards for pictures that make small or large JPEG files (arXiv 2305.13301)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weft.engine import node, value
from weft.nodes.values.rewards import Reward

if TYPE_CHECKING:
    from torch import Tensor


@value("reward.jpeg")
@dataclass(frozen=True, eq=False)
class JpegReward(Reward):
    """The size of a JPEG file in kB times `sign`."""

    sign: float = -1.0

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """kB times the sign: (n,)."""
        from weft.nodes.training.rewards.jpeg import kilobytes

        return self.sign * kilobytes(images)


@node("reward_compressibility", category="training")
def reward_compressibility() -> Reward:
    """Reward pictures that make small files: minus the size in kB of a JPEG of quality 95 (arXiv 2305.13301).

    It needs no weights and has no gradients. Plain surfaces and few details are what it leads to.
    """
    return JpegReward(-1.0)


@node("reward_incompressibility", category="training")
def reward_incompressibility() -> Reward:
    """Reward pictures that make large files: the size in kB of a JPEG of quality 95 (arXiv 2305.13301).

    It needs no weights and has no gradients. Fine detail and noise are what it leads to.
    """
    return JpegReward(1.0)
