"""From a prompt to the states that the denoiser attends to."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from weft.nodes.values.prompt import Conditioning

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

    from weft.nodes.models.parts import Parts
    from weft.nodes.values.model import Model

Log = logging.Logger | logging.LoggerAdapter[logging.Logger]
_log = logging.getLogger("weft.models")
_END_OF_WORD = "</w>"


@torch.no_grad()
def encode(parts: Parts, text: str, clip_skip: int = 0, log: Log = _log) -> Conditioning:
    """Encode one prompt.

    SD 1.x and 2.x: the last states, after the final norm. SDXL: the states before the last layer of both encoders,
    joined, and the pooled projection of the second.

    Args:
        clip_skip: how many of the encoder's last layers to leave out (of SDXL: one more than it does by itself).
        log: is told what was cut off when the text is too long.

    Returns:
        text (1, L, D) and pooled (1, P) on the CPU in the encoder's dtype; L is the encoder's positions.
    """
    states: list[torch.Tensor] = []
    pooled: torch.Tensor | None = None
    family = parts.model.family
    encoders, tokenizers = parts.text_encoders, parts.tokenizers
    for index, (tokenizer, encoder) in enumerate(zip(tokenizers, encoders, strict=True)):
        # Both of SDXL's tokenizers cut at the same place: one warning is enough.
        ids, mask = tokenize(tokenizer, expand(tokenizer, text), log if index == 0 else None)
        masked = mask if getattr(encoder.config, "use_attention_mask", False) else None
        state, own = encoder_states(family, encoder, ids.to(parts.device), masked, clip_skip)
        states.append(state)
        pooled = pooled if own is None else own
        if index == 0:
            tokens = tuple(tokenizer.convert_ids_to_tokens(ids[0].tolist()))
            spans = word_spans(tokenizer, tokens)
    return Conditioning(
        text=torch.cat(states, dim=-1).cpu(),
        pooled=None if pooled is None else pooled.cpu(),
        prompt=text,
        tokens=tokens,
        spans=spans,
    )


@torch.no_grad()
def encoder_states(
    family: str, encoder: Any, ids: torch.Tensor, mask: torch.Tensor | None, clip_skip: int = 0
) -> tuple[torch.Tensor, torch.Tensor | None]:
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


def tokenize(tokenizer: CLIPTokenizer, text: str, log: Log | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask (1, L), padded or cut to the tokenizer's length; the log is told what was cut."""
    length = tokenizer.model_max_length
    whole: list[int] = tokenizer(text, truncation=False, verbose=False).input_ids
    if len(whole) > length and log is not None:
        lost = str(tokenizer.decode(whole[length - 1 : -1])).strip()
        log.warning(
            "the prompt has %d tokens and the text encoder takes %d: left out is %r", len(whole) - 2, length - 2, lost
        )
    found: Any = tokenizer(text, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    return found.input_ids, found.attention_mask


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
            break
        if spans and begin == index and token in added and token == f"{spans[-1][0]}_{index - spans[-1][1]}":
            spans[-1] = (spans[-1][0], spans[-1][1], index + 1)
            begin = index + 1
        elif token.endswith(_END_OF_WORD) or token in added:
            word = tokenizer.convert_tokens_to_string(list(tokens[begin : index + 1]))
            spans.append((word.replace(_END_OF_WORD, "").strip(), begin, index + 1))
            begin = index + 1
    return tuple(spans)
