"""Whatever a training learned, on a model."""

from __future__ import annotations

from typing import Annotated

from weft.engine import Context, Range, node
from weft.nodes.values import Model
from weft.nodes.values.training import Adapter


@node("apply_adapter", category="model", resource="io")
def apply_adapter(
    model: Model,
    adapter: Adapter,
    strength: Annotated[float, Range(-10.0, 10.0, usual=(-2.0, 2.0))] = 1.0,
    ctx: Context | None = None,
) -> Model:
    """Add what a training learned to a model: a LoRA, words, Custom Diffusion, whole weights, or a denoiser for edits.

    The model that comes in stays as it is; use the one that goes out for prompts too. `apply_lora` and the loaders take
    adapters too, and have more settings. Networks beside the denoiser go to their loaders: `load_controlnet`,
    `load_t2i_adapter` and `load_ip_adapter`.

    Args:
        model: of the family that the adapter was trained on, other adapters on it included.
        adapter: what a training node gave, or `load_adapter`. One of instruct-pix2pix makes a model of 8 channels,
            for `instruct_pix2pix`.
        strength: how much of it: 0 is none, 1 as it was trained. Learned words have no strength: leave it at 1.
    """
    from weft.nodes.techniques.wired import applied

    return applied(model, adapter, strength, ctx)
