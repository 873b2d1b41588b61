"""The node that gives each image of a batch a prompt of its own."""

from __future__ import annotations

from typing import Annotated

from weft.engine import Output, node
from weft.nodes.checks import prompt_of
from weft.nodes.values import Conditioning

MAX_IMAGES = 64
"""As many as a batch of `denoise` has."""


@node("batch_prompts", category="prompt", tags=(prompt_of("prompts"),))
def batch_prompts(prompts: list[Conditioning]) -> Annotated[Conditioning, Output("prompt")]:
    """Give each image of a batch a prompt of its own: the first prompt is that of the first image.

    It goes wherever one prompt goes, and `denoise.batch` is to be the number of prompts. Image k is drawn with seed +
    k, so it equals a run of its prompt and that seed alone. Of prompts of different lengths the shorter ones are filled
    up with the empty prompt, as they are beside one another in a run.

    Args:
        prompts: one for each image, encoded by one model; from 1 to 64. One prompt is for all images.
    """
    from weft.nodes.prompts.batch import batched

    prompts = [prompts] if isinstance(prompts, Conditioning) else list(prompts)
    if not prompts:
        raise ValueError("batch_prompts needs at least one prompt")
    count = sum(len(prompt.text) for prompt in prompts)
    if count > MAX_IMAGES:
        raise ValueError(f"{count} prompts: a batch has {MAX_IMAGES} images at most")
    return batched(prompts)
