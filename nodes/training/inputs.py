"""Inputs that several nodes of trainings share, and what their checks say of them. Light at import."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

from weft.engine import NodeView, Problem, Range, Widget
from weft.nodes.models.bundled import IMAGE_ENCODERS
from weft.nodes.models.sources import problems

Steps = Annotated[int, Range(1, 1_000_000, usual=(100, 5000))]
RewardSteps = Annotated[int, Range(1, 1_000_000, usual=(10, 1000))]
"""Of trainings by rewards, of which fewer do."""
Rate = Annotated[float, Range(0.0, 10.0, usual=(0.0, 0.01))]
Batch = Annotated[int, Range(1, 1024, usual=(1, 64))]
PriorWeight = Annotated[float, Range(0.0, 100.0, usual=(0.0, 2.0))]
Rank = Annotated[int, Range(1, 1024, usual=(1, 128))]
Alpha = Annotated[float, Range(0.0, 1024.0, usual=(0.0, 128.0))]
SamplingSteps = Annotated[int, Range(1, 1000, usual=(5, 50))]
Guidance = Annotated[float, Range(0.0, 100.0, usual=(1.0, 10.0))]
Eta = Annotated[float, Range(0.0, 1.0)]
Seed = Annotated[int, Range(0, 2**63 - 1), Widget("seed")]
ClipSource = Annotated[str, Widget("model", names=tuple(IMAGE_ENCODERS))]


def prompt_problems(view: NodeView) -> Iterator[Problem]:
    """For a node's check: no prompt is given in the input `prompts`."""
    if view.literals.get("prompts") == []:
        message = "there is no prompt to make pictures for: give one or more"
        yield Problem(code="bad_value", node=view.id, input="prompts", message=message, given=[])


def word_problems(view: NodeView) -> Iterator[Problem]:
    """For a node's check: what is wrong with `tokens`, `init` and `sentences`, which say what words are learned."""
    tokens, init = view.literals.get("tokens"), view.literals.get("init")
    if isinstance(tokens, list):
        for number, token in enumerate(tokens):
            if not isinstance(token, str):
                continue
            if not token.strip() or any(letter.isspace() for letter in token):
                message = f"{token!r} is no token: give one without spaces, such as <concept>"
            elif token in tokens[:number]:
                message = f"{token!r} is there twice: each word has a token of its own"
            else:
                continue
            yield Problem(code="bad_value", node=view.id, input="tokens", message=message, given=tokens)
    if isinstance(tokens, list) and isinstance(init, list) and init and len(init) != len(tokens):
        message = f"{len(init)} texts are given for {len(tokens)} tokens: give one each, or none"
        yield Problem(code="bad_value", node=view.id, input="init", message=message, given=init)
    sentences = view.literals.get("sentences")
    for sentence in sentences if isinstance(sentences, list) else ():
        if isinstance(sentence, str) and "{}" not in sentence:
            message = f"{sentence!r} has no {{}}, where the word goes"
            yield Problem(code="bad_value", node=view.id, input="sentences", message=message, given=sentences)


def clip_check(needs_text: bool) -> Callable[[NodeView], Iterator[Problem]]:
    """The check of a node with the input `clip`: there is one of that name, with a text encoder if one is needed."""

    def check(view: NodeView) -> Iterator[Problem]:
        def look(text: str) -> None:
            from weft.nodes.training.rewards.clip import find_clip

            find_clip(text, needs_text, view.resolve)

        yield from problems(view, "clip", look, f"{', '.join(IMAGE_ENCODERS)}, or the folder of a CLIP")

    return check
