"""States of weighted prompts, by compel's rules."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from weft.nodes.prompts.chunks import MAX_CHUNKS, Chunk, Log
from weft.nodes.prompts.encode import Encoded, TextEncoder, check_second, conditioning, encoders_of
from weft.nodes.prompts.weighting import Blend, Conjunction, Weighted
from weft.nodes.values.prompt import Conditioning

if TYPE_CHECKING:
    from weft.nodes.models.parts import Parts

_log = logging.getLogger("weft.models")
_NEARLY_NONE = 1e-5


def encode_weighted(
    parts: Parts,
    prompt: Conjunction,
    text: str,
    clip_skip: int = 0,
    log: Log = _log,
    *,
    prompt_2: Conjunction | None = None,
) -> Conditioning:
    """Encode a parsed prompt.

    Each token's state moves away from that of the empty prompt by its weight, z = z_empty + w (z - z_empty). For each
    piece with w < 1 also the states without it, its tokens unseen, are mixed in with weight tan((1 - w) pi / 2). A
    conjunction's parts stand side by side: its states are as many times longer, and beside it shorter prompts are
    filled up with the empty prompt. So are they beside a prompt of several chunks.

    Pooled states (SDXL) are not weighted; a blend mixes them, a conjunction takes its first part's, and a prompt of
    several chunks the first one's.

    prompt_2: what SDXL's second encoder reads; None is the same.
    Raises ValueError for a prompt of too many chunks, and for a second one where there is no second encoder.
    """
    encoders = encoders_of(parts, clip_skip, log)
    check_second(parts.model, "" if prompt_2 is None else "prompt_2")
    prompts = (prompt, prompt_2 or prompt)
    found = [_conjunction(encoder, own) for encoder, own in zip(encoders, prompts, strict=False)]
    return conditioning(encoders, found, text)


def _conjunction(encoder: TextEncoder, prompt: Conjunction) -> Encoded:
    found: list[Encoded] = []
    for part, weight in zip(prompt.parts, prompt.weights, strict=True):
        found.append(_scaled(encoder, _part(encoder, part), weight))
        if sum(item.states.shape[1] for item in found) > MAX_CHUNKS * encoder.tokenizer.model_max_length:
            raise ValueError(f"the prompts side by side need more than {MAX_CHUNKS} chunks: shorten them")
    if len(found) == 1:
        return found[0]
    tokens: list[str] = []
    spans: list[tuple[str, int, int]] = []
    for item in found:
        spans += [(word, len(tokens) + start, len(tokens) + end) for word, start, end in item.words[2]]
        tokens += item.words[1]
    words = ("", tuple(tokens), tuple(spans))
    return Encoded(torch.cat([item.states for item in found], dim=1), found[0].pooled, words)


def _scaled(encoder: TextEncoder, item: Encoded, weight: float) -> Encoded:
    """All of a part, moved away from the empty prompt by one weight."""
    if weight == 1:
        return item
    empty = encoder.empty.states
    empty = empty.repeat(1, item.states.shape[1] // empty.shape[1], 1)
    return Encoded(empty + weight * (item.states - empty), item.pooled, item.words)


def _part(encoder: TextEncoder, part: Weighted | Blend) -> Encoded:
    if isinstance(part, Weighted):
        return _weighted(encoder, part)
    total = sum(part.weights) if part.normalize else 1.0
    found = [_weighted(encoder, one) for one in part.parts]
    length = max(one.states.shape[1] for one in found)
    found = [encoder.filled(one, length) for one in found]
    shares = [weight / total for weight in part.weights]
    first = found[0]
    pooled = None
    if first.pooled is not None:
        pooled = _mix([one.pooled for one in found if one.pooled is not None], shares)
    return Encoded(_mix([one.states for one in found], shares), pooled, first.words)


def _mix(states: list[Tensor], shares: list[float]) -> Tensor:
    mixed = torch.stack([share * state.float() for state, share in zip(states, shares, strict=True)]).sum(0)
    return mixed.to(states[0].dtype)


@torch.no_grad()
def _weighted(encoder: TextEncoder, prompt: Weighted) -> Encoded:
    """The states of one text with weights, chunk by chunk."""
    chunks = encoder.chunks(prompt.fragments)
    lighter = {
        number: math.tan((1.0 - max(weight, _NEARLY_NONE)) * math.pi / 2)
        for number, (_, weight) in enumerate(prompt.fragments)
        if weight < 1 and any(number == own for chunk in chunks for own, _, _ in chunk.ranges)
    }
    found = [_states(encoder, chunk, lighter) for chunk in chunks]
    states = torch.cat([state.cpu() for state, _ in found], dim=1)
    return encoder.encoded(states, found[0][1], chunks, prompt.text)


def _states(encoder: TextEncoder, chunk: Chunk, lighter: dict[int, float]) -> tuple[Tensor, Tensor | None]:
    """Weighted states (1, l, D) of a chunk, on the device, and its pooled state.

    lighter: by number of the fragment, how much of the states without it is mixed in. All chunks of a prompt take the
        same mix: those that hold nothing of a fragment stand in for themselves without it.
    """
    plain, pooled = encoder.read(chunk)
    factors = chunk.weights.to(plain.device)[None, :, None]

    def weigh(state: Tensor) -> Tensor:
        # Where the weight is 1 the state itself, without a rounding.
        return torch.where(factors == 1, state.float(), encoder.origin + factors * (state.float() - encoder.origin))

    if bool((chunk.weights == 1).all()):
        return plain, pooled
    base = weigh(plain)
    total, mixed = 1.0, base
    for number, share in lighter.items():
        unseen = [(start, end) for own, start, end in chunk.ranges if own == number]
        without = base
        if unseen:
            visible = torch.ones_like(chunk.ids)
            for start, end in unseen:
                visible[:, start:end] = 0
            without = weigh(encoder.read(chunk, visible)[0])
        mixed = mixed + share * without
        total += share
    return (mixed / total).to(plain.dtype), pooled
