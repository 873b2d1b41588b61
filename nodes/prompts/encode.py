"""From a prompt to the states that the denoiser attends to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from weft.nodes.prompts.chunks import Chunk, Fragments, Log, chunks_of, words_of
from weft.nodes.values.prompt import Conditioning, Words

if TYPE_CHECKING:
    from weft.nodes.models.parts import Parts
    from weft.nodes.values.model import Model

_log = logging.getLogger("weft.models")


def encode(
    parts: Parts, text: str, clip_skip: int = 0, log: Log = _log, *, text_2: str = "", cut: bool = False
) -> Conditioning:
    """Encode one prompt.

    SD 1.x and 2.x: the last states, after the final norm. SDXL: the states before the last layer of both encoders,
    joined, and the pooled projection of the second, of a long prompt's first chunk.

    Args:
        clip_skip: how many of the encoder's last layers to leave out (of SDXL: one more than it does by itself).
        log: is told how a long text is divided, or what was cut off.
        text_2: what SDXL's second encoder reads; "" is the same text.
        cut: keep of a long text what one chunk holds, for what compares texts place by place.

    Returns:
        text (1, L, D) and pooled (1, P) on the CPU in the encoder's dtype; L is a multiple of the encoder's positions.

    Raises:
        ValueError: the text is too long for all chunks, or `text_2` is given to a model with one encoder.
    """
    encoders = encoders_of(parts, clip_skip, log)
    check_second(parts.model, text_2)
    texts = (text, text_2 or text)
    found = [
        encoder.joined(encoder.chunks([(own, 1.0)], cut), own) for encoder, own in zip(encoders, texts, strict=False)
    ]
    return conditioning(encoders, found, text)


def check_second(model: Model, text_2: str) -> None:
    """Raises ValueError for a second text where there is no second encoder."""
    if text_2 and model.family != "sdxl":
        raise ValueError(f"text_2 is what SDXL's second text encoder reads; {model.source!r} is {model.family}")


@dataclass(frozen=True, eq=False)
class Encoded:
    """A text as one encoder reads it: states (1, L, D), perhaps the pooled ones (1, P), on the CPU, and its words."""

    states: Tensor
    pooled: Tensor | None
    words: Words


class TextEncoder:
    """One of a model's text encoders with its tokenizer. The model's parts have to be held as long as it is used."""

    def __init__(self, parts: Parts, number: int, clip_skip: int, log: Log) -> None:
        self.tokenizer: Any = parts.tokenizers[number]
        self._encoder: Any = parts.text_encoders[number]
        self._family = parts.model.family
        self._device = parts.device
        self._clip_skip = clip_skip
        # Both of SDXL's tokenizers divide at the same place: once is enough.
        self._log = log if number == 0 else None

    def chunks(self, fragments: Fragments, cut: bool = False) -> list[Chunk]:
        """The chunks of a text in pieces with weights."""
        return chunks_of(self.tokenizer, fragments, cut, self._log)

    @torch.no_grad()
    def read(self, chunk: Chunk, visible: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """States (1, l, D) of a chunk, and its pooled ones. visible: (1, l), 0 where a token is not to be seen."""
        seen = chunk.seen if getattr(self._encoder.config, "use_attention_mask", False) else None
        if visible is not None:
            seen = visible if seen is None else seen * visible
        return encoder_states(self._family, self._encoder, chunk.ids.to(self._device), seen, self._clip_skip)

    def joined(self, chunks: Sequence[Chunk], text: str) -> Encoded:
        """All chunks one after the other; the pooled states are the first one's."""
        found = [self.read(chunk) for chunk in chunks]
        states = torch.cat([state.cpu() for state, _ in found], dim=1)
        return self.encoded(states, found[0][1], chunks, text)

    def encoded(self, states: Tensor, pooled: Tensor | None, chunks: Sequence[Chunk], text: str) -> Encoded:
        """States of some chunks, with their words."""
        return Encoded(states, None if pooled is None else pooled.cpu(), words_of(self.tokenizer, text, chunks))

    @cached_property
    def empty(self) -> Encoded:
        """The empty prompt, one chunk of it."""
        return self.joined(self.chunks([]), "")

    @cached_property
    @torch.no_grad()
    def origin(self) -> Tensor:
        """(1, l, D), where weights move states away from: the empty prompt's with its padding seen, on the device."""
        (chunk,) = self.chunks([])
        return encoder_states(self._family, self._encoder, chunk.ids.to(self._device), None, self._clip_skip)[0].float()

    def filled(self, item: Encoded, length: int) -> Encoded:
        """A text with chunks of the empty prompt up to a length of tokens."""
        times = (length - item.states.shape[1]) // self.empty.states.shape[1]
        if not times:
            return item
        text, tokens, spans = item.words
        words = (text, tokens + self.empty.words[1] * times, spans)
        return Encoded(torch.cat([item.states, *[self.empty.states] * times], dim=1), item.pooled, words)


def encoders_of(parts: Parts, clip_skip: int, log: Log) -> list[TextEncoder]:
    """The text encoders of a model: one, or for SDXL two."""
    return [TextEncoder(parts, number, clip_skip, log) for number in range(len(parts.text_encoders))]


def conditioning(encoders: Sequence[TextEncoder], found: Sequence[Encoded], prompt: str) -> Conditioning:
    """What all encoders of a model read, side by side; the words are the first one's."""
    length = max(item.states.shape[1] for item in found)
    found = [encoder.filled(item, length) for encoder, item in zip(encoders, found, strict=True)]
    pooled = [item.pooled for item in found if item.pooled is not None]
    _, tokens, spans = found[0].words
    padding = None
    if length > encoders[0].tokenizer.model_max_length:
        padding = torch.cat([encoder.empty.states for encoder in encoders], dim=-1)
    return Conditioning(
        text=torch.cat([item.states for item in found], dim=-1),
        pooled=pooled[-1] if pooled else None,
        prompt=prompt,
        tokens=tokens,
        spans=spans,
        padding=padding,
    )


def encoder_states(
    family: str, encoder: Any, ids: Tensor, mask: Tensor | None, clip_skip: int = 0
) -> tuple[Tensor, Tensor | None]:
    """What the denoiser of a family reads of a text encoder, (B, L, D), and the pooled projection where there is one.

    ids: (B, L) on the encoder's device. mask: (B, L), 1 where a token is seen, or None for all.
    """
    if clip_skip >= encoder.config.num_hidden_layers:
        raise ValueError(
            f"clip_skip {clip_skip} leaves no layer: the text encoder has {encoder.config.num_hidden_layers}"
        )
    masked = None if mask is None else mask.to(ids.device)
    output = encoder(ids, attention_mask=masked, output_hidden_states=family == "sdxl" or clip_skip > 0)
    if family == "sdxl":
        return output.hidden_states[-2 - clip_skip], output[0] if output[0].ndim == 2 else None
    if clip_skip:
        inner_model: Any = getattr(encoder, "text_model", encoder)  # transformers 4 wraps it
        return inner_model.final_layer_norm(output.hidden_states[-1 - clip_skip]), None
    return output[0], None


def unconditional(model: Model, log: Log = _log) -> Conditioning:
    """What stands in for an absent negative prompt: the encoding of "", or zeros where the model was trained so."""
    with model.parts() as parts:
        empty = encode(parts, "", log=log)
    if not model.zero_empty:
        return empty
    pooled = None if empty.pooled is None else torch.zeros_like(empty.pooled)
    zeros = torch.zeros_like(empty.text)
    return Conditioning(zeros, pooled, "", empty.tokens, (), padding=zeros)
