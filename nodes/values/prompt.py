"""What a prompt becomes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from weft.engine import value
from weft.nodes.values.reprs import short_repr

if TYPE_CHECKING:
    from torch import Tensor

Words = tuple[str, tuple[str, ...], tuple[tuple[str, int, int], ...]]
"""A prompt's text, its tokens, and the spans of its words."""
Sizes = tuple[int, int, int, int, int, int]
"""SDXL's size conditioning: height and width of the original, rows and columns cropped off its top and left, height and
width of the target. For a 0 that of the image that is made stands in."""


@value("conditioning", version=3)
@dataclass(frozen=True, eq=False)
class Conditioning:
    """An encoded prompt, or one for each image of a batch.

    text: (B, L, D) states, in the text encoder's dtype; a long prompt's L is a multiple of the encoder's length.
    pooled: (B, P) or None.
    prompt: the text. tokens: the L tokens as strings, start, end and padding included.
    spans: (word, start, end) of each word in ``tokens``, end exclusive. Of prompts of a batch see ``each``.
    padding: (1 or B, l, D), states that fill it up beside a longer prompt, as often as needed; None takes those of the
        longer one, which fill up all shorter ones. l is the text encoder's length.
    sizes: of 1 or B rows, for SDXL; () takes those of the base's prompt.
    each: text, tokens and spans of every prompt of a batch; () where all images share one.
    """

    text: Tensor
    pooled: Tensor | None = None
    prompt: str = ""
    tokens: tuple[str, ...] = ()
    spans: tuple[tuple[str, int, int], ...] = ()
    padding: Tensor | None = None
    sizes: tuple[Sizes, ...] = ()
    each: tuple[Words, ...] = ()

    __repr__ = short_repr

    @property
    def chunk_length(self) -> int:
        """How many of the L tokens lie between a start token and the next: l, or all of them."""
        return int(self.text.shape[1] if self.padding is None else self.padding.shape[1])

    def singles(self) -> list[Conditioning]:
        """The prompts of a batch one by one, each (1, L, D); of a prompt for all images, itself."""
        return [self] if len(self.text) == 1 else [self._single(number) for number in range(len(self.text))]

    def _single(self, number: int) -> Conditioning:
        row = slice(number, number + 1)
        prompt, tokens, spans = self.each[number] if self.each else (self.prompt, self.tokens, self.spans)
        return replace(
            self,
            text=self.text[row],
            pooled=None if self.pooled is None else self.pooled[row],
            prompt=prompt,
            tokens=tokens,
            spans=spans,
            padding=self.padding if self.padding is None or len(self.padding) == 1 else self.padding[row],
            sizes=self.sizes if len(self.sizes) < 2 else self.sizes[row],
            each=(),
        )
