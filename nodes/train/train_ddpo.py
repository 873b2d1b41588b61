"""Train by rewards of pictures that the model makes (DDPO, arXiv 2305.13301)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from weft.engine import Context, NodeView, Problem, Range, node
from weft.nodes.checks import model_of
from weft.nodes.training.inputs import (
    Alpha,
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


def _misfit(pictures: object, batch: object) -> str | None:
    """Why the pictures of an epoch make no whole number of steps; None where they do."""
    if not isinstance(pictures, int) or not isinstance(batch, int) or batch < 1 or pictures % batch == 0:
        return None
    nearest = max(batch, round(pictures / batch) * batch)
    return (
        f"an epoch of {pictures} pictures is no whole number of steps of {batch} pictures: give {nearest} pictures, or "
        "a batch that divides them"
    )


def _check(view: NodeView) -> Iterator[Problem]:
    own = view.literals
    message = _misfit(own.get("pictures", 64), own.get("batch", 8))
    if message is not None:
        yield Problem(code="bad_value", node=view.id, input="pictures", message=message, given=own.get("pictures", 64))
    yield from prompt_problems(view)


@node("train_ddpo", category="training", resource="device", tags=(model_of("model"),), check=_check)
def train_ddpo(
    model: Model,
    prompts: list[str],
    reward: Reward,
    steps: RewardSteps = 100,
    learning_rate: Rate = 3e-4,
    batch: Annotated[int, Range(1, 4096, usual=(1, 64))] = 8,
    pictures: Annotated[int, Range(1, 65536, usual=(8, 256))] = 64,
    passes: Annotated[int, Range(1, 100, usual=(1, 4))] = 1,
    sampling_steps: SamplingSteps = 50,
    guidance: Guidance = 5.0,
    eta: Eta = 1.0,
    clip: Annotated[float, Range(0.0, 1.0, usual=(0.0, 0.001))] = 1e-4,
    clip_advantage: Annotated[float, Range(0.0, 1000.0, usual=(1.0, 10.0))] = 5.0,
    history: Annotated[int, Range(0, 100_000, usual=(0, 64))] = 32,
    history_least: Annotated[int, Range(1, 100_000, usual=(1, 64))] = 16,
    timesteps: Annotated[float, Range(0.001, 1.0)] = 1.0,
    rows: Annotated[int, Range(0, 4096, usual=(0, 64))] = 0,
    rank: Rank = 4,
    alpha: Alpha = 0.0,
    targets: list[str] = ["to_q", "to_k", "to_v", "to_out.0"],  # noqa: B006 - the signature is the schema
    seed: Seed = 0,
    options: TrainOptions | None = None,
    texts: TextCache | None = None,
    start: Checkpoint | None = None,
    ctx: Context | None = None,
) -> Trained:
    """Train a LoRA by rewards of pictures that the model makes itself (DDPO, arXiv 2305.13301).

    An epoch makes pictures of the prompts with DDIM, asks for the reward of each, and makes those of its steps likelier
    which led to pictures that were better than others of their prompt. The curve has the columns reward, reward_std,
    clip_fraction and approx_kl. Any reward will do: it needs no gradients.

    Args:
        model: to train on; it stays as it is.
        prompts: what pictures are made for, in turn.
        reward: from a reward node.
        steps: of the optimizer. An epoch has passes * pictures / (batch * accumulation) of them.
        learning_rate: of the adapter.
        batch: pictures in a step of the optimizer, over all their timesteps; with accumulation, as often as it says.
        pictures: in an epoch.
        passes: how often the pictures of an epoch are used.
        sampling_steps: of DDIM, for each picture.
        guidance: its scale while pictures are made, and in the updates; 1 is none and takes half of the time.
        eta: how much noise each step of DDIM draws; above 0, for without it there is nothing to choose from.
        clip: how far the ratio of probabilities counts. It is small: log-probabilities are means over the latents.
        clip_advantage: how far an advantage counts, in standard deviations.
        history: how many rewards of each prompt tell whether a new one is good for it; 0 compares with the epoch alone.
        history_least: as long as a prompt has fewer, its rewards are compared with those of the whole epoch.
        timesteps: the share of DDIM's steps that updates use, drawn for each picture.
        rows: pictures in a forward, while they are made and in updates; more take more memory. 0 is the batch.
        rank: of the adapter's matrices.
        alpha: the factor on what is learned is alpha / rank; 0 means the rank.
        targets: layers, by the end of their names.
        seed: of all random numbers of the training.
        options: from `train_options`; without it, their defaults.
        texts: from `cache_text`; without it, prompts are encoded here.
        start: a checkpoint to go on from.
    """
    from weft.nodes.training.errors import TrainingError
    from weft.nodes.training.lora_settings import LoraSettings
    from weft.nodes.training.policy import Sampling
    from weft.nodes.training.recipes.ddpo import DdpoRecipe, PpoSettings
    from weft.nodes.training.running import run_training
    from weft.nodes.training.trainer import Goal

    ctx, options = ctx or Context(), options or TrainOptions()
    whole = batch * options.accumulation
    if (message := _misfit(pictures, whole)) is not None:
        raise TrainingError(message)
    if eta <= 0:
        raise TrainingError("eta is 0: DDIM then draws nothing, and there is nothing to choose from. Give up to 1")
    ppo = PpoSettings(
        pictures, whole, rows or min(batch, pictures), passes, clip, clip_advantage, history, history_least, timesteps
    )
    own = LoraSettings("lora", rank, alpha, tuple(targets), False, seed)
    sampling = Sampling(sampling_steps, guidance, eta)
    asked = reward.within(ctx)
    recipe = DdpoRecipe(model, prompts, asked, sampling, own, options, ctx, seed, texts, ppo=ppo, steps=steps)
    return run_training(recipe, model, Goal(steps, learning_rate, batch, seed, start), options, ctx)
