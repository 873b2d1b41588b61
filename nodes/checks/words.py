"""Words that techniques look for in prompts, as far as the prompts are written out in the document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from weft.engine import NodeView, Problem
from weft.nodes.checks.tags import BASE, PROMPT, argument, run_input, says
from weft.nodes.checks.techniques import runs_with, techniques_wired
from weft.nodes.prompts.words import WORD, has_words, unknown_word


def check_words(view: NodeView, input: str, subjects: Iterable[object], texts: Sequence[str]) -> Iterator[Problem]:
    """A problem for each subject that is in none of some prompts."""
    for subject in subjects:
        if not isinstance(subject, str) or not texts:
            continue
        if not subject.strip():
            yield Problem(
                code="bad_value", node=view.id, input=input, message="a word to look for is empty", given=subject
            )
        elif not any(has_words(subject, text) for text in texts):
            words = [word for text in texts for word in WORD.findall(text)]
            message = unknown_word(subject, words)
            yield Problem(code="bad_value", node=view.id, input=input, message=message, given=subject, expected=words)


def base_views(view: NodeView) -> Iterator[NodeView]:
    """The base terms, such as cfg, that a guidance node stands beside wherever it is wired, itself or wrapped."""
    for run in runs_with(view):
        for id, kind in techniques_wired(run, run_input(run.type, "guidance")):
            base = run.other(id) if says(kind, BASE) else None
            if base is not None:
                yield base


def prompt_texts(view: NodeView, input: str = "prompt") -> list[str]:
    """The texts of the prompts wired to an input, where they are written out in the document."""
    texts = []
    for id, kind in view.sources(input):
        source = argument(kind, PROMPT)
        encoder = view.other(id) if source is not None else None
        text = encoder.literals.get(source or "") if encoder is not None else None
        if isinstance(text, str):
            texts.append(text)
    return texts
