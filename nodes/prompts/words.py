"""Words of a prompt by name: in a text, and as token spans of the encoded prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence

from weft.graphs.problems import near
from weft.nodes.values.prompt import Conditioning

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


def _squeezed(text: str) -> str:
    return "".join(text.casefold().split())


def has_words(subject: str, text: str) -> bool:
    """Whether a text has these words; not in the middle of longer ones."""
    inner = r"\s*".join(re.escape(letter) for letter in _squeezed(subject))
    before = rf"(?<!{LETTER})" if re.match(LETTER, subject.strip()) else ""
    after = rf"(?!{LETTER})" if re.search(rf"{LETTER}$", subject.strip()) else ""
    return re.search(before + inner + after, text.casefold()) is not None
