"""Train by preferences between pictures (Diffusion-DPO, arXiv 2311.12908)."""

from __future__ import annotations

from typing import Annotated, Literal

from weft.engine import Context, Range, node
from weft.nodes.checks import model_of
from weft.nodes.training.inputs import Alpha, Batch, Rank, Rate, Seed, Steps
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Checkpoint, Dataset, LatentCache, TextCache


@node("train_dpo", category="training", resource="device", tags=(model_of("model"),))
def train_dpo(
    model: Model,
    dataset: Dataset,
    steps: Steps = 500,
    learning_rate: Rate = 1e-5,
    batch: Batch = 1,
    loss: Literal["sigmoid", "hinge", "ipo"] = "sigmoid",
    beta: Annotated[float, Range(1e-6, 1e6, usual=(1000.0, 5000.0))] = 2500.0,
    rank: Rank = 8,
    alpha: Alpha = 0.0,
    targets: list[str] = ["to_q", "to_k", "to_v", "to_out.0"],  # noqa: B006 - the signature is the schema
    seed: Seed = 0,
    options: TrainOptions | None = None,
    latents: LatentCache | None = None,
    texts: TextCache | None = None,
    start: Checkpoint | None = None,
    ctx: Context | None = None,
) -> Trained:
    """Train a LoRA by preferences: of two pictures for a prompt, one is better (Diffusion-DPO, arXiv 2311.12908).

    It learns to predict the preferred picture better than the model without the adapter does, and the other one worse.
    The curve has the column accuracy, the share of pairs that it tells right.

    Args:
        model: to train on; it stays as it is.
        dataset: pairs: pictures with captions, and as the condition of each the picture that it is preferred to. See
            `preferences`.
        steps: of the optimizer.
        learning_rate: of the adapter.
        batch: pairs in one forward.
        loss: sigmoid is the paper's, hinge counts no pair that is told right by far, ipo (arXiv 2310.12036) wants each
            to be told right by a fixed margin.
        beta: how near to the model without the adapter it stays: the factor on differences of mean square errors.
        rank: of the adapter's matrices.
        alpha: the factor on what is learned is alpha / rank; 0 means the rank.
        targets: layers, by the end of their names.
        seed: of all random numbers of the training.
        options: from `train_options`; without it, their defaults.
        latents: from `cache_latents`; without it, pictures are encoded here.
        texts: from `cache_text`; likewise.
        start: a checkpoint to go on from.
    """
    from weft.nodes.training.lora_settings import LoraSettings
    from weft.nodes.training.material import Material
    from weft.nodes.training.recipes.dpo import DpoRecipe, DpoSettings
    from weft.nodes.training.running import run_training
    from weft.nodes.training.trainer import Goal

    ctx, options = ctx or Context(), options or TrainOptions()
    material = Material(model, dataset, ctx, latents=latents, texts=texts, conditions=True)
    own = LoraSettings("lora", rank, alpha, tuple(targets), False, seed)
    recipe = DpoRecipe(model, material, options, own, DpoSettings(loss, beta))
    return run_training(recipe, model, Goal(steps, learning_rate, batch, seed, start), options, ctx)
