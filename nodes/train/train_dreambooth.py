"""Train a whole denoiser on a few pictures (DreamBooth, arXiv 2208.12242)."""

from __future__ import annotations

from weft.engine import Context, node
from weft.nodes.checks import model_of
from weft.nodes.training.inputs import Batch, PriorWeight, Rate, Seed, Steps
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Checkpoint, Dataset, LatentCache, TextCache


@node("train_dreambooth", category="training", resource="device", tags=(model_of("model"),))
def train_dreambooth(
    model: Model,
    dataset: Dataset,
    steps: Steps = 400,
    learning_rate: Rate = 5e-6,
    batch: Batch = 1,
    text_encoder: bool = False,
    prior_weight: PriorWeight = 1.0,
    seed: Seed = 0,
    options: TrainOptions | None = None,
    latents: LatentCache | None = None,
    texts: TextCache | None = None,
    start: Checkpoint | None = None,
    ctx: Context | None = None,
) -> Trained:
    """Train all of the denoiser on a few pictures of one thing (DreamBooth, arXiv 2208.12242).

    A rare word and its class name the thing in all captions: "a photo of sks dog". Class images, which the model draws
    itself for "a photo of a dog", keep what it knew of dogs (prior preservation); `class_images` makes them. Weights
    learn in float32, whatever format the model has: with gradients and the optimizer's numbers, 16 bytes each.

    Args:
        model: to train on; it stays as it is.
        dataset: pictures with captions, and perhaps class images.
        steps: of the optimizer.
        learning_rate: of all weights.
        batch: pictures in one forward. As many class images come beside them.
        text_encoder: whether the text encoders (of SDXL, both) learn too. Captions are then encoded at each step, and
            `texts` is not used. `train_options` can give it a learning rate of its own, by the group text_encoder.
        prior_weight: how much class images count.
        seed: of all random numbers of the training.
        options: from `train_options`; without it, their defaults.
        latents: from `cache_latents`; without it, pictures are encoded here.
        texts: from `cache_text`; likewise.
        start: a checkpoint to go on from.
    """
    from weft.nodes.training.material import Material
    from weft.nodes.training.recipes.dreambooth import DreamBoothRecipe
    from weft.nodes.training.running import run_training
    from weft.nodes.training.trainer import Goal

    ctx, options = ctx or Context(), options or TrainOptions()
    material = Material(model, dataset, ctx, latents=latents, texts=texts, captions=not text_encoder)
    recipe = DreamBoothRecipe(model, material, options, text_encoder, prior_weight)
    return run_training(recipe, model, Goal(steps, learning_rate, batch, seed, start), options, ctx)
