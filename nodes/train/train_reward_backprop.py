"""Train by the gradients of a reward (DRaFT, AlignProp, ReFL)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from weft.engine import Context, NodeView, Problem, Range, node
from weft.nodes.checks import model_of
from weft.nodes.training.inputs import (
    Alpha,
    Batch,
    Eta,
    Guidance,
    Rank,
    Rate,
    RewardSteps,
    SamplingSteps,
    Seed,
    prompt_problems,
)
from weft.nodes.values import Model
from weft.nodes.values.rewards import Reward
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Checkpoint, TextCache


def _check(view: NodeView) -> Iterator[Problem]:
    last, steps = view.literals.get("last", 1), view.literals.get("sampling_steps", 50)
    if isinstance(last, int) and isinstance(steps, int) and last > steps:
        message = f"last is {last} and pictures are made in {steps} steps: it can be no more than these"
        yield Problem(code="bad_value", node=view.id, input="last", message=message, given=last)
    yield from prompt_problems(view)


@node("train_reward_backprop", category="training", resource="device", tags=(model_of("model"),), check=_check)
def train_reward_backprop(
    model: Model,
    prompts: list[str],
    reward: Reward,
    steps: RewardSteps = 100,
    learning_rate: Rate = 1e-4,
    batch: Batch = 4,
    through: Literal["last", "random", "one"] = "last",
    last: Annotated[int, Range(1, 1000, usual=(1, 10))] = 1,
    margin: Annotated[float, Range(0.0, 10_000.0, usual=(0.0, 10.0))] = 0.0,
    loss_scale: Annotated[float, Range(0.0, 1000.0, usual=(0.0, 1.0))] = 1.0,
    sampling_steps: SamplingSteps = 50,
    guidance: Guidance = 5.0,
    eta: Eta = 0.0,
    rank: Rank = 4,
    alpha: Alpha = 0.0,
    targets: list[str] = ["to_q", "to_k", "to_v", "to_out.0"],  # noqa: B006 - the signature is the schema
    seed: Seed = 0,
    options: TrainOptions | None = None,
    texts: TextCache | None = None,
    start: Checkpoint | None = None,
    ctx: Context | None = None,
) -> Trained:
    """Train a LoRA by the gradients of a reward, back through the picture and the sampler's steps.

    DRaFT-K (arXiv 2309.17400) is through = last with last = K. AlignProp (2310.03739) is through = random with last =
    sampling_steps. ReFL (2304.05977) is through = one with 40 steps, last = 10, margin = 2 and loss_scale = 0.001. It
    takes far fewer pictures than `train_ddpo`, and a reward with gradients.

    Args:
        model: to train on; it stays as it is.
        prompts: what pictures are made for.
        reward: one with gradients: `reward_alignment`, `reward_aesthetic`, or a sum of such.
        steps: of the optimizer.
        learning_rate: of the adapter.
        batch: pictures in one forward.
        through: last goes through the last steps of the sampler, random through the last 1 to `last` of them, drawn for
            each step of the optimizer, and one through a single one of the last `last`, whose guess is the picture.
        last: how many steps of the sampler; each takes memory, unless the options have gradient checkpointing.
        margin: with one above 0 only what a reward lacks to it counts; 0 is the reward itself.
        loss_scale: of the loss.
        sampling_steps: of DDIM, for each picture.
        guidance: its scale; 1 is none and takes half of the time.
        eta: how much noise each step of DDIM draws.
        rank: of the adapter's matrices.
        alpha: the factor on what is learned is alpha / rank; 0 means the rank.
        targets: layers, by the end of their names.
        seed: of all random numbers of the training.
        options: from `train_options`; without it, their defaults.
        texts: from `cache_text`; without it, prompts are encoded here.
        start: a checkpoint to go on from.
    """
    from weft.nodes.training.lora_settings import LoraSettings
    from weft.nodes.training.policy import Sampling
    from weft.nodes.training.recipes.reward_backprop import BackpropSettings, RewardBackpropRecipe
    from weft.nodes.training.running import run_training
    from weft.nodes.training.trainer import Goal

    ctx, options = ctx or Context(), options or TrainOptions()
    backprop = BackpropSettings(through, last, margin, loss_scale)
    own = LoraSettings("lora", rank, alpha, tuple(targets), False, seed)
    sampling = Sampling(sampling_steps, guidance, eta)
    recipe = RewardBackpropRecipe(
        model, prompts, reward, sampling, own, options, ctx, seed, texts, backprop=backprop, steps=steps
    )
    return run_training(recipe, model, Goal(steps, learning_rate, batch, seed, start), options, ctx)
