"""A prompt in tokens: cut where the text encoder ends, or divided into chunks of the encoder's length.

A long prompt is divided as compel does it by default: after the last sentence that fits, else after the last of a
comma, colon or semicolon, else after a word, and only where a word alone is too long within it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from weft.nodes.prompts.words import expand, word_spans
from weft.nodes.values.prompt import Words

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]
Fragments = Sequence[tuple[str, float]]
"""Pieces of a text, each with the weight of its words."""

MAX_CHUNKS = 32
"""Of one prompt: every one costs a call of each text encoder, and lengthens all rows of the denoiser."""
_SENTENCE = (".</w>",)
_PHRASE = (".</w>", ",</w>", ";</w>", ":</w>")
_WORD = "</w>"


@dataclass(frozen=True)
class Chunk:
    """As many tokens as the text encoder takes.

    ids: (1, l), start, end and padding included. weights: (l,), of each token. end: the place of the end token.
    ranges: (number of the fragment, first token, one after its last) of what it holds of each fragment.
    """

    ids: Tensor
    weights: Tensor
    end: int
    ranges: tuple[tuple[int, int, int], ...]

    @property
    def seen(self) -> Tensor:
        """(1, l), 1 for all but the padding."""
        return (torch.arange(self.ids.shape[1])[None] <= self.end).long()


def chunks_of(tokenizer: CLIPTokenizer, fragments: Fragments, cut: bool, log: Log | None = None) -> list[Chunk]:
    """The chunks of a prompt, one at least. Fragments are tokenised apart and joined.

    cut: keep the first encoder's length of tokens, and tell the log what was left out.
    Raises ValueError for a prompt of more than `MAX_CHUNKS`.
    """
    room = tokenizer.model_max_length - 2
    ids: list[int] = []
    owners: list[int] = []
    for number, (text, _) in enumerate(fragments):
        own = tokenizer(expand(tokenizer, text), add_special_tokens=False, verbose=False).input_ids
        ids += own
        owners += [number] * len(own)
    if cut and len(ids) > room:
        if log is not None:
            lost = str(tokenizer.decode(ids[room:])).strip()
            log.warning("the prompt has %d tokens and the text encoder takes %d: left out is %r", len(ids), room, lost)
        del ids[room:], owners[room:]
    starts = [0]
    if len(ids) > room:
        starts = _starts(tokenizer.convert_ids_to_tokens(ids), room)
        if log is not None:
            log.info("the prompt has %d tokens: it is encoded in %d chunks of up to %d", len(ids), len(starts), room)
    weights = [weight for _, weight in fragments]
    ends = [*starts[1:], len(ids)]
    return [
        _chunk(tokenizer, ids[start:end], owners[start:end], weights) for start, end in zip(starts, ends, strict=True)
    ]


def _starts(tokens: Sequence[str], room: int) -> list[int]:
    """Where each chunk begins."""
    starts = [0]
    while len(tokens) - starts[-1] > room:
        if len(starts) == MAX_CHUNKS:
            raise ValueError(
                f"the prompt has {len(tokens):,} tokens, which need more than {MAX_CHUNKS} chunks of {room}: shorten it"
            )
        starts.append(starts[-1] + _split(tokens[starts[-1] : starts[-1] + room]))
    return starts


def _split(tokens: Sequence[str]) -> int:
    """How many of the tokens that fit belong to this chunk."""
    for ends in (_SENTENCE, _PHRASE):
        for place in range(len(tokens), 0, -1):
            if tokens[place - 1] in ends:
                return place
    return next((place for place in range(len(tokens), 0, -1) if tokens[place - 1].endswith(_WORD)), len(tokens))


def _chunk(tokenizer: CLIPTokenizer, ids: list[int], owners: list[int], weights: Sequence[float]) -> Chunk:
    padding = tokenizer.model_max_length - 2 - len(ids)
    whole = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id, *[tokenizer.pad_token_id] * padding]
    factors = [1.0, *(weights[owner] for owner in owners), 1.0, *[1.0] * padding]
    ranges = []
    for owner in dict.fromkeys(owners):
        first = 1 + owners.index(owner)
        ranges.append((owner, first, first + owners.count(owner)))
    return Chunk(torch.tensor([whole]), torch.tensor(factors), 1 + len(ids), tuple(ranges))


def words_of(tokenizer: CLIPTokenizer, text: str, chunks: Sequence[Chunk]) -> Words:
    """The text with the tokens of all its chunks and the spans of its words in them."""
    tokens: list[str] = []
    spans: list[tuple[str, int, int]] = []
    for chunk in chunks:
        own = tokenizer.convert_ids_to_tokens(chunk.ids[0].tolist())
        spans += [(word, len(tokens) + start, len(tokens) + end) for word, start, end in word_spans(tokenizer, own)]
        tokens += own
    return text, tuple(tokens), tuple(spans)
