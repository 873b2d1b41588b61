"""What a training gave, on a model: as a file of the same content would be."""

from __future__ import annotations

import dataclasses

from weft.engine import Context
from weft.nodes.values import Model
from weft.nodes.values.training import Adapter
from weft.nodes.weights.adapters import require

KINDS = ("lora", "embedding", "custom_diffusion", "weights", "unet_delta")
"""Kinds of adapters that change a model. Others are networks beside the denoiser, which control nodes take."""


def applied(model: Model, adapter: Adapter, strength: float = 1.0, ctx: Context | None = None) -> Model:
    """The model with an adapter: a value like any other model, which holds the adapter's tensors.

    Args:
        model: of the family that the adapter was trained on. It stays as it is.
        adapter: of a kind in `KINDS`.
        strength: 0 is none of it, 1 as it was trained. Learned words have none: it must be 1.
        ctx: for warnings.

    Raises:
        ModelError: the adapter is of another kind, for another model family, or its shapes do not fit.
        ValueError: learned words are given a strength.
    """
    from weft.nodes.techniques.apply_lora import Amount, with_loras
    from weft.nodes.techniques.load_custom_diffusion import with_custom_diffusion
    from weft.nodes.techniques.load_dreambooth import with_weights
    from weft.nodes.techniques.load_textual_inversion import wired_words

    ctx = ctx or Context()
    require(adapter, KINDS, model)
    if adapter.kind == "lora":
        strengths = dict.fromkeys(("unet", "text_encoder", "text_encoder_2"), strength)
        return with_loras(ctx, model, (), [adapter], Amount(strengths=strengths))
    if adapter.kind == "embedding":
        if strength != 1:
            raise ValueError(f"learned words have no strength, and {strength} is given: leave it at 1")
        return dataclasses.replace(model, patches=(*model.patches, *wired_words(ctx, model, adapter)))
    if adapter.kind == "custom_diffusion":
        return with_custom_diffusion(ctx, model, adapter, strength=strength)
    return with_weights(model, adapter, strength)
