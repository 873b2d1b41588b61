"""Train a LoRA (arXiv 2106.09685), or one of its kin."""

from __future__ import annotations

from collections.abc import Iterator

from weft.engine import Context, NodeView, Problem, node
from weft.nodes.checks import described_model, model_of
from weft.nodes.training.inputs import Alpha, Batch, PriorWeight, Rank, Rate, Seed, Steps
from weft.nodes.training.lora_settings import Init, Kind, LoraSettings, Shapes, misfits, wrong_settings
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Checkpoint, Dataset, LatentCache, TextCache


def _check(view: NodeView) -> Iterator[Problem]:
    """Settings that do not go together, and layers that the model does not have."""
    own = _written(view)
    if own is None:
        return
    faults = list(wrong_settings(own))
    layers = _layers(view)
    if layers:
        faults += misfits(own, layers)
    for input, message in faults:
        given = view.literals.get(input)
        yield Problem(code="bad_value", node=view.id, input=input, message=message, given=given)


def _written(view: NodeView) -> LoraSettings | None:
    """The settings, where all are written out and of the right types."""
    kind, rank, alpha, targets = (view.literals.get(name) for name in ("kind", "rank", "alpha", "targets"))
    if not isinstance(kind, str) or not isinstance(rank, int) or not isinstance(alpha, int | float):
        return None
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        return None
    return LoraSettings(kind, rank, float(alpha), tuple(targets))


def _layers(view: NodeView) -> Shapes | None:
    """The denoiser's layers, from the headers of the model's files; None where these have other names for them."""
    described = described_model(view)
    weights = described.weights.get("unet") if described is not None else None
    if weights is None or weights.layout != "diffusers":
        return None
    return {
        name.removesuffix(".weight"): info.shape
        for name, info in weights.tensors.items()
        if name.endswith(".weight") and len(info.shape) in (2, 4)
    }


@node("train_lora", category="training", resource="device", tags=(model_of("model"),), check=_check)
def train_lora(
    model: Model,
    dataset: Dataset,
    steps: Steps = 500,
    learning_rate: Rate = 1e-4,
    batch: Batch = 1,
    kind: Kind = "lora",
    rank: Rank = 4,
    alpha: Alpha = 0.0,
    targets: list[str] = ["to_q", "to_k", "to_v", "to_out.0"],  # noqa: B006 - the signature is the schema
    init: Init = "gaussian",
    text_encoder: bool = False,
    prior_weight: PriorWeight = 1.0,
    seed: Seed = 0,
    options: TrainOptions | None = None,
    latents: LatentCache | None = None,
    texts: TextCache | None = None,
    start: Checkpoint | None = None,
    ctx: Context | None = None,
) -> Trained:
    """Train a LoRA: small matrices beside layers of the denoiser (arXiv 2106.09685), or one of its kin.

    Needs peft. The captions of the pictures say what is learned. With one caption for all of them, such as "a photo of
    sks dog", and class images, such as of "a photo of a dog", it is DreamBooth (arXiv 2208.12242).

    Args:
        model: to train on; it stays as it is.
        dataset: pictures with captions; class images in it keep what the model knew.
        steps: of the optimizer.
        learning_rate: of the adapter.
        batch: pictures in one forward. As many class images come beside them.
        kind: lora; dora also learns how large each row is (arXiv 2402.09353); lokr and loha are products of other forms
            (arXiv 2309.14859); oft turns what comes into linear layers (arXiv 2306.07280).
        rank: of the matrices: more learn more, and make a larger file. Of oft it is the size of the blocks that turn.
        alpha: the factor on what is learned is alpha / rank; 0 means the rank. oft has none.
        targets: layers of the denoiser, by the ends of their names; or attention, which is the four that stand here
            at first, or attention+conv, with the convolutions and projections beside them.
        init: how the first matrices of lora and dora begin: gaussian as diffusers' scripts do, larger the lower the
            rank; or kaiming as PEFT and kohya do, which leaves more to what is learned.
        text_encoder: whether the attention of the text encoders (of SDXL, of both) learns too. Captions are then
            encoded at each step, and `texts` is not used. `train_options` can give it a learning rate of its own, by
            the group text_encoder.
        prior_weight: how much class images count.
        seed: of all random numbers of the training, the adapter's first ones among them.
        options: from `train_options`; without it, their defaults.
        latents: from `cache_latents`; without it, pictures are encoded here.
        texts: from `cache_text`; likewise.
        start: a checkpoint to go on from.
    """
    from weft.nodes.training.material import Material
    from weft.nodes.training.recipes.lora import LoraRecipe
    from weft.nodes.training.running import run_training
    from weft.nodes.training.trainer import Goal

    ctx, options = ctx or Context(), options or TrainOptions()
    material = Material(model, dataset, ctx, latents=latents, texts=texts, captions=not text_encoder)
    own = LoraSettings(kind, rank, alpha, tuple(targets), text_encoder, seed, init)
    recipe = LoraRecipe(model, material, options, own, prior_weight)
    return run_training(recipe, model, Goal(steps, learning_rate, batch, seed, start), options, ctx)
