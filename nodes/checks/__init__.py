"""What can be told of nodes and techniques before anything runs: from the document, and from what nodes say themselves.

`tags` has the declarations that any pack's nodes can carry, `techniques` and `fit` what nodes with the denoise loop
ask, `upstream` what is known of a model or picture that comes to an input, `words` what is known of prompts. No torch.
"""

from weft.nodes.checks.fit import check_fit, check_net
from weft.nodes.checks.tags import (
    BASE,
    CHANNELS,
    SIZE_OF_RUN,
    SOURCE,
    START,
    VIEWS,
    WRAPS,
    adds_channels,
    denoises,
    encodes,
    latents_of,
    misdeclared,
    model_named,
    model_of,
    names_net,
    prompt_of,
    same_size,
    says,
    size_given,
    size_of,
    size_of_file,
    size_unknown_if,
    starts_from,
)
from weft.nodes.checks.techniques import (
    check_picture,
    check_techniques,
    runs_with,
    steps_of,
    techniques_of,
    techniques_wired,
)
from weft.nodes.checks.upstream import described_model, sizes_at, sizes_of
from weft.nodes.checks.words import base_views, check_second_text, check_words, prompt_texts

__all__ = [
    "BASE",
    "CHANNELS",
    "SIZE_OF_RUN",
    "SOURCE",
    "START",
    "VIEWS",
    "WRAPS",
    "adds_channels",
    "base_views",
    "check_fit",
    "check_net",
    "check_picture",
    "check_second_text",
    "check_techniques",
    "check_words",
    "denoises",
    "described_model",
    "encodes",
    "latents_of",
    "misdeclared",
    "model_named",
    "model_of",
    "names_net",
    "prompt_of",
    "prompt_texts",
    "runs_with",
    "same_size",
    "says",
    "size_given",
    "size_of",
    "size_of_file",
    "size_unknown_if",
    "sizes_at",
    "sizes_of",
    "starts_from",
    "steps_of",
    "techniques_of",
    "techniques_wired",
]
