"""States of weighted prompts, by compel's rules."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from weft.nodes.prompts.encode import Log, encoder_states, expand, word_spans
from weft.nodes.prompts.weighting import Blend, Conjunction, Weighted
from weft.nodes.values.prompt import Conditioning

if TYPE_CHECKING:
    from weft.nodes.models.parts import Parts

_log = logging.getLogger("weft.models")
_NEARLY_NONE = 1e-5


@dataclass(frozen=True)
class _Tokens:
    """A prompt in tokens: ids (1, L), a weight per token (L), and for each fragment its weight and range of tokens."""

    ids: Tensor
    weights: Tensor
    ranges: list[tuple[float, int, int]]


def encode_weighted(parts: Parts, prompt: Conjunction, text: str, clip_skip: int = 0, log: Log = _log) -> Conditioning:
    """Encode a parsed prompt.

    Each token's state moves away from that of the empty prompt by its weight, z = z_empty + w (z - z_empty). For each
    piece with w < 1 also the states without it, its tokens unseen, are mixed in with weight tan((1 - w) pi / 2). A
    conjunction's parts stand side by side: its states are as many times longer, and beside it shorter prompts are
    filled up with the empty prompt.

    Pooled states (SDXL) are not weighted; a blend mixes them, a conjunction takes its first part's.
    """
    found = [_part(parts, part, clip_skip, log) for part in prompt.parts]
    several, weighs = len(found) > 1, any(weight != 1 for weight in prompt.weights)
    empty = _weighted(parts, Weighted(()), clip_skip, log).text if several or weighs else None
    if weighs and empty is not None:
        found = [
            Conditioning(empty + weight * (part.text - empty), part.pooled, part.prompt, part.tokens, part.spans)
            for part, weight in zip(found, prompt.weights, strict=True)
        ]
    length = found[0].text.shape[1]
    return Conditioning(
        text=torch.cat([part.text for part in found], dim=1),
        pooled=found[0].pooled,
        prompt=text,
        tokens=tuple(token for part in found for token in part.tokens),
        spans=tuple(
            (word, start + length * number, end + length * number)
            for number, part in enumerate(found)
            for word, start, end in part.spans
        ),
        padding=empty if several else None,
    )


def _part(parts: Parts, part: Weighted | Blend, clip_skip: int, log: Log) -> Conditioning:
    if isinstance(part, Weighted):
        return _weighted(parts, part, clip_skip, log)
    total = sum(part.weights) if part.normalize else 1.0
    found = [_weighted(parts, one, clip_skip, log) for one in part.parts]
    shares = [weight / total for weight in part.weights]
    first = found[0]
    pooled = None
    if first.pooled is not None:
        pooled = _mix([one.pooled for one in found if one.pooled is not None], shares)
    return Conditioning(_mix([one.text for one in found], shares), pooled, "", first.tokens, first.spans)


def _mix(states: list[Tensor], shares: list[float]) -> Tensor:
    mixed = torch.stack([share * state.float() for state, share in zip(states, shares, strict=True)]).sum(0)
    return mixed.to(states[0].dtype)


@torch.no_grad()
def _weighted(parts: Parts, prompt: Weighted, clip_skip: int, log: Log) -> Conditioning:
    states: list[Tensor] = []
    pooled: Tensor | None = None
    tokens: tuple[str, ...] = ()
    spans: tuple[tuple[str, int, int], ...] = ()
    encoders, tokenizers = parts.text_encoders, parts.tokenizers
    for index, (tokenizer, encoder) in enumerate(zip(tokenizers, encoders, strict=True)):
        found = _tokens(tokenizer, prompt, log if index == 0 else None)
        state, own = _states(parts.model.family, encoder, tokenizer, found, clip_skip, parts.device)
        states.append(state)
        pooled = pooled if own is None else own
        if index == 0:
            tokens = tuple(tokenizer.convert_ids_to_tokens(found.ids[0].tolist()))
            spans = word_spans(tokenizer, tokens)
    return Conditioning(
        torch.cat(states, dim=-1).cpu(), None if pooled is None else pooled.cpu(), prompt.text, tokens, spans
    )


def _tokens(tokenizer: Any, prompt: Weighted, log: Log | None) -> _Tokens:
    """Fragments are tokenised apart, joined, and cut where the encoder ends."""
    room = tokenizer.model_max_length - 2
    ids: list[int] = []
    weights: list[float] = []
    ranges: list[tuple[float, int, int]] = []
    for text, weight in prompt.fragments:
        own = tokenizer(expand(tokenizer, text), add_special_tokens=False, verbose=False).input_ids
        if own and len(ids) < room:
            ranges.append((weight, 1 + len(ids), 1 + min(len(ids) + len(own), room)))
        ids += own
        weights += [weight] * len(own)
    if len(ids) > room and log is not None:
        lost = str(tokenizer.decode(ids[room:])).strip()
        log.warning("the prompt has %d tokens and the text encoder takes %d: left out is %r", len(ids), room, lost)
    ids, weights = ids[:room], weights[:room]
    padding = room - len(ids)
    whole = [tokenizer.bos_token_id, *ids, tokenizer.eos_token_id, *[tokenizer.pad_token_id] * padding]
    return _Tokens(torch.tensor([whole]), torch.tensor([1.0, *weights, 1.0, *[1.0] * padding]), ranges)


def _states(
    family: str, encoder: Any, tokenizer: Any, tokens: _Tokens, clip_skip: int, device: torch.device
) -> tuple[Tensor, Tensor | None]:
    """Weighted states (1, L, D) of one encoder, and its pooled state."""
    ids = tokens.ids.to(device)
    seen = None
    if getattr(encoder.config, "use_attention_mask", False):
        seen = (torch.arange(ids.shape[1])[None] < _end(tokens) + 1).long()
    plain, pooled = encoder_states(family, encoder, ids, seen, clip_skip)
    plain_weights = tokens.weights.to(device)
    if bool((plain_weights == 1).all()):
        return plain, pooled
    none = _tokens(tokenizer, Weighted(()), None)
    empty = encoder_states(family, encoder, none.ids.to(device), None, clip_skip)[0].float()
    factors = plain_weights[None, :, None]

    def weigh(state: Tensor) -> Tensor:
        # Where the weight is 1 the state itself, without a rounding.
        return torch.where(factors == 1, state.float(), empty + factors * (state.float() - empty))

    total, mixed = 1.0, weigh(plain)
    for weight, start, end in tokens.ranges:
        if weight >= 1:
            continue
        mask = torch.ones_like(tokens.ids) if seen is None else seen.clone()
        mask[:, start:end] = 0
        without = weigh(encoder_states(family, encoder, ids, mask, clip_skip)[0])
        share = math.tan((1.0 - max(weight, _NEARLY_NONE)) * math.pi / 2)
        mixed = mixed + share * without
        total += share
    return (mixed / total).to(plain.dtype), pooled


def _end(tokens: _Tokens) -> int:
    """The place of the end token."""
    return tokens.ranges[-1][2] if tokens.ranges else 1
