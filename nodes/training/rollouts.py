"""Pictures that a policy made, with what its updates need of them: latents, log-probabilities, rewards, advantages."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Rollout:
    """One epoch's pictures, by their place in it. All tensors are on the CPU.

    epoch: its number, from 0. prompts: of each. latents: (n, T + 1, C, h, w) before each step and after the last.
    log_probabilities: (n, T), 0 where a step draws nothing. rewards, advantages: (n,) float64.
    """

    epoch: int
    prompts: tuple[str, ...]
    latents: Tensor
    log_probabilities: Tensor
    rewards: Tensor
    advantages: Tensor


class PromptStatistics:
    """The last rewards of each prompt, by which a new one is told to be good or bad for its prompt.

    size: how many of each are kept; 0 compares with the whole epoch alone. least: as long as a prompt has fewer, its
    rewards are compared with the whole epoch's.
    """

    def __init__(self, size: int, least: int) -> None:
        self._size, self._least = size, least
        self._kept: dict[str, deque[float]] = {}

    def advantages(self, prompts: Sequence[str], rewards: Tensor) -> Tensor:
        """(reward - mean) / deviation of each: (n,) float64. The rewards are taken in first."""
        numbers = rewards.double().numpy()
        whole = (numbers.mean(), numbers.std() + EPSILON)
        if not self._size:
            return torch.from_numpy((numbers - whole[0]) / whole[1])
        for prompt, reward in zip(prompts, numbers.tolist(), strict=True):
            self._kept.setdefault(prompt, deque(maxlen=self._size)).append(reward)
        found = np.empty_like(numbers)
        for place, prompt in enumerate(prompts):
            kept = self._kept[prompt]
            mean, deviation = (np.mean(kept), np.std(kept) + EPSILON) if len(kept) >= self._least else whole
            found[place] = (numbers[place] - mean) / deviation
        return torch.from_numpy(found)

    def state(self) -> dict[str, list[float]]:
        """As plain data."""
        return {prompt: list(kept) for prompt, kept in self._kept.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` gave."""
        self._kept = {prompt: deque(map(float, kept), maxlen=self._size) for prompt, kept in state.items()}

    def copy(self) -> PromptStatistics:
        """One of its own."""
        other = PromptStatistics(self._size, self._least)
        other.restore(self.state())
        return other


EPSILON = 1e-6
"""Added to deviations, as the reference does."""
