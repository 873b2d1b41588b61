"""Words of a prompt by name: in the text before a run, and as token spans of the encoded prompt in it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from weft.engine import NodeView, Problem
from weft.graphs.problems import near
from weft.nodes.checks import BASE, WRAPS, techniques_wired
from weft.nodes.values import Conditioning

WORD = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|(?:[^\s\w]|_)+")
"""As CLIP's tokenizers divide a text, before they divide words."""
LETTER = r"[^\W\d_]"


def token_spans(conditioning: Conditioning, subject: str) -> list[tuple[int, int]]:
    """The tokens of every place where a word, or several in a row, stand in a prompt: (first, one after the last).

    Raises ValueError where there is none, with the words that there are.
    """
    wanted = _squeezed(subject)
    spans = conditioning.spans
    found = []
    for first in range(len(spans)):
        text = ""
        for last in range(first, len(spans)):
            text += _squeezed(spans[last][0])
            if text == wanted:
                found.append((spans[first][1], spans[last][2]))
            if not wanted.startswith(text) or len(text) >= len(wanted):
                break
    if not found:
        raise ValueError(unknown_word(subject, [word for word, _, _ in spans]))
    return found


def unknown_word(subject: str, words: Sequence[str]) -> str:
    """What to say about a word that is not in a prompt."""
    if not words:
        return f"{subject!r} cannot be found: the prompt has no words"
    listed = ", ".join(dict.fromkeys(words))
    close = near(subject.casefold(), list(words))
    hint = f"; did you mean {close!r}?" if close else ""
    return f"{subject!r} is not in the prompt, whose words are: {listed}{hint}"


def check_words(view: NodeView, input: str, subjects: Iterable[object], texts: Sequence[str]) -> Iterator[Problem]:
    """A problem for each subject that is in none of some prompts."""
    for subject in subjects:
        if not isinstance(subject, str) or not texts:
            continue
        if not subject.strip():
            yield Problem(
                code="bad_value", node=view.id, input=input, message="a word to look for is empty", given=subject
            )
        elif not any(_within(subject, text) for text in texts):
            words = [word for text in texts for word in WORD.findall(text)]
            message = unknown_word(subject, words)
            yield Problem(code="bad_value", node=view.id, input=input, message=message, given=subject, expected=words)


def base_views(view: NodeView) -> Iterator[NodeView]:
    """The base terms, such as cfg, that a guidance node stands beside wherever it is wired, itself or wrapped."""
    pending, seen = [view], {view.id}
    while pending:
        for user in pending.pop().users():
            if WRAPS in user.type.tags:
                if user.id not in seen:
                    seen.add(user.id)
                    pending.append(user)
                continue
            for id, kind in techniques_wired(user, "guidance"):
                base = user.other(id) if BASE in kind.tags else None
                if base is not None:
                    yield base


def prompt_texts(view: NodeView, input: str = "prompt") -> list[str]:
    """The texts of the prompts wired to an input, where they are written out in the document."""
    found = []
    for id, kind in view.sources(input):
        encoder = view.other(id) if kind.name == "encode_prompt" else None
        text = encoder.literals.get("text") if encoder is not None else None
        if isinstance(text, str):
            found.append(text)
    return found


def _squeezed(text: str) -> str:
    return "".join(text.casefold().split())


def _within(subject: str, text: str) -> bool:
    """Whether a text has these words; not in the middle of longer ones."""
    inner = r"\s*".join(re.escape(letter) for letter in _squeezed(subject))
    before = rf"(?<!{LETTER})" if re.match(LETTER, subject.strip()) else ""
    after = rf"(?!{LETTER})" if re.search(rf"{LETTER}$", subject.strip()) else ""
    return re.search(before + inner + after, text.casefold()) is not None
