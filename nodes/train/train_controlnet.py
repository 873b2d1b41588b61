"""Train a ControlNet (arXiv 2302.05543)."""

from __future__ import annotations

from collections.abc import Iterator

from weft.engine import Context, NodeView, Problem, node
from weft.nodes.checks import model_of
from weft.nodes.nets.handles import ControlNet
from weft.nodes.training.inputs import Batch, Rate, Seed, Steps
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Checkpoint, Dataset, LatentCache, TextCache


def _check(view: NodeView) -> Iterator[Problem]:
    channels = view.literals.get("embedding")
    if not isinstance(channels, list) or view.literals.get("net") is not None:
        return
    wrong = [item for item in channels if isinstance(item, int) and item < 1]
    if wrong or not channels:
        message = (
            f"embedding holds {wrong[0]}: a layer has at least one channel"
            if wrong
            else "embedding is empty: a hint passes at least one layer"
        )
        yield Problem(
            code="bad_value", node=view.id, input="embedding", message=message, given=channels, expected="numbers >= 1"
        )


@node("train_controlnet", category="training", resource="device", tags=(model_of("model"),), check=_check)
def train_controlnet(
    model: Model,
    dataset: Dataset,
    steps: Steps = 5000,
    learning_rate: Rate = 1e-5,
    batch: Batch = 4,
    net: ControlNet | None = None,
    embedding: list[int] = [16, 32, 96, 256],  # noqa: B006 - the signature is the schema; it is never changed
    seed: Seed = 0,
    options: TrainOptions | None = None,
    latents: LatentCache | None = None,
    texts: TextCache | None = None,
    start: Checkpoint | None = None,
    ctx: Context | None = None,
) -> Trained:
    """Train a ControlNet: a copy of the denoiser's first half learns to read hints, such as edges or a pose.

    The denoiser stays as it is, and at the first step the ControlNet changes nothing of what it predicts. So that hints
    are read where the prompt says nothing, train a share of the samples with the empty prompt: `caption_dropout` of
    `train_options`, 0.5 in the paper.

    Args:
        model: to train on; it stays as it is.
        dataset: pictures with captions, each with its hint as its condition.
        steps: of the optimizer.
        learning_rate: of the ControlNet.
        batch: pictures in one forward.
        net: a ControlNet to go on from; without it, a copy of the denoiser begins.
        embedding: channels of the layers that a hint passes first; each after the first halves it. Smaller ones do for
            small models. With `net`, they are those that it has.
        seed: of all random numbers of the training.
        options: from `train_options`; without it, their defaults.
        latents: from `cache_latents`; without it, pictures are encoded here.
        texts: from `cache_text`; likewise.
        start: a checkpoint to go on from.
    """
    from weft.nodes.training.conditions import with_conditions
    from weft.nodes.training.controls import hinted
    from weft.nodes.training.material import Material
    from weft.nodes.training.recipes.controlnet import ControlNetRecipe, ControlNetSettings
    from weft.nodes.training.running import run_training
    from weft.nodes.training.trainer import Goal

    ctx, options = ctx or Context(), options or TrainOptions()
    items = with_conditions(dataset, "a ControlNet", ctx, model.size, model.scale_factor)
    material = Material(model, items, ctx, latents=latents, texts=texts)
    recipe = ControlNetRecipe(model, material, options, ControlNetSettings(tuple(embedding), seed), net)
    return run_training(recipe, model, Goal(steps, learning_rate, batch, seed, start), options, ctx, hinted(material))
