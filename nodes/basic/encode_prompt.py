"""The node that turns words into conditioning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from weft.engine import Context, NodeView, Problem, Range, Widget, node
from weft.nodes.checks import check_second_text, encodes
from weft.nodes.values import Conditioning, Model


def _check(view: NodeView) -> Iterable[Problem]:
    """A second text only for a model that reads one."""
    yield from check_second_text(view)


@node(
    "encode_prompt",
    version=2,  # a text longer than the encoder takes is no longer cut: equal inputs, other results
    category="prompt",
    migrations={1: dict},
    resource="device",
    tags=(encodes("text"),),
    check=_check,
)
def encode_prompt(
    model: Model,
    text: Annotated[str, Widget("textarea")] = "",
    clip_skip: Annotated[int, Range(0, 40)] = 0,
    text_2: Annotated[str, Widget("textarea")] = "",
    ctx: Context | None = None,
) -> Conditioning:
    """Encode a prompt with the model's own text encoders.

    A text longer than the encoder takes (75 tokens) is encoded in chunks, which stand one after the other; it is
    divided at the end of a sentence, else at a comma, else between words. Shorter prompts beside it, such as the
    negative one, are filled up with the empty prompt. The pooled states of SDXL are those of the first chunk. A prompt
    can have 32 chunks.

    Args:
        model: the model that will be conditioned.
        text: the prompt.
        clip_skip: how many of the text encoder's last layers to leave out; some checkpoints were trained with 1.
        text_2: what the second text encoder reads, for SDXL alone; without it, `text`. Techniques that look for words
            look in `text`.
    """
    from weft.nodes.prompts.encode import encode

    ctx = ctx or Context()
    with model.parts() as parts:
        return encode(parts, text, clip_skip, ctx.log, text_2=text_2)
