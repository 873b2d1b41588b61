"""Train new words by textual inversion (arXiv 2208.01618)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from weft.engine import Context, NodeView, Problem, Range, node
from weft.nodes.checks import model_of
from weft.nodes.training.inputs import Batch, Rate, Seed, Steps, word_problems
from weft.nodes.values import Model
from weft.nodes.values.train_options import TrainOptions
from weft.nodes.values.trained import Trained
from weft.nodes.values.training import Checkpoint, Dataset, LatentCache


def _check(view: NodeView) -> Iterator[Problem]:
    yield from word_problems(view)
    if view.literals.get("tokens") == []:
        message = "there is no token: name the word that is learned, such as <concept>"
        yield Problem(code="bad_value", node=view.id, input="tokens", message=message, given=[])


@node("train_textual_inversion", category="training", resource="device", tags=(model_of("model"),), check=_check)
def train_textual_inversion(
    model: Model,
    dataset: Dataset,
    tokens: list[str] = ["<concept>"],  # noqa: B006 - the signature is the schema
    init: list[str] = [],  # noqa: B006
    init_by: Literal["words", "mean"] = "words",
    steps: Steps = 2000,
    learning_rate: Rate = 5e-4,
    batch: Batch = 1,
    vectors: Annotated[int, Range(1, 64, usual=(1, 16))] = 1,
    templates: Literal["object", "style", "none"] = "object",
    sentences: list[str] = [],  # noqa: B006
    hold_norm: Annotated[float, Range(0.0, 100.0, usual=(0.0, 2.0))] = 0.0,
    weight_decay: Annotated[float, Range(0.0, 1.0, usual=(0.0, 0.1))] = 0.0,
    seed: Seed = 0,
    options: TrainOptions | None = None,
    latents: LatentCache | None = None,
    start: Checkpoint | None = None,
    ctx: Context | None = None,
) -> Trained:
    """Teach a model new words for what pictures show (textual inversion, arXiv 2208.01618). The model stays as it is.

    Only the words' vectors learn. Texts are read anew in each step, so there is no cache of texts; class images in the
    data set are passed over, because nothing of the model can be forgotten.

    Args:
        model: to train on; its words and weights stay as they are.
        dataset: pictures. Captions that have a token are used as they are.
        tokens: how prompts call the new words, such as <concept>. A picture whose caption has none of them is called
            by that of its concept's number.
        init: words that each token begins with, in the same order; none, or "", draws numbers like those of the model's
            words.
        init_by: words divides several words among a token's vectors in their order, and repeats them where there are
            fewer; mean begins all vectors with their mean.
        steps: of the optimizer.
        learning_rate: of the vectors.
        batch: pictures in one forward.
        vectors: how many stand for each token; each takes a place of the prompt.
        templates: sentences for pictures whose caption has no token, another one for each sample, for an object or for
            a style; none makes such captions an error.
        sentences: your own in their place, with {} where the word goes.
        hold_norm: by which share the length of a vector may leave that of its beginning, such as 0.5; 0 is any.
        weight_decay: of the vectors, in place of that of the options.
        seed: of all random numbers of the training.
        options: from `train_options`; without it, their defaults.
        latents: from `cache_latents`; without it, pictures are encoded here.
        start: a checkpoint to go on from.
    """
    from weft.nodes.training.recipes.textual_inversion import InversionSettings, TextualInversionRecipe
    from weft.nodes.training.running import run_training
    from weft.nodes.training.sentences import Sentences, WordMaterial
    from weft.nodes.training.trainer import Goal
    from weft.nodes.training.words import new_words

    ctx, options = ctx or Context(), options or TrainOptions()
    words = new_words(tokens, init, vectors, init_by)
    captions = Sentences.of(tokens, templates, sentences)
    material = WordMaterial(model, dataset, ctx, captions, latents=latents, classes=False)
    recipe = TextualInversionRecipe(model, material, options, InversionSettings(words, hold_norm, weight_decay, seed))
    return run_training(recipe, model, Goal(steps, learning_rate, batch, seed, start), options, ctx)
