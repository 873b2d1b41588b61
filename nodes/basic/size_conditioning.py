"""The node that tells SDXL of what size a picture is to look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated

from weft.engine import NodeView, Output, Problem, Range, node
from weft.nodes.checks import described_model, prompt_of
from weft.nodes.values import Conditioning, Model

Pixels = Annotated[int, Range(0, 16384)]


def _check(view: NodeView) -> Iterable[Problem]:
    """A model that reads sizes."""
    model = described_model(view)
    if model is not None and model.family != "sdxl":
        yield Problem(
            code="bad_value",
            node=view.id,
            input="model",
            message=_misfit(model.family),
            given=model.family,
            expected="sdxl",
        )


def _misfit(family: str) -> str:
    return f"size_conditioning is for SDXL, which was trained with it; this model is {family}, which reads no sizes"


@node("size_conditioning", category="prompt", tags=(prompt_of("prompt"),), check=_check)
def size_conditioning(
    model: Model,
    prompt: Conditioning,
    original_width: Pixels = 0,
    original_height: Pixels = 0,
    crop_left: Pixels = 0,
    crop_top: Pixels = 0,
    target_width: Pixels = 0,
    target_height: Pixels = 0,
) -> Annotated[Conditioning, Output("prompt")]:
    """Tell SDXL what picture to make it look like: of which size, and how it was cropped (arXiv 2307.01952, 2.2).

    SDXL was trained with the sizes of its pictures beside their texts. A small original looks blurred, and cropping
    cuts the object off. The size of the picture that is made does not change; without this node, all sizes are its own
    and nothing is cropped. A negative prompt, and prompts of other techniques, that come without sizes take those of
    the prompt of `cfg`; give the negative one its own, such as a small original, to keep away from it.

    Args:
        model: the model that the prompt was encoded by; SDXL.
        prompt: the prompt to go with the sizes, or the negative one.
        original_width: of the picture before it was scaled and cropped; 0 is the width of the picture that is made.
        original_height: likewise.
        crop_left: how many columns were cropped off at the left.
        crop_top: how many rows were cropped off at the top.
        target_width: of the picture after that; 0 is the width of the picture that is made.
        target_height: likewise.
    """
    if model.family != "sdxl":
        raise ValueError(_misfit(model.family))
    sizes = (original_height, original_width, crop_top, crop_left, target_height, target_width)
    return replace(prompt, sizes=(sizes,))
