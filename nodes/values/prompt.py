"""What a prompt becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weft.engine import value
from weft.nodes.values.reprs import short_repr

if TYPE_CHECKING:
    from torch import Tensor


@value("conditioning", version=2)
@dataclass(frozen=True, eq=False)
class Conditioning:
    """An encoded prompt.

    text: (B, L, D) states, in the text encoder's dtype. pooled: (B, P) or None.
    prompt: the text. tokens: the L tokens as strings, start, end and padding included.
    spans: (word, start, end) of each word in ``tokens``, end exclusive.
    padding: (1, l, D), states that fill it up beside a longer prompt, as often as needed; None takes those of the
        longer one, which fill up all shorter ones.
    """

    text: Tensor
    pooled: Tensor | None = None
    prompt: str = ""
    tokens: tuple[str, ...] = ()
    spans: tuple[tuple[str, int, int], ...] = ()
    padding: Tensor | None = None

    __repr__ = short_repr
