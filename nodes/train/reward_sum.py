"""Several rewards as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weft.engine import NodeView, Problem, node, value
from weft.nodes.values.rewards import Occasion, Reward

if TYPE_CHECKING:
    from torch import Tensor

    from weft.engine import Context


@value("reward.sum")
@dataclass(frozen=True, eq=False)
class SumReward(Reward):
    """The sum of rewards, each times its weight. A part of weight 0 is not asked."""

    rewards: tuple[Reward, ...] = ()
    weights: tuple[float, ...] = ()

    @property
    def gives_gradients(self) -> bool:
        """Whether all parts do."""
        return all(reward.gives_gradients for reward, weight in self._parts)

    @property
    def _parts(self) -> list[tuple[Reward, float]]:
        pairs = zip(self.rewards, self.weights, strict=True)
        return [(reward, weight) for reward, weight in pairs if weight]

    def score(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """(n,)."""
        return self._sum([(reward.score(images, prompts), weight) for reward, weight in self._parts], prompts)

    def score_tensor(self, images: Tensor, prompts: Sequence[str]) -> Tensor:
        """(n,), with the gradients of all parts."""
        return self._sum([(reward.score_tensor(images, prompts), weight) for reward, weight in self._parts], prompts)

    def rate(self, images: Tensor, prompts: Sequence[str], occasion: Occasion) -> Tensor:
        """(n,). What goes wrong in a part names that part."""
        from weft.nodes.training.rewards.rating import rated

        scores = [(rated(reward, images, prompts, occasion), weight) for reward, weight in self._parts]
        return self._sum(scores, prompts)

    def within(self, ctx: Context) -> Reward:
        """With all parts within it."""
        return replace(self, rewards=tuple(reward.within(ctx) for reward in self.rewards))

    def _sum(self, scores: list[tuple[Tensor, float]], prompts: Sequence[str]) -> Tensor:
        import torch

        if not scores:
            return torch.zeros(len(prompts))
        return torch.stack([weight * score for score, weight in scores]).sum(dim=0)


def _check(view: NodeView) -> Iterator[Problem]:
    rewards, weights = view.literals.get("rewards"), view.literals.get("weights")
    if isinstance(rewards, list) and isinstance(weights, list) and weights and len(weights) != len(rewards):
        message = f"{len(weights)} weights do not fit {len(rewards)} rewards: give one for each, or none"
        yield Problem(code="bad_value", node=view.id, input="weights", message=message, given=weights)


@node("reward_sum", category="training", check=_check)
def reward_sum(rewards: list[Reward], weights: list[float] = []) -> Reward:  # noqa: B006 - the signature is the schema
    """Add rewards up, each times a weight.

    Rewards have units of their own: kB, cosines times 100, ratings. Weights bring them to one scale; a negative one
    turns a reward round.

    Args:
        rewards: the parts.
        weights: one for each reward; none means 1 for all.
    """
    import math

    if not rewards:
        raise ValueError("there is no reward to add up: wire one or more into rewards")
    if weights and len(weights) != len(rewards):
        raise ValueError(f"{len(weights)} weights do not fit {len(rewards)} rewards: give one for each, or none")
    if not all(math.isfinite(weight) for weight in weights):
        raise ValueError(f"a weight is no finite number: {weights}")
    return SumReward(tuple(rewards), tuple(weights) or (1.0,) * len(rewards))
