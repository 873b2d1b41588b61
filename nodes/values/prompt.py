"""What a prompt becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weft.engine import value

if TYPE_CHECKING:
    from torch import Tensor


@value("conditioning")
@dataclass(frozen=True, eq=False)
class Conditioning:
    """An encoded prompt.

    text: (B, L, D) states, in the text encoder's dtype. pooled: (B, P) or None.
    prompt: the text. tokens: the L tokens as strings, start, end and padding included.
    spans: (word, start, end) of each word in ``tokens``, end exclusive.
    """

    text: Tensor
    pooled: Tensor | None = None
    prompt: str = ""
    tokens: tuple[str, ...] = ()
    spans: tuple[tuple[str, int, int], ...] = ()
