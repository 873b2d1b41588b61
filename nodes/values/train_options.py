"""How a training goes: what all recipes share, beside the steps, the learning rate, the batch and the seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from weft.engine import value
from weft.nodes.values.reprs import short_repr

ScheduleName = Literal[
    "constant",
    "constant_with_warmup",
    "linear",
    "cosine",
    "cosine_with_restarts",
    "polynomial",
]
"""Learning rate schedules, by the names of diffusers' `get_scheduler`."""
OptimizerName = Literal["adamw", "adamw_8bit", "prodigy", "schedule_free_adamw", "adafactor", "sgd", "muon"]
Precision = Literal["no", "bf16", "fp16"]
WITHOUT_HORIZON: frozenset[str] = frozenset({"constant", "constant_with_warmup"})
"""Schedules that do not depend on how many steps there will be."""
PACKAGES: Mapping[str, str] = {
    "adamw_8bit": "bitsandbytes",
    "prodigy": "prodigyopt",
    "schedule_free_adamw": "schedulefree",
}
"""Optimizers that are in a package of their own, by its name."""
SCHEDULES: tuple[str, ...] = get_args(ScheduleName)


@value("train_options")
@dataclass(frozen=True, eq=False)
class TrainOptions:
    """Options of a training. See the node `train_options` for what each one does."""

    accumulation: int = 1
    schedule: ScheduleName = "constant"
    warmup: int = 0
    horizon: int = 0
    cycles: int = 1
    power: float = 1.0
    optimizer: OptimizerName = "adamw"
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 1e-2
    clip_norm: float = 1.0
    rates: dict[str, float] = field(default_factory=dict)
    snr_gamma: float = 0.0
    noise_offset: float = 0.0
    caption_dropout: float = 0.0
    ema: float = 0.0
    gradient_checkpointing: bool = False
    precision: Precision = "no"
    masked: bool = True
    unmasked_weight: float = 0.0
    min_timestep: int = 0
    max_timestep: int = 1000
    checkpoint_every: int = 0
    keep_every: int = 0
    validate_every: int = 0
    validation_prompts: tuple[str, ...] = ()
    validation_seed: int = 0
    validation_steps: int = 25
    validation_guidance: float = 3.0

    __repr__ = short_repr
