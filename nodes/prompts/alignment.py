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
    for one, other in _common(source.tokens[1 : _end(source)], target.tokens[1 : _end(target)]):
        matrix[one + 1, other + 1] = 1.0
    return matrix, _without_source(matrix)


def _frame(source: Conditioning, target: Conditioning) -> Tensor:
    """What both prompts have: the start, the end, and the padding at places where both are padded."""
    length = target.text.shape[1]
    matrix = torch.zeros(length, length)
    ends = _end(source), _end(target)
    matrix[0, 0] = 1.0
    if max(ends) < length:
        matrix[ends[0], ends[1]] = 1.0
    for place in range(max(ends) + 1, length):
        matrix[place, place] = 1.0
    return matrix


def _end(conditioning: Conditioning) -> int:
    """The place of the token that ends the text."""
    return conditioning.spans[-1][2] if conditioning.spans else 1


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
