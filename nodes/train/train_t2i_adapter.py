"""Train a T2I-Adapter (arXiv 2302.08453)."""

from __future__ import annotations

from typing import Annotated, Literal

from weft.engine import Context, Range, node
from weft.nodes.checks import model_of
from weft.nodes.nets.handles import T2IAdapter
from weft.nodes.training.inputs import Batch, Rate, Seed, Steps
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Checkpoint, Dataset, LatentCache, TextCache


@node("train_t2i_adapter", category="training", resource="device", tags=(model_of("model"),))
def train_t2i_adapter(
    model: Model,
    dataset: Dataset,
    steps: Steps = 5000,
    learning_rate: Rate = 1e-5,
    batch: Batch = 4,
    net: T2IAdapter | None = None,
    size: Literal["full", "light"] = "full",
    blocks: Annotated[int, Range(1, 16, usual=(1, 4))] = 2,
    grayscale: bool = False,
    timesteps: Literal["cubic", "uniform"] = "cubic",
    seed: Seed = 0,
    options: TrainOptions | None = None,
    latents: LatentCache | None = None,
    texts: TextCache | None = None,
    start: Checkpoint | None = None,
    ctx: Context | None = None,
) -> Trained:
    """Train a T2I-Adapter: a small network whose features of a hint join the denoiser's first half.

    It learns on fewer numbers than a ControlNet and costs next to nothing in a denoise. The denoiser stays as it is.

    Args:
        model: to train on; it stays as it is.
        dataset: pictures with captions, each with its hint as its condition.
        steps: of the optimizer.
        learning_rate: of the adapter.
        batch: pictures in one forward.
        net: a T2I-Adapter to go on from; without it, a new one of the denoiser's channels begins.
        size: of a new one: full, or light with about a twentieth of the weights, for Stable Diffusion 1.x and 2.x.
        blocks: in each level of a new one.
        grayscale: whether a new one reads the brightness of hints alone.
        timesteps: cubic are more often high ones, where the layout of a picture is decided, as in the paper.
        seed: of all random numbers of the training.
        options: from `train_options`; without it, their defaults.
        latents: from `cache_latents`; without it, pictures are encoded here.
        texts: from `cache_text`; likewise.
        start: a checkpoint to go on from.
    """
    from weft.nodes.training.conditions import with_conditions
    from weft.nodes.training.controls import hinted
    from weft.nodes.training.material import Material
    from weft.nodes.training.recipes.t2i_adapter import T2IAdapterRecipe, T2IAdapterSettings
    from weft.nodes.training.running import run_training
    from weft.nodes.training.trainer import Goal

    ctx, options = ctx or Context(), options or TrainOptions()
    multiple = model.scale_factor * (2 if model.family == "sdxl" else 1)
    items = with_conditions(dataset, "a T2I-Adapter", ctx, model.size, multiple)
    material = Material(model, items, ctx, latents=latents, texts=texts)
    own = T2IAdapterSettings(size, blocks, grayscale, timesteps, seed)
    recipe = T2IAdapterRecipe(model, material, options, own, net)
    return run_training(recipe, model, Goal(steps, learning_rate, batch, seed, start), options, ctx, hinted(material))
