"""Several encoded prompts as one, of which each image of a batch has its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from weft.nodes.values.prompt import Conditioning


def batched(prompts: Sequence[Conditioning]) -> Conditioning:
    """One prompt for each image of a batch; shorter ones are filled up to the longest, as beside it in a run.

    prompts: of one row each, or of some, which then count as so many.
    Raises ValueError for none, and for prompts of different models.
    """
    singles = [single for prompt in prompts for single in prompt.singles()]
    if not singles:
        raise ValueError("there is no prompt")
    if len(singles) == 1:
        return singles[0]
    _alike(singles)
    padding = _padding(singles)
    length = max(single.text.shape[1] for single in singles)
    states = [
        _filled(single.text, length, padding if padding is None or len(padding) == 1 else padding[row : row + 1])
        for row, single in enumerate(singles)
    ]
    pooled = [single.pooled for single in singles if single.pooled is not None]
    return Conditioning(
        text=torch.cat(states),
        pooled=torch.cat(pooled) if pooled else None,
        padding=padding,
        sizes=_sizes(singles),
        each=tuple((single.prompt, _lengthened(single.tokens, length), single.spans) for single in singles),
    )


def _alike(singles: Sequence[Conditioning]) -> None:
    """Raises ValueError for states that cannot stand in one tensor."""
    first = singles[0]
    for number, single in enumerate(singles[1:], start=2):
        same = single.text.shape[2] == first.text.shape[2] and single.text.dtype == first.text.dtype
        if not same or (single.pooled is None) != (first.pooled is None):
            raise ValueError(f"prompt {number} was encoded by another model than prompt 1: a batch has one model")
        if bool(single.sizes) != bool(first.sizes):
            with_sizes, without = (number, 1) if single.sizes else (1, number)
            raise ValueError(f"prompt {with_sizes} has sizes and prompt {without} has none: give all of them, or none")


def _padding(singles: Sequence[Conditioning]) -> Tensor | None:
    """What fills up each prompt, (1 or B, l, D): its own, else that of the longest; None where none has any."""
    known = [(single.text.shape[1], single.padding) for single in singles if single.padding is not None]
    if not known:
        return None
    _, other = max(known, key=lambda item: item[0])
    rows = [other if single.padding is None else single.padding for single in singles]
    if len({row.shape for row in rows}) > 1:
        raise ValueError("the prompts were encoded with different lengths: a batch has one model")
    return rows[0] if all(torch.equal(row, rows[0]) for row in rows[1:]) else torch.cat(rows)


def _filled(text: Tensor, length: int, padding: Tensor | None) -> Tensor:
    missing = length - text.shape[1]
    if not missing:
        return text
    if padding is None or missing % padding.shape[1]:
        raise ValueError(f"prompts of {text.shape[1]} and {length} tokens cannot be made equally long")
    return torch.cat([text, padding.repeat(1, missing // padding.shape[1], 1)], dim=1)


def _lengthened(tokens: tuple[str, ...], length: int) -> tuple[str, ...]:
    """Without names for what fills it up: it belongs to no word."""
    return tokens + ("",) * (length - len(tokens)) if tokens else ()


def _sizes(singles: Sequence[Conditioning]) -> tuple[tuple[int, int, int, int, int, int], ...]:
    rows = tuple(single.sizes[0] for single in singles if single.sizes)
    return rows[:1] if len(set(rows)) == 1 else rows
