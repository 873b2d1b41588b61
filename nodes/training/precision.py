"""Mixed precision: in which format the forward runs, and the scale that keeps float16 gradients above zero.

It is torch's own `autocast` and `GradScaler`, which are what accelerate wraps: its wrappers would change the modules
that recipes share with others, and their scaler has no state of its own to save.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from weft.nodes.values.train_options import Precision

CLIP_SLACK = 1e-6
"""What torch adds to a norm before it divides by it."""


class Numerics:
    """How forward, backward and step are made.

    precision: ``no`` is the model's own format. device: of the model.
    """

    def __init__(self, precision: Precision, device: torch.device) -> None:
        self._dtype = {"no": None, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        self._device = device
        self._scaler = torch.amp.GradScaler(device.type) if precision == "fp16" else None

    @property
    def skips(self) -> bool:
        """Whether a step whose gradients overflow is passed over, with a smaller scale for the next one."""
        return self._scaler is not None

    def forward(self) -> AbstractContextManager[Any]:
        """Around the computation of a loss."""
        return nullcontext() if self._dtype is None else torch.autocast(self._device.type, self._dtype)

    def backward(self, loss: Tensor) -> None:
        """Add gradients of a loss."""
        (self._scaler.scale(loss) if self._scaler is not None else loss).backward()

    def step(self, optimizer: torch.optim.Optimizer, parameters: Sequence[torch.nn.Parameter], clip: float) -> Tensor:
        """Clip the gradients' norm, where `clip` is above 0, and step; returns the norm before."""
        if self._scaler is not None:
            self._scaler.unscale_(optimizer)
        with_gradient = [parameter for parameter in parameters if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in with_gradient if p.grad is not None])
        # The factor on small gradients is 1, which is worth a look at them where that waits for nothing.
        if clip > 0 and not (norm.device.type == "cpu" and float(norm) + CLIP_SLACK <= clip):
            torch.nn.utils.clip_grads_with_norm_(with_gradient, clip, norm)
        if self._scaler is not None:
            self._scaler.step(optimizer)
            self._scaler.update()
        else:
            optimizer.step()
        return norm

    def state(self) -> dict[str, Any] | None:
        """Plain data that a training which goes on needs."""
        return self._scaler.state_dict() if self._scaler is not None else None

    def restore(self, state: dict[str, Any] | None) -> None:
        """Put back what `state` gave."""
        if self._scaler is not None and state:
            self._scaler.load_state_dict(state)
