"""Which tokens of one prompt correspond to which of another (prompt-to-prompt's replacement and refinement)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from weft.nodes.values.prompt import Conditioning


def replaced(source: Conditioning, target: Conditioning) -> tuple[Tensor, Tensor]:
    """Word by word: the n-th of the target takes the n-th of the source.

    Where two words have different numbers of tokens, each of the target's takes an equal share of all of the source's.
    Returns the matrix (L, L), source tokens to target tokens, and which of the target's keep their own attention (L,).
    L is the length of the longer one: what fills up the shorter one counts as empty chunks of it.
    Raises ValueError for prompts with different numbers of words.
    """
    before, after = source.spans, target.spans
    if len(before) != len(after):
        raise ValueError(
            f"replacing needs as many words in the source as in the prompt, and they have {len(before)} and "
            f"{len(after)}: use edit `refine`"
        )
    matrix = _frame(source, target)
    for (_, first, end), (_, start, stop) in zip(before, after, strict=True):
        if end - first == stop - start:
            for offset in range(end - first):
                matrix[first + offset, start + offset] = 1.0
        else:
            matrix[first:end, start:stop] = 1.0 / (stop - start)
    return matrix, _without_source(matrix)


def refined(source: Conditioning, target: Conditioning) -> tuple[Tensor, Tensor]:
    """The longest sequence of tokens that both have: these take the source's, all others keep their own.

    Returns as `replaced` does.
    """
    matrix = _frame(source, target)
    before, after = (_word_places(prompt) for prompt in (source, target))
    pairs = _common([source.tokens[place] for place in before], [target.tokens[place] for place in after])
    for one, other in pairs:
        matrix[before[one], after[other]] = 1.0
    return matrix, _without_source(matrix)


def _frame(source: Conditioning, target: Conditioning) -> Tensor:
    """What both prompts have in each chunk: the start, the end, and the padding at places where both are padded."""
    length = max(source.text.shape[1], target.text.shape[1])
    chunk = min(source.chunk_length, target.chunk_length)
    matrix = torch.zeros(length, length)
    ends = [_ends(prompt, chunk, length) for prompt in (source, target)]
    for number, (one, other) in enumerate(zip(*ends, strict=True)):
        start, stop = number * chunk, (number + 1) * chunk
        matrix[start, start] = 1.0
        if max(one, other) < stop:
            matrix[one, other] = 1.0
        for place in range(max(one, other) + 1, stop):
            matrix[place, place] = 1.0
    return matrix


def _ends(prompt: Conditioning, chunk: int, length: int) -> list[int]:
    """The place of the token that ends the text, in each chunk."""
    ends = list(range(1, length, chunk))
    for _, _, end in prompt.spans:
        number = (end - 1) // chunk
        ends[number] = max(ends[number], end)
    return ends


def _word_places(prompt: Conditioning) -> list[int]:
    """The places of all tokens of the text, without start, end and padding of each chunk."""
    chunk = prompt.chunk_length
    ends = _ends(prompt, chunk, prompt.text.shape[1])
    return [place for number, end in enumerate(ends) for place in range(number * chunk + 1, end)]


def _without_source(matrix: Tensor) -> Tensor:
    return (matrix.sum(0) == 0).to(matrix.dtype)


def _common(source: Sequence[str], target: Sequence[str]) -> list[tuple[int, int]]:
    """Places of a longest common subsequence, by its lengths for all pairs of beginnings."""
    rows, columns = len(source) + 1, len(target) + 1
    lengths = [[0] * columns for _ in range(rows)]
    for i in range(1, rows):
        for j in range(1, columns):
            same = source[i - 1] == target[j - 1]
            lengths[i][j] = lengths[i - 1][j - 1] + 1 if same else max(lengths[i - 1][j], lengths[i][j - 1])
    pairs, i, j = [], rows - 1, columns - 1
    while i and j:
        if lengths[i][j] == lengths[i][j - 1]:
            j -= 1
        elif lengths[i][j] == lengths[i - 1][j]:
            i -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]
