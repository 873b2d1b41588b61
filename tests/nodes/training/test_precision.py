"""How a step is made: the gradients' norm, and what clipping does to it."""

from __future__ import annotations

import pytest
import torch

from weft.nodes.training.precision import Numerics


def stepped(clip: float, scale: float = 1.0) -> tuple[torch.Tensor, float]:
    """Weights after a step of plain descent on gradients of the norm 5 * scale, and the norm that was told."""
    weights = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(1))]
    weights[0].grad, weights[1].grad = torch.tensor([3.0, 0.0]) * scale, torch.tensor([4.0]) * scale
    norm = Numerics("no", torch.device("cpu")).step(torch.optim.SGD(weights, lr=1.0), weights, clip)
    return torch.cat([weight.detach() for weight in weights]), float(norm)


def test_gradients_within_the_norm_are_taken_to_the_bit() -> None:
    for clip in (0.0, 5.1, 100.0):
        weights, norm = stepped(clip)
        assert weights.tolist() == [-2.0, 1.0, -3.0]
        assert norm == 5.0


def test_larger_gradients_are_brought_back_to_the_norm_as_torch_does_it() -> None:
    for clip in (1.0, 4.9999, 5.0):
        weights, norm = stepped(clip)
        expected = [torch.tensor([3.0, 0.0]), torch.tensor([4.0])]
        torch.nn.utils.clip_grads_with_norm_([_with(gradient) for gradient in expected], clip, torch.tensor(5.0))
        assert weights.tolist() == [1 - float(expected[0][0]), 1.0, 1 - float(expected[1][0])]
        assert norm == 5.0


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_gradients_that_are_no_numbers_are_no_small_ones(broken: float) -> None:
    """They are told by their norm, which stops the training."""
    weights, norm = stepped(1.0, broken)
    assert not torch.isfinite(weights).all()
    assert not torch.isfinite(torch.tensor(norm))


def _with(gradient: torch.Tensor) -> torch.nn.Parameter:
    parameter = torch.nn.Parameter(torch.ones_like(gradient))
    parameter.grad = gradient
    return parameter
