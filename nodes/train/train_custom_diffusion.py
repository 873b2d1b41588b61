"""Train keys, values and words by Custom Diffusion (arXiv 2212.04488)."""

from __future__ import annotations

from typing import Annotated, Literal

from weft.engine import Context, Range, node
from weft.nodes.checks import model_of
from weft.nodes.training.inputs import Batch, PriorWeight, Rate, Seed, Steps, word_problems
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Checkpoint, Dataset, LatentCache


@node("train_custom_diffusion", category="training", resource="device", tags=(model_of("model"),), check=word_problems)
def train_custom_diffusion(
    model: Model,
    dataset: Dataset,
    tokens: list[str] = ["<concept>"],  # noqa: B006 - the signature is the schema
    init: list[str] = [],  # noqa: B006
    steps: Steps = 250,
    learning_rate: Rate = 1e-5,
    words_rate: Rate = 1e-5,
    batch: Batch = 2,
    freeze: Literal["crossattn_kv", "crossattn"] = "crossattn_kv",
    augment: bool = False,
    templates: Literal["object", "style", "none"] = "object",
    sentences: list[str] = [],  # noqa: B006
    prior_weight: PriorWeight = 1.0,
    words_decay: Annotated[float, Range(0.0, 1.0, usual=(0.0, 0.1))] = 0.0,
    seed: Seed = 0,
    options: TrainOptions | None = None,
    latents: LatentCache | None = None,
    start: Checkpoint | None = None,
    ctx: Context | None = None,
) -> Trained:
    """Teach a model one or several concepts: keys and values of its cross-attention, and a word each.

    Custom Diffusion (arXiv 2212.04488): fewer numbers than DreamBooth, and concepts that can be combined. Texts are
    read anew in each step, so there is no cache of texts.

    Args:
        model: to train on; it stays as it is.
        dataset: pictures of each concept, and class images, which keep what the model knew. Captions that have a token
            are used as they are, such as "photo of a <concept> dog".
        tokens: the new words, one for each concept; none learns keys and values alone.
        init: words that each token begins with, in the same order; a rare one is usual. None, or "", draws numbers
            like those of the model's words.
        steps: of the optimizer.
        learning_rate: of keys and values.
        words_rate: learning rate of the words' vectors.
        batch: pictures in one forward.
        freeze: what of the denoiser is left to learn: crossattn_kv keys and values of the cross-attention, crossattn
            all its projections.
        augment: show two pictures of three smaller on a grey canvas, which counts nothing, and the third from nearer,
            and begin captions with "a far away", "very small", "zoomed in" or "close up". Pictures are then encoded in
            each step.
        templates: sentences for pictures whose caption has no token, another one for each sample, for an object or
            for a style; none makes such captions an error.
        sentences: your own in their place, with {} where the word goes.
        prior_weight: how much class images count.
        words_decay: weight decay of the words' vectors, in place of that of the options.
        seed: of all random numbers of the training.
        options: from `train_options`; without it, their defaults.
        latents: from `cache_latents`; without it, pictures are encoded here.
        start: a checkpoint to go on from.
    """
    from weft.nodes.training.recipes.custom_diffusion import CustomDiffusionRecipe, CustomSettings
    from weft.nodes.training.running import run_training
    from weft.nodes.training.scaled import ScaledMaterial
    from weft.nodes.training.sentences import Sentences, WordMaterial
    from weft.nodes.training.trainer import Goal
    from weft.nodes.training.words import new_words

    ctx, options = ctx or Context(), options or TrainOptions()
    words = new_words(tokens, init, 1, "words")
    kind = ScaledMaterial if augment else WordMaterial
    material = kind(model, dataset, ctx, Sentences.of(tokens, templates, sentences), latents=latents)
    own = CustomSettings(words, freeze, words_rate, words_decay, seed)
    recipe = CustomDiffusionRecipe(model, material, options, own, prior_weight)
    return run_training(recipe, model, Goal(steps, learning_rate, batch, seed, start), options, ctx)
