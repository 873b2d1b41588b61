"""Words of a prompt by name: in a text, and as token spans of the encoded prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from weft.graphs.problems import near
from weft.nodes.values.prompt import Conditioning

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

WORD = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|(?:[^\s\w]|_)+")
"""As CLIP's tokenizers divide a text, before they divide words."""
LETTER = r"[^\W\d_]"
_END_OF_WORD = "</w>"


def token_spans(conditioning: Conditioning, subject: str) -> list[tuple[int, int]]:
    """The tokens of every place where a word, or several in a row, stand in a prompt: (first, one after the last).

    What goes on in the next chunk of a long prompt has a range in each.

    Raises ValueError where there is none, with the words that there are.
    """
    found = _token_spans(conditioning, subject)
    if not found:
        raise ValueError(unknown_word(subject, [word for word, _, _ in conditioning.spans]))
    return found


def spans_in_each(prompts: Sequence[Conditioning], subject: str) -> list[list[tuple[int, int]]]:
    """`token_spans` of the prompts of a batch; none in those that lack the words.

    Raises ValueError where all lack them, with the words that there are.
    """
    found = [_token_spans(prompt, subject) for prompt in prompts]
    if not any(found):
        raise ValueError(unknown_word(subject, [word for prompt in prompts for word, _, _ in prompt.spans]))
    return found


def _token_spans(conditioning: Conditioning, subject: str) -> list[tuple[int, int]]:
    wanted = _squeezed(subject)
    spans = conditioning.spans
    found: list[tuple[int, int]] = []
    for first in range(len(spans)):
        text = ""
        for last in range(first, len(spans)):
            text += _squeezed(spans[last][0])
            if text == wanted:
                found += _ranges([span[1:] for span in spans[first : last + 1]])
            if not wanted.startswith(text) or len(text) >= len(wanted):
                break
    return found


def _ranges(spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans that adjoin, joined."""
    joined = [spans[0]]
    for start, end in spans[1:]:
        if start == joined[-1][1]:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


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


def expand(tokenizer: CLIPTokenizer, text: str) -> str:
    """A text with each learned word of several vectors written out: ``<x>`` becomes ``<x> <x>_1 <x>_2``."""
    added = tokenizer.get_added_vocab()
    if not any(f"{token}_1" in added for token in added):
        return text

    def whole(found: re.Match[str]) -> str:
        tokens = [found[0]]
        while (following := f"{found[0]}_{len(tokens)}") in added:
            tokens.append(following)
        return " ".join(tokens)

    # The longest first, so that `<x>_1` as such stays as it is.
    return re.sub("|".join(re.escape(token) for token in sorted(added, key=len, reverse=True)), whole, text)


def word_spans(tokenizer: CLIPTokenizer, tokens: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    """The words of a tokenised prompt: (word, first token, one after its last), without start, end and padding.

    A learned word of several vectors is one word.
    """
    spans: list[tuple[str, int, int]] = []
    added = tokenizer.get_added_vocab()
    begin = 1
    for index, token in enumerate(tokens):
        if index == 0:
            continue
        if token == tokenizer.eos_token:
            if begin < index:  # the rest of a word that is divided
                spans.append((_whole(tokenizer, tokens[begin:index]), begin, index))
            break
        if spans and begin == index and token in added and token == f"{spans[-1][0]}_{index - spans[-1][1]}":
            spans[-1] = (spans[-1][0], spans[-1][1], index + 1)
            begin = index + 1
        elif token.endswith(_END_OF_WORD) or token in added:
            spans.append((_whole(tokenizer, tokens[begin : index + 1]), begin, index + 1))
            begin = index + 1
    return tuple(spans)


def _whole(tokenizer: CLIPTokenizer, tokens: Sequence[str]) -> str:
    return str(tokenizer.convert_tokens_to_string(list(tokens))).replace(_END_OF_WORD, "").strip()
