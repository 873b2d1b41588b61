"""Words that techniques look for in prompts, as far as the prompts are written out in the document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from weft.engine import NodeView, Problem
from weft.nodes.checks.tags import BASE, PROMPT, PROMPT_OF, argument, run_input, says
from weft.nodes.checks.techniques import runs_with, techniques_wired
from weft.nodes.checks.upstream import described_model
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
    """The texts of the prompts that come to an input, where all of them are written out in the document.

    It looks through nodes that hand on the prompts at one of their inputs; a node is looked at once.
    """
    texts: dict[str, str] = {}
    seen = {view.id}
    waiting = [(view, input)]
    while waiting:
        taker, name = waiting.pop()
        for id, kind in taker.sources(name):
            if id in seen:
                continue
            seen.add(id)
            source, handed, maker = argument(kind, PROMPT), argument(kind, PROMPT_OF), taker.other(id)
            text = maker.literals.get(source) if maker is not None and source is not None else None
            if maker is not None and handed is not None:
                waiting.append((maker, handed))
            elif isinstance(text, str):
                texts[id] = text
            else:
                return []
    return list(texts.values())


def check_second_text(view: NodeView) -> Iterator[Problem]:
    """A problem for a text at `text_2` where the model at `model` has one text encoder."""
    text = view.literals.get("text_2")
    model = described_model(view) if isinstance(text, str) and text else None
    if model is not None and model.family != "sdxl":
        message = f"text_2 is what SDXL's second text encoder reads; this model is {model.family}"
        yield Problem(
            code="bad_value", node=view.id, input="text_2", message=message, given=model.family, expected="sdxl"
        )
