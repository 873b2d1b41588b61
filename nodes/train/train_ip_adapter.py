"""Train an IP-Adapter (arXiv 2308.06721)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from weft.engine import Context, NodeView, Problem, Range, node
from weft.nodes.checks import model_of
from weft.nodes.models.sources import IMAGE_ENCODER
from weft.nodes.nets.files import fingerprint
from weft.nodes.nets.image_prompt import describe_image_encoder
from weft.nodes.nets.source import NetSource
from weft.nodes.training.inputs import Batch, ClipSource, Rate, Seed, Steps
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Checkpoint, Dataset, LatentCache, TextCache

ENCODER = NetSource(IMAGE_ENCODER, describe_image_encoder)
Share = Annotated[float, Range(0.0, 1.0, usual=(0.0, 0.2))]


def _fingerprint(image_encoder: str, ctx: Context) -> str:
    return fingerprint(ENCODER.look(image_encoder, ctx.resolve_input_path))


def _check(view: NodeView) -> Iterator[Problem]:
    yield from ENCODER.check(view, "image_encoder")
    shares = [view.literals.get("image_dropout"), view.literals.get("both_dropout")]
    numbers = [share for share in shares if isinstance(share, (int, float))]
    if sum(numbers) > 1:
        message = f"image_dropout and both_dropout are {numbers[0]} and {numbers[1]}, more than all samples"
        yield Problem(
            code="bad_value",
            node=view.id,
            input="both_dropout",
            message=message,
            given=numbers[1],
            expected=f"at most {1 - numbers[0]:g}",
        )


@node(
    "train_ip_adapter",
    category="training",
    resource="device",
    fingerprint=_fingerprint,
    tags=(model_of("model"),),
    check=_check,
)
def train_ip_adapter(
    model: Model,
    dataset: Dataset,
    steps: Steps = 5000,
    learning_rate: Rate = 1e-4,
    batch: Batch = 8,
    image_encoder: ClipSource = "shapes-clip",
    prompt_with: Literal["picture", "condition"] = "picture",
    image_dropout: Share = 0.05,
    both_dropout: Share = 0.05,
    seed: Seed = 0,
    options: TrainOptions | None = None,
    latents: LatentCache | None = None,
    texts: TextCache | None = None,
    start: Checkpoint | None = None,
    ctx: Context | None = None,
) -> Trained:
    """Train an IP-Adapter: pictures become prompts, through keys and values of their own in each cross-attention.

    Denoiser and image encoder stay as they are. The picture that prompts is seen once by the encoder. A share of the
    samples goes without it, one without its caption (`caption_dropout` of `train_options`), and one without both, so
    that guidance has something to be compared with.

    Args:
        model: to train on; it stays as it is.
        dataset: pictures with captions.
        steps: of the optimizer.
        learning_rate: of the adapter.
        batch: pictures in one forward.
        image_encoder: a CLIP vision model with its projection: "shapes-clip", a folder, a name in a model folder, or a
            hub id that is in the hub's local cache. The adapter needs this one ever after.
        prompt_with: the picture that is drawn, or the item's condition: another picture of the same thing.
        image_dropout: the share of the samples without the picture.
        both_dropout: the share of the samples without picture and caption.
        seed: of all random numbers of the training.
        options: from `train_options`; without it, their defaults.
        latents: from `cache_latents`; without it, pictures are encoded here.
        texts: from `cache_text`; likewise.
        start: a checkpoint to go on from.
    """
    import torch

    from weft.nodes.nets.live import verify
    from weft.nodes.training.controls import prompted_by
    from weft.nodes.training.image_states import prompted
    from weft.nodes.training.material import Material
    from weft.nodes.training.recipes.ip_adapter import IPAdapterRecipe, IPAdapterSettings
    from weft.nodes.training.running import run_training
    from weft.nodes.training.trainer import Goal

    ctx, options = ctx or Context(), options or TrainOptions()
    encoder = ENCODER.look(image_encoder, ctx.resolve_input_path)
    verify(encoder)
    images, seen = prompted(encoder, torch.device(model.device), dataset, prompt_with, ctx)
    material = Material(model, seen, ctx, latents=latents, texts=texts)
    own = IPAdapterSettings(image_dropout, both_dropout, seed)
    recipe = IPAdapterRecipe(model, material, options, own, images, image_encoder)
    goal = Goal(steps, learning_rate, batch, seed, start)
    return run_training(recipe, model, goal, options, ctx, prompted_by(material, prompt_with))
