"""What tells one training from another: equal ones share their checkpoints."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from weft.nodes.sampling.content import Contents, code, machine
from weft.nodes.training.recipe import Recipe
from weft.nodes.values.train_options import WITHOUT_HORIZON, TrainOptions
from weft.nodes.values.training import Checkpoint

NOT_LEARNED = frozenset(
    {
        "horizon",
        "checkpoint_every",
        "keep_every",
        "validate_every",
        "validation_prompts",
        "validation_seed",
        "validation_steps",
        "validation_guidance",
    }
)
"""Options that change nothing of what is learned."""


@dataclass(frozen=True)
class Goal:
    """How far a training goes. steps: of the optimizer. rate: the learning rate. start: a checkpoint to go on from."""

    steps: int
    rate: float
    batch: int = 1
    seed: int = 0
    start: Checkpoint | None = None


def trajectory(recipe: Recipe, goal: Goal, options: TrainOptions, processes: int = 1) -> str:
    """Identifies what a training learns at each step; equal ones give equal weights, and share their steps."""
    own = {field.name: getattr(options, field.name) for field in dataclasses.fields(options)}
    learned = {name: item for name, item in own.items() if name not in NOT_LEARNED}
    horizon = None if options.schedule in WITHOUT_HORIZON else options.horizon or goal.steps
    begin = (goal.start.step, goal.start.digest) if goal.start is not None else None
    rates = (goal.rate, dict(recipe.rates()), dict(recipe.decays()))
    parts = (recipe.name, recipe.identity(), learned, horizon, rates, goal.batch, goal.seed, begin)
    # Several processes add up gradients in another order.
    where = (*machine(recipe.device), processes) if processes > 1 else machine(recipe.device)
    return Contents().key((code(), where, parts)).hex()
