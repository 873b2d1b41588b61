"""A reward for pictures of the bundled world that show what their prompt says, by its exact judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from weft.engine import node, value
from weft.nodes.values.rewards import Reward

if TYPE_CHECKING:
    from torch import Tensor


@value("reward.shapes")
@dataclass(frozen=True, eq=False)
class ShapesReward(Reward):
    """The share of facts of the prompt that a picture shows."""

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """(n,), from 0 to 1."""
        import torch

        from weft.nodes.shapes.facts import share_shown

        pixels = (images.detach().cpu().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        return torch.tensor([share_shown(one, prompt) for one, prompt in zip(pixels, prompts, strict=True)])


@node("reward_shapes", category="training")
def reward_shapes() -> Reward:
    """Reward pictures of the bundled model "shapes" by the share of their prompt's facts that an exact judge sees.

    The facts are the background, the number of objects, their colours, their shapes, and each object with its colour.
    Prompts have to name these in the words of the model's world. It has no gradients.
    """
    return ShapesReward()
