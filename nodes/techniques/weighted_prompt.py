"""Prompts with weights on words, by compel's rules. No cost per step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from weft.engine import Context, NodeView, Problem, Range, Widget, node
from weft.engine.declaring.called import raised_by_node
from weft.nodes.checks import check_second_text
from weft.nodes.values import Conditioning, Model


def _check(view: NodeView) -> Iterator[Problem]:
    from weft.nodes.prompts.weighting import WeightingError, parse

    for input in ("text", "text_2"):
        text = view.literals.get(input)
        try:
            parse(text if isinstance(text, str) else "")
        except WeightingError as error:
            problem = Problem(code="bad_value", node=view.id, input=input, message=f"{error}.", given=text)
            yield raised_by_node(problem)
    yield from check_second_text(view)


@node(
    "weighted_prompt",
    version=2,  # a text longer than the encoder takes is no longer cut: equal inputs, other results
    category="prompt",
    migrations={1: dict},
    resource="device",
    check=_check,
)
def weighted_prompt(
    model: Model,
    text: Annotated[str, Widget("textarea")] = "",
    clip_skip: Annotated[int, Range(0, 40)] = 0,
    text_2: Annotated[str, Widget("textarea")] = "",
    ctx: Context | None = None,
) -> Conditioning:
    r"""Encode a prompt in which words, or groups of words, count more or less.

    word++ is 1.1 x 1.1, word-- is 0.9 x 0.9; (some words)1.3 and (some words:1.3) weigh a group; groups nest, and their
    weights multiply. ("one", "two").blend(0.7, 0.3) mixes prompts, ("one", "two").and(1, 0.8) puts them side by side,
    which is as many times longer; beside it, shorter prompts such as the negative one are filled up with the empty
    prompt. A backslash makes the next sign plain.

    A text longer than the encoder takes is encoded in chunks, as by encode_prompt. There all of these signs are plain
    letters.

    Args:
        model: the model that will be conditioned.
        text: the prompt. Weights are 0 or more; near 0 a word is as good as not there.
        clip_skip: how many of the text encoder's last layers to leave out; some checkpoints were trained with 1.
        text_2: what the second text encoder reads, with weights of its own, for SDXL alone; without it, `text`.
    """
    from weft.nodes.prompts.weighted import encode_weighted
    from weft.nodes.prompts.weighting import parse

    ctx = ctx or Context()
    with model.parts() as parts:
        second = parse(text_2) if text_2 else None
        return encode_weighted(parts, parse(text), text, clip_skip, ctx.log, prompt_2=second)
