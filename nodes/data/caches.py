"""Pictures and captions of a data set encoded once, for any number of trainings."""

from __future__ import annotations

from typing import Annotated

from weft.engine import Context, Output, node
from weft.nodes.checks import model_of
from weft.nodes.values import Model
from weft.nodes.values.training import Dataset, LatentCache, TextCache


@node("cache_latents", category="training", resource="device", tags=(model_of("model"),))
def cache_latents(
    model: Model, dataset: Dataset, conditions: bool = False, ctx: Context | None = None
) -> Annotated[LatentCache, Output("latents")]:
    """Encode the pictures of a data set with a model's VAE, each once: for several trainings on one data set.

    A training without it does the same by itself. What is kept is the distribution that the VAE gives, from which each
    step draws anew, so that a training with it learns the same to the last bit. Each picture is kept by itself: one
    more costs one. A picture that cannot be read is named in the log and passed over.

    Args:
        model: whose VAE encodes.
        dataset: whose pictures are encoded, in all their crops.
        conditions: the conditions of pairs too, as `train_instruct_pix2pix` needs them; hints are not encoded.
    """
    from weft.nodes.training.encoding import encode_latents

    return encode_latents(model, dataset, ctx or Context(), conditions=conditions)


@node("cache_text", category="training", resource="device", tags=(model_of("model"),))
def cache_text(model: Model, dataset: Dataset, ctx: Context | None = None) -> Annotated[TextCache, Output("texts")]:
    """Encode the captions of a data set with a model's text encoders, each different one once.

    A training without it does the same by itself, unless it trains the text encoders.

    Args:
        model: whose text encoders encode.
        dataset: whose captions are encoded, and the empty one, which stands in for captions that are dropped.
    """
    from weft.nodes.training.encoding import encode_texts

    return encode_texts(model, ["", *(item.caption for item in dataset.items)], ctx or Context())
