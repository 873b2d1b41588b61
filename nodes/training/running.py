"""From a training node to the trainer: steps, seeds, validation pictures, and the node's outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from weft.engine import Context
from weft.nodes.training.recipe import Recipe
from weft.nodes.training.trainer import Goal, train
from weft.nodes.values.model import Model
from weft.nodes.values.pictures import Image
from weft.nodes.values.techniques import Control
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Adapter


@dataclass(frozen=True)
class Controlled:
    """What controls a validation picture, and the size that it then has, (width, height) in pixels."""

    control: Control
    size: tuple[int, int]


Controls = Callable[[Adapter, int], Controlled]
"""What a network that was learned adds to the picture of a prompt, by the prompt's number."""


def run_training(
    recipe: Recipe, model: Model, goal: Goal, options: TrainOptions, ctx: Context, controls: Controls | None = None
) -> Trained:
    """Train and hand on what a training node gives.

    model: that the recipe trains on, for the pictures of the validation prompts. controls: where a network beside it
    learns, and the model stays as it is.
    """

    def validate(adapter: Adapter, step: int) -> tuple[Image, ...]:
        return validation_images(model, adapter, options, ctx, step, controls)

    result = train(recipe, goal, options, ctx, validate if options.validation_prompts else None)
    return Trained(result.adapter, result.curve, result.checkpoint, list(result.images))


def validation_images(
    model: Model, adapter: Adapter, options: TrainOptions, ctx: Context, step: int, controls: Controls | None = None
) -> tuple[Image, ...]:
    """A picture of each validation prompt with an adapter, of the same noise each time, reported as a preview."""
    from weft.nodes.basic.decode import decode
    from weft.nodes.basic.denoise import denoise
    from weft.nodes.basic.encode_prompt import encode_prompt
    from weft.nodes.techniques.cfg import cfg
    from weft.nodes.techniques.wired import applied

    trained = applied(model, adapter) if controls is None else model
    found: list[Image] = []
    for number, prompt in enumerate(options.validation_prompts):
        ctx.check_cancelled()
        guidance = cfg(encode_prompt(trained, prompt), scale=options.validation_guidance)
        more = [] if controls is None else [controls(adapter, number)]
        (width, height) = more[0].size if more else (0, 0)
        latents = denoise(
            trained,
            [guidance],
            [one.control for one in more],
            steps=options.validation_steps,
            seed=options.validation_seed + number,
            width=width,
            height=height,
        ).latents
        found.append(decode(trained, latents))
    ctx.report("train.images", {"step": step, "prompts": list(options.validation_prompts)[:32]})
    _preview(ctx, found)
    return tuple(found)


def _preview(ctx: Context, images: Sequence[Image]) -> None:
    """The pictures side by side, for who follows the run."""
    if not images or not ctx.wants_preview():
        return
    import torch

    from weft.nodes.images.encoding import encode

    pixels = [image.pixels[:1] for image in images]
    high = min(part.shape[1] for part in pixels)
    row = Image(torch.cat([part[:, :high] for part in pixels], dim=2))
    picture = row.pil(0)
    ctx.preview(encode(picture, "jpeg", 85), "image/jpeg", picture.width, picture.height)
