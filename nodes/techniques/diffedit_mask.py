"""DiffEdit's mask (arXiv 2210.11427, step 1): where two prompts would have the image differ.

Cost: one forward, two rows per noise; four where both prompts have negatives of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from weft.engine import Context, Range, Widget, node
from weft.nodes.checks import check_picture
from weft.nodes.values import Conditioning, Control, Image, Latents, Mask, Model

if TYPE_CHECKING:
    from torch import Tensor


@node(
    "diffedit_mask",
    version=2,  # old folders' schedulers, prompts of two lengths: equal inputs, other results
    category="mask",
    resource="device",
    migrations={1: dict},
    check=check_picture,
)
def diffedit_mask(
    model: Model,
    source: Conditioning,
    target: Conditioning,
    image: Image | None = None,
    latents: Latents | None = None,
    negative_source: Conditioning | None = None,
    negative_target: Conditioning | None = None,
    scale: Annotated[float, Range(0.0, 100.0, usual=(1.0, 12.0))] = 7.5,
    controls: list[Control] = [],  # noqa: B006 - the signature is the schema; it is never changed
    maps: Annotated[int, Range(1, 64)] = 10,
    strength: Annotated[float, Range(0.0, 1.0)] = 0.5,
    ratio: Annotated[float, Range(0.1, 100.0)] = 3.0,
    threshold: Annotated[float, Range(0.0, 1.0)] = 0.5,
    steps: Annotated[int, Range(1, 999, usual=(10, 100))] = 50,
    seed: Annotated[int, Range(0, 2**63 - 1), Widget("seed")] = 0,
    ctx: Context | None = None,
) -> Mask:
    """Find what to change in an image, from what it shows and what it should show (DiffEdit, arXiv 2210.11427).

    The image is noised several times; where the predictions for the two prompts differ, the mask is 1. It is of the
    image's size and can go wherever a mask goes: `diffedit`, `denoise.mask`, `composite`. Prompts that predict the
    same give an empty mask.

    Args:
        model: the denoiser.
        source: a prompt that describes the image.
        target: a prompt that describes what it should become.
        image: what to look at; its sides have to be multiples of 8 pixels.
        latents: in place of `image`, from `encode_image` or `denoise`.
        negative_source: a negative prompt for `source`. Negatives matter only where the two differ: else they cancel
            out, and are not evaluated.
        negative_target: a negative prompt for `target`; without it, that of `source`.
        scale: of classifier-free guidance, for negatives that differ.
        controls: what adds to the denoiser's input or inner states.
        maps: how many noises to average over.
        strength: how much noise: the level at which image-to-image of this strength begins.
        ratio: differences are cut off at this many times their mean.
        threshold: the share of that limit above which a pixel is to be changed.
        steps: number of steps of the schedule in which `strength` is looked up.
        seed: of the noises; image k of a batch has seed + k.
    """
    from weft.nodes.sampling.begin import clean_latents
    from weft.nodes.sampling.diffedit import difference_mask

    ctx = ctx or Context()
    controls = [controls] if isinstance(controls, Control) else list(controls)
    clean = clean_latents(model, image, latents, ctx)
    negatives = None
    if scale > 1 and negative_target is not None and negative_target is not negative_source:
        negatives = (negative_source, negative_target)
    found = difference_mask(
        model,
        clean,
        (source, target),
        negatives,
        scale=scale,
        controls=controls,
        maps=maps,
        strength=strength,
        ratio=ratio,
        threshold=threshold,
        steps=steps,
        seed=seed,
        ctx=ctx,
    )
    return Mask(_enlarged(found, model.scale_factor))


def _enlarged(small: Tensor, scale: int) -> Tensor:
    """(B, h, w) to pixel size, so that it fits the image; sampled down again it is the same."""
    return small.repeat_interleave(scale, dim=1).repeat_interleave(scale, dim=2)
