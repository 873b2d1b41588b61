"""How a training goes, beside its steps, learning rate, batch and seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Annotated, Any

from weft.engine import NodeView, Problem, Range, node
from weft.nodes.values.train_options import (
    PACKAGES,
    WITHOUT_HORIZON,
    OptimizerName,
    Precision,
    ScheduleName,
    TrainOptions,
)

Fault = tuple[str, str, Any]
"""An input, what is wrong with it, and what was given."""


def _check(view: NodeView) -> Iterator[Problem]:
    for name, message, given in faults(view.literals):
        yield Problem(code="bad_value", node=view.id, input=name, message=message, given=given)
    yield from _rates_of_users(view)
    for user in view.users():
        steps, warmup = user.literals.get("steps"), view.literals.get("warmup")
        if isinstance(steps, int) and isinstance(warmup, int) and warmup >= steps > 0:
            message = f"The warm-up of {warmup} steps does not end within the {steps} steps of {user.id}."
            yield Problem(
                severity="warning", code="bad_value", node=view.id, input="warmup", message=message, given=warmup
            )


def _rates_of_users(view: NodeView) -> Iterator[Problem]:
    """Prodigy finds the learning rate itself, as a factor on the one that is given."""
    for user in view.users() if view.literals.get("optimizer") == "prodigy" else ():
        rate = user.literals.get("learning_rate")
        if isinstance(rate, (int, float)) and rate < 0.1:
            message = (
                f"prodigy finds the learning rate by itself and multiplies it by that of {user.id}, {rate:g}: a "
                "learning rate of 1 is usual with it"
            )
            yield Problem(
                severity="warning", code="bad_value", node=user.id, input="learning_rate", message=message, given=rate
            )


def faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """What does not go together in options, of which some may not be known."""
    schedule, optimizer, warmup = (values.get(name) for name in ("schedule", "optimizer", "warmup"))
    package = PACKAGES.get(optimizer) if isinstance(optimizer, str) else None
    if package is not None and find_spec(package) is None:
        message = (
            f"The optimizer {optimizer} needs the package {package}, which is not installed here: "
            f"`pip install {package}`, or choose adamw."
        )
        yield "optimizer", message, optimizer
    if optimizer == "schedule_free_adamw":
        if schedule not in (None, "constant"):
            message = "schedule_free_adamw takes the place of a schedule: leave `schedule` at constant."
            yield "schedule", message, schedule
        if values.get("beta1") == 0:
            yield "beta1", "schedule_free_adamw needs a beta1 above 0; 0.9 is usual.", 0
        if values.get("ema"):
            message = "schedule_free_adamw averages the weights by itself: leave `ema` at 0."
            yield "ema", message, values["ema"]
    elif schedule == "constant" and warmup:
        message = "The schedule constant has no warm-up: choose constant_with_warmup, or another one."
        yield "warmup", message, warmup
    if schedule in WITHOUT_HORIZON and values.get("horizon"):
        message = f"The schedule {schedule} does not depend on the number of steps: leave `horizon` at 0."
        yield "horizon", message, values["horizon"]
    horizon = values.get("horizon")
    if isinstance(horizon, int) and isinstance(warmup, int) and 0 < horizon <= warmup:
        yield "horizon", f"The schedule ends at step {horizon}, within the warm-up of {warmup} steps.", horizon
    low, high = values.get("min_timestep"), values.get("max_timestep")
    if isinstance(low, int) and isinstance(high, int) and low >= high:
        yield "min_timestep", f"No timestep lies from {low} on and below {high}: it has to be below max_timestep.", low
    yield from _rate_faults(values.get("rates"), optimizer)
    prompts = values.get("validation_prompts")
    if prompts and values.get("validate_every") == 0:
        message = "With validate_every 0 no picture is made of the prompts: give the steps between two validations."
        yield "validation_prompts", message, list(prompts)


def _rate_faults(rates: Any, optimizer: Any) -> Iterator[Fault]:
    if not isinstance(rates, Mapping):
        return
    for group, factor in rates.items():
        if not isinstance(factor, (int, float)) or not math.isfinite(factor) or factor < 0:
            yield "rates", f"The factor {factor} of {group!r} is no number of 0 or more.", factor
    others = {factor for factor in rates.values() if factor not in (0, 1)}
    if optimizer == "prodigy" and others:
        message = "prodigy has one learning rate for all groups: the factors in `rates` can only be 1, or 0 for none."
        yield "rates", message, dict(rates)


@node("train_options", category="training", check=_check)
def train_options(
    accumulation: Annotated[int, Range(1, 4096, usual=(1, 64))] = 1,
    schedule: ScheduleName = "constant",
    warmup: Annotated[int, Range(0, 1_000_000, usual=(0, 1000))] = 0,
    horizon: Annotated[int, Range(0, 1_000_000, usual=(0, 5000))] = 0,
    cycles: Annotated[int, Range(1, 1000, usual=(1, 10))] = 1,
    power: Annotated[float, Range(0.0, 100.0, usual=(0.0, 4.0))] = 1.0,
    optimizer: OptimizerName = "adamw",
    beta1: Annotated[float, Range(0.0, 0.9999)] = 0.9,
    beta2: Annotated[float, Range(0.0, 0.999999)] = 0.999,
    epsilon: Annotated[float, Range(1e-30, 1.0, usual=(1e-30, 1e-4))] = 1e-8,
    weight_decay: Annotated[float, Range(0.0, 10.0, usual=(0.0, 0.1))] = 1e-2,
    clip_norm: Annotated[float, Range(0.0, 1e6, usual=(0.0, 10.0))] = 1.0,
    rates: dict[str, float] = {},  # noqa: B006 - the signature is the schema; it is never changed
    snr_gamma: Annotated[float, Range(0.0, 1000.0, usual=(0.0, 20.0))] = 0.0,
    noise_offset: Annotated[float, Range(0.0, 10.0, usual=(0.0, 0.3))] = 0.0,
    caption_dropout: Annotated[float, Range(0.0, 1.0)] = 0.0,
    ema: Annotated[float, Range(0.0, 0.999999)] = 0.0,
    gradient_checkpointing: bool = False,
    precision: Precision = "no",
    masked: bool = True,
    unmasked_weight: Annotated[float, Range(0.0, 1.0)] = 0.0,
    min_timestep: Annotated[int, Range(0, 999)] = 0,
    max_timestep: Annotated[int, Range(1, 1000)] = 1000,
    checkpoint_every: Annotated[int, Range(0, 1_000_000, usual=(0, 1000))] = 0,
    keep_every: Annotated[int, Range(0, 1_000_000, usual=(0, 1000))] = 0,
    validate_every: Annotated[int, Range(0, 1_000_000, usual=(0, 1000))] = 0,
    validation_prompts: list[str] = [],  # noqa: B006 - likewise
    validation_seed: Annotated[int, Range(0, 2**63 - 1)] = 0,
    validation_steps: Annotated[int, Range(1, 1000, usual=(1, 100))] = 25,
    validation_guidance: Annotated[float, Range(0.0, 1000.0, usual=(0.0, 15.0))] = 3.0,
) -> TrainOptions:
    """Options of a training, for the input `options` of every node that trains.

    Options that begin with `validat`, `checkpoint_every` and `keep_every` change nothing of what is learned: a training
    goes on from its checkpoints when only they change. All others begin a training of its own.

    Args:
        accumulation: batches of which one step is made: their gradients are averaged. As good as a larger batch that
            would not fit into memory.
        schedule: how the learning rate changes over the steps, as in diffusers. Only with constant and
            constant_with_warmup does a training with more steps go on from one with fewer.
        warmup: steps over which the learning rate rises from 0; constant has none. The optimizer
            schedule_free_adamw has its own, of as many steps.
        horizon: the step at which the schedule ends; 0 is the number of steps. Trainings of one horizon share their
            steps, so a cosine over 1000 steps can be looked at after 500.
        cycles: how many half-waves cosine_with_restarts has, each from the full learning rate to 0. Others have none.
        power: of the schedule polynomial, where 1 is a line. Others have none.
        optimizer: adamw, adafactor, sgd and muon are built in; adamw_8bit needs the package bitsandbytes, prodigy
            prodigyopt and schedule_free_adamw schedulefree.
        beta1: how long the mean of the gradients remembers; of sgd the momentum. adafactor has none.
        beta2: how long the mean of their squares remembers; sgd and adafactor have none.
        epsilon: added to the root of that mean; sgd, muon and adafactor have none.
        weight_decay: the share of the weights that is taken away in each step, times the learning rate.
        clip_norm: the length that the gradient of a step is shortened to where it is longer; 0 never.
        rates: by group of what learns, a factor on its learning rate, as {"text_encoder": 0.1}; groups that are not
            named have 1, and 0 lets one stay as it is. The node that trains says which groups it has.
        snr_gamma: weighs noise levels by min(SNR, gamma) / SNR (arXiv 2303.09556); 5 is usual, 0 is off.
        noise_offset: how much noise is added that is equal over a whole channel; 0.05 to 0.1 lets a model learn darker
            and brighter pictures.
        caption_dropout: the share of the samples whose caption is left empty, so that guidance works better.
        ema: the decay of a running average of the weights, which is what comes out then; 0.99 to 0.9999 are usual, 0 is
            none. At step n, from 0, it is at most (1 + n) / (10 + n), and 0 at the first.
        gradient_checkpointing: less memory for about a third more time; what is learned is the same.
        precision: of the computation: no is the model's own format, bf16 and fp16 are mixed precision. What learns is
            float32 in any case.
        masked: whether masks of the data set count.
        unmasked_weight: how much counts what a mask leaves out, beside 1 for what it shows.
        min_timestep: the least noisy timestep that is trained, in thousandths of all.
        max_timestep: the timesteps that are trained lie below this, in thousandths of all.
        checkpoint_every: steps between two checkpoints; 0 writes one every 30 seconds. The last two stay.
        keep_every: the checkpoint of every so many steps stays as well, where one was written; 0 for none.
        validate_every: steps between two validations, which measure the loss on what is held out and draw the prompts;
            0 for none. The first is before the first step.
        validation_prompts: prompts that are drawn at each validation, with noise that is always the same.
        validation_seed: of the noise of validations.
        validation_steps: of the denoising of each prompt.
        validation_guidance: its guidance scale.
    """
    own = dict(locals())
    messages = [f"{name}: {message}" for name, message, _ in faults(own)]
    if messages:
        raise ValueError(f"train_options: {' '.join(messages)}")
    return TrainOptions(**{**own, "rates": dict(rates), "validation_prompts": tuple(validation_prompts)})
