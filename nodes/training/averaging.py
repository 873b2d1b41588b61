"""A running average of the weights (EMA), as diffusers' `EMAModel` makes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


class Average:
    """The average of parameters over the steps: a <- d a + (1 - d) p, with d = min(decay, (1 + n) / (10 + n)) at step n
    from 0, and 0 at the first. So it forgets the weights that the training began with.

    tensors: by the names of the parameters.
    """

    def __init__(self, decay: float, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        self._decay = decay
        self._parameters: list[Tensor] = list(parameters.values())
        self.tensors: dict[str, Tensor] = {name: p.detach().clone() for name, p in parameters.items()}

    def decay(self, step: int) -> float:
        """That of a step, from 0."""
        return min(self._decay, (1 + step) / (10 + step)) if step else 0.0

    @torch.no_grad()
    def add(self, step: int) -> None:
        """Take the parameters as they are after a step."""
        torch._foreach_lerp_(list(self.tensors.values()), self._parameters, 1 - self.decay(step))

    @contextmanager
    def instead(self) -> Iterator[None]:
        """While the parameters have the values of their average."""
        with torch.no_grad():
            before = [parameter.detach().clone() for parameter in self._parameters]
            for parameter, average in zip(self._parameters, self.tensors.values(), strict=True):
                parameter.copy_(average)
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, own in zip(self._parameters, before, strict=True):
                    parameter.copy_(own)
