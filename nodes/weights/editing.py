"""TIME (arXiv 2303.08084) and UCE (arXiv 2308.14761): the matrix that makes a denoiser read one text as another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from weft.nodes.prompts.encode import encode
from weft.nodes.prompts.words import expand

if TYPE_CHECKING:
    from weft.nodes.models.parts import Parts

TEMPLATES = ("", "A photo of ", "An image of ", "A picture of ")


def editing_matrix(
    parts: Parts, source: str, destination: str, regularization: float, templates: bool, keep: Sequence[str] = ()
) -> Tensor:
    """M (D, D) float64 with W' = W M for every key and value projection W (o, D).

    The paper's W' = (l W + sum v k^T)(l I + sum k k^T)^-1 with v = W d, where k are the source text's states and d
    those of the destination at the same tokens; W leaves the sums, so M depends on the texts alone. A text to keep
    is one whose d are its k.

    Raises:
        ValueError: the destination lacks a word of the source, in its order.
    """
    keys, values = [], []
    for template in TEMPLATES if templates else TEMPLATES[:1]:
        one, other = (template + (_lowered(text) if template else text) for text in (source, destination))
        places = alignment(_ids(parts, one), _ids(parts, other), parts.tokenizers[0])
        keys.append(encode(parts, one, cut=True).text[0].double())
        values.append(encode(parts, other, cut=True).text[0].double()[places])
    for text in keep:
        states = encode(parts, text, cut=True).text[0].double()
        keys.append(states)
        values.append(states)
    k, d = torch.cat(keys), torch.cat(values)
    ridge = regularization * torch.eye(k.shape[1], dtype=k.dtype)
    # M^T from a linear system: more exact than an inverse. The second matrix is symmetric.
    return torch.linalg.solve(ridge + k.T @ k, ridge + k.T @ d).T


def alignment(source: Sequence[int], destination: Sequence[int], tokenizer: Any) -> list[int]:
    """For each of the encoder's places the destination's token that stands for the source's.

    Raises:
        ValueError: one is missing.
    """
    length = tokenizer.model_max_length
    letter_a, an = (tokenizer(word, add_special_tokens=False).input_ids for word in ("a", "an"))
    same = {an[0]: letter_a[0]} if len(an) == 1 else {}
    wanted = [same.get(token, token) for token in source]
    there = [same.get(token, token) for token in destination]
    places: list[int] = []
    at = 0
    for token in wanted:
        try:
            at = there.index(token, at) + 1
        except ValueError:
            word = str(tokenizer.decode([token])).strip()
            raise ValueError(
                f"the destination has to hold every word of the source, in order, and more: {word!r} is missing"
            ) from None
        places.append(at - 1)
    places += range(at, length)
    return (places + [length - 1] * length)[:length]


def _ids(parts: Parts, text: str) -> list[int]:
    tokenizer = parts.tokenizers[0]
    ids = tokenizer(expand(tokenizer, text), truncation=True, max_length=tokenizer.model_max_length).input_ids
    return list(ids)


def _lowered(text: str) -> str:
    return "a" + text[1:] if text.startswith("A") else text


def cross_projections(unet: torch.nn.Module, keys: bool) -> list[torch.nn.Linear]:
    """The projections of the text in every cross-attention: of values, and perhaps of keys."""
    found: list[torch.nn.Linear] = []
    for name, module in unet.named_modules():
        if name.endswith(".attn2.to_v") or (keys and name.endswith(".attn2.to_k")):
            assert isinstance(module, torch.nn.Linear)
            found.append(module)
    return found
