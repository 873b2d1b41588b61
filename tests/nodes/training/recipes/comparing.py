"""Losses and gradients of a recipe's step, and how they are compared with others."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from weft.nodes.training.draws import Draws
from weft.nodes.training.order import Order
from weft.nodes.training.recipe import Recipe, Samples


def samples_of(recipe: Recipe, step: int, size: int, seed: int) -> Samples:
    """What the trainer hands to a recipe in a step of one batch."""
    draws = Draws(seed)
    numbers = tuple(range(step * size, (step + 1) * size))
    return Samples(step, numbers, tuple(Order(draws, recipe.sizes(), size).items(step)), draws)


def first_step(recipe: Recipe, size: int, seed: int) -> tuple[float, dict[str, Tensor]]:
    """The loss, and the gradients by name."""
    parameters = {name: p for group in recipe.groups().values() for name, p in group.items()}
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    loss = recipe.losses(samples_of(recipe, 0, size, seed)).mean()
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach()), {name: p.grad for name, p in parameters.items() if p.grad is not None}


def assert_same(
    ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], rtol: float = 1e-5, each: float = 5e-5
) -> None:
    """Equal names, and numbers that agree: all together to `rtol` of their norm, and each to `each` of the largest of
    its tensor, or to what float32 cannot tell beside the largest of all.

    Queries and keys get what is left where larger numbers cancel, so rounding shows more in them.
    """
    assert sorted(ours) == sorted(theirs), sorted(set(ours) ^ set(theirs))
    wrong, floor = [], 1e-7 * max(float(other.abs().max()) for other in theirs.values())
    for name, own in ours.items():
        difference, size = float((own - theirs[name]).abs().max()), float(theirs[name].abs().max())
        if difference > each * size + floor:
            wrong.append(f"{name}: {difference:.3g} of {size:.3g}")
    assert wrong == [], wrong
    off = sum(float((own - theirs[name]).square().sum()) for name, own in ours.items()) ** 0.5
    whole = sum(float(other.square().sum()) for other in theirs.values()) ** 0.5
    assert off <= rtol * whole, f"{off:.3g} of {whole:.3g}"


def moved(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """How far each tensor went."""
    return {name: torch.as_tensor(after[name]) - before[name] for name in before}
