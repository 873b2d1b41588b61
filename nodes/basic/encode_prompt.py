"""The node that turns words into conditioning."""

from __future__ import annotations

from typing import Annotated

from weft.engine import Context, Range, Widget, node
from weft.nodes.checks import encodes
from weft.nodes.values import Conditioning, Model


@node("encode_prompt", category="prompt", resource="device", tags=(encodes("text"),))
def encode_prompt(
    model: Model,
    text: Annotated[str, Widget("textarea")] = "",
    clip_skip: Annotated[int, Range(0, 40)] = 0,
    ctx: Context | None = None,
) -> Conditioning:
    """Encode a prompt with the model's own text encoders.

    A text longer than the encoder takes is cut, and the log says what was left out.

    Args:
        model: the model that will be conditioned.
        text: the prompt.
        clip_skip: how many of the text encoder's last layers to leave out; some checkpoints were trained with 1.
    """
    from weft.nodes.prompts.encode import encode

    ctx = ctx or Context()
    with model.parts() as parts:
        return encode(parts, text, clip_skip, ctx.log)
