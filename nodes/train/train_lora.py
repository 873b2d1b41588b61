"""Train a LoRA (arXiv 2106.09685)."""

from __future__ import annotations

from typing import Annotated

from weft.engine import Context, Range, Widget, node
from weft.nodes.checks import model_of
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Checkpoint, Dataset, LatentCache, TextCache

Steps = Annotated[int, Range(1, 1_000_000, usual=(100, 5000))]
Rate = Annotated[float, Range(0.0, 10.0, usual=(0.0, 0.01))]
Seed = Annotated[int, Range(0, 2**63 - 1), Widget("seed")]


@node("train_lora", category="training", resource="device", tags=(model_of("model"),))
def train_lora(
    model: Model,
    dataset: Dataset,
    steps: Steps = 500,
    learning_rate: Rate = 1e-4,
    batch: Annotated[int, Range(1, 1024, usual=(1, 64))] = 1,
    rank: Annotated[int, Range(1, 1024, usual=(1, 128))] = 4,
    alpha: Annotated[float, Range(0.0, 1024.0, usual=(0.0, 128.0))] = 0.0,
    targets: list[str] = ["to_q", "to_k", "to_v", "to_out.0"],  # noqa: B006 - the signature is the schema
    prior_weight: Annotated[float, Range(0.0, 100.0, usual=(0.0, 2.0))] = 1.0,
    seed: Seed = 0,
    options: TrainOptions | None = None,
    latents: LatentCache | None = None,
    texts: TextCache | None = None,
    start: Checkpoint | None = None,
    ctx: Context | None = None,
) -> Trained:
    """Train a LoRA: small matrices beside layers of the denoiser (arXiv 2106.09685).

    Args:
        model: to train on; it stays as it is.
        dataset: pictures with captions; class images in it keep what the model knew.
        steps: of the optimizer.
        learning_rate: of the adapter.
        batch: pictures in one forward.
        rank: of the matrices.
        alpha: the factor on what is learned is alpha / rank; 0 means the rank.
        targets: layers, by the end of their names.
        prior_weight: how much class images count.
        seed: of all random numbers of the training.
        options: from `train_options`; without it, their defaults.
        latents: from `cache_latents`; without it, pictures are encoded here.
        texts: from `cache_text`; likewise.
        start: a checkpoint to go on from.
    """
    from weft.nodes.training.material import Material
    from weft.nodes.training.recipes.lora import LoraRecipe, LoraSettings
    from weft.nodes.training.running import run_training
    from weft.nodes.training.trainer import Goal

    ctx, options = ctx or Context(), options or TrainOptions()
    material = Material(model, dataset, ctx, latents=latents, texts=texts)
    own = LoraSettings("lora", rank, alpha, tuple(targets), False, seed)
    recipe = LoraRecipe(model, material, options, own, prior_weight)
    return run_training(recipe, model, Goal(steps, learning_rate, batch, seed, start), options, ctx)
