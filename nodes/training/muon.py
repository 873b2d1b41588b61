"""Muon: momentum whose matrix updates are orthogonalised (Jordan et al., 2024, kellerjordan.github.io/posts/muon).

Convolutions count as matrices (out, in x k x k). What is no matrix (norms, biases, embeddings) takes AdamW.
In these trainings, which are bounded by time and not by data, it needs about half the steps of AdamW alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch


def orthogonalize(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The nearest (semi-)orthogonal matrix, approximately, by a quintic Newton-Schulz iteration: same shape."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Muon for matrices, AdamW for the rest, with one learning rate (of AdamW's scale) for both."""

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float,
        weight_decay: float = 1e-2,
        betas: tuple[float, float] = (0.9, 0.99),
    ) -> None:
        super().__init__(parameters, dict(lr=lr, momentum=0.95, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                gradient = parameter.grad
                matrix = parameter.ndim >= 2 and min(parameter.shape[0], parameter[0].numel()) >= 8
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                kind = self._matrix if matrix and not group.get("plain") else self._adam
                update = kind(parameter, gradient, group)
                parameter.add_(update, alpha=-group["lr"])

    def _matrix(self, parameter: torch.Tensor, gradient: torch.Tensor, group: dict) -> torch.Tensor:
        state = self.state[parameter]
        momentum = state.setdefault("momentum", torch.zeros_like(parameter))
        momentum.lerp_(gradient, 1 - group["momentum"])
        nesterov = gradient.lerp(momentum, group["momentum"])
        flat = nesterov.reshape(parameter.shape[0], -1)
        # 0.2 sqrt(max side) gives the update the root mean square that AdamW's has, so learning rates carry over.
        update = orthogonalize(flat) * (0.2 * max(flat.shape) ** 0.5)
        return update.reshape(parameter.shape)

    def _adam(self, parameter: torch.Tensor, gradient: torch.Tensor, group: dict) -> torch.Tensor:
        state = self.state[parameter]
        low, high = group["betas"]
        state["step"] = int(state.get("step", 0)) + 1
        first = state.setdefault("first", torch.zeros_like(parameter)).lerp_(gradient, 1 - low)
        second = state.setdefault("second", torch.zeros_like(parameter)).lerp_(gradient.square(), 1 - high)
        scale = (second / (1 - high ** state["step"])).sqrt_().add_(1e-8)
        return first / (1 - low ** state["step"]) / scale
