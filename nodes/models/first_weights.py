"""First weights of modules, drawn apart from the random numbers of the process, which other threads draw from too."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


class RandomNumbersOf(TorchFunctionMode):
    """While it is entered, what this thread initialises is drawn from a generator of its own.

    The process's generator is neither used nor set, so other threads notice nothing.
    """

    DRAWING: frozenset[Any] = frozenset(
        {
            torch.Tensor.uniform_,
            torch.Tensor.normal_,
            torch.randn,
            torch.rand,
            torch.randperm,
            nn.init.uniform_,
            nn.init.normal_,
            nn.init.trunc_normal_,
            nn.init.kaiming_uniform_,
            nn.init.kaiming_normal_,
            nn.init.xavier_uniform_,
            nn.init.xavier_normal_,
            nn.init.orthogonal_,
        }
    )

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self._generator = generator

    def __torch_function__(
        self, func: Any, types: Iterable[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func in self.DRAWING:
            given["generator"] = self._generator
        return func(*args, **given)


def own_random() -> RandomNumbersOf:
    """While modules are made whose first weights are replaced afterwards: drawn apart from the process's generator."""
    return RandomNumbersOf(torch.Generator().manual_seed(0))
