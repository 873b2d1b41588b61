"""Train a model to edit as a sentence says (InstructPix2Pix, arXiv 2211.09800)."""

from __future__ import annotations

from typing import Annotated

from weft.engine import Context, Range, node
from weft.nodes.checks import model_of
from weft.nodes.training.inputs import Batch, Rate, Seed, Steps
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Checkpoint, Dataset, LatentCache, TextCache


@node("train_instruct_pix2pix", category="training", resource="device", tags=(model_of("model"),))
def train_instruct_pix2pix(
    model: Model,
    dataset: Dataset,
    steps: Steps = 15_000,
    learning_rate: Rate = 5e-5,
    batch: Batch = 4,
    dropout: Annotated[float, Range(0.0, 0.333)] = 0.05,
    seed: Seed = 0,
    options: TrainOptions | None = None,
    latents: LatentCache | None = None,
    texts: TextCache | None = None,
    start: Checkpoint | None = None,
    ctx: Context | None = None,
) -> Trained:
    """Train all of the denoiser to edit a picture as an instruction says (InstructPix2Pix, arXiv 2211.09800).

    The denoiser reads the picture before the edit in as many channels again, whose weights begin at zero. What comes
    out makes a model for `instruct_pix2pix`.

    Args:
        model: to train on, an ordinary one or one that was trained for this before; it stays as it is.
        dataset: pairs: each picture is the one after the edit, its condition the one before, its caption the
            instruction, such as "make it winter".
        steps: of the optimizer.
        learning_rate: of all weights.
        batch: pictures in one forward.
        dropout: p: 2 p of the samples learn without the instruction, 2 p without the picture, and p of these without
            both, so that guidance has something to compare with.
        seed: of all random numbers of the training.
        options: from `train_options`; without it, their defaults. An EMA helps as a rule.
        latents: from `cache_latents`; without it, pictures are encoded here, those before the edit in any case.
        texts: from `cache_text`; likewise.
        start: a checkpoint to go on from.
    """
    from weft.nodes.training.material import Material
    from weft.nodes.training.recipes.instruct_pix2pix import InstructPix2PixRecipe, check_pairs
    from weft.nodes.training.running import run_training
    from weft.nodes.training.trainer import Goal

    ctx, options = ctx or Context(), options or TrainOptions()
    check_pairs(dataset)
    material = Material(model, dataset, ctx, latents=latents, texts=texts, conditions=True)
    recipe = InstructPix2PixRecipe(model, material, options, dropout)
    return run_training(recipe, model, Goal(steps, learning_rate, batch, seed, start), options, ctx)
