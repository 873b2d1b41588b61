"""Classifier-free guidance (arXiv 2207.12598), the usual base term."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from weft.engine import Range, node, value
from weft.nodes.checks import BASE
from weft.nodes.technique import Branch, Order, Predictions, Technique
from weft.nodes.techniques.rescale_guidance import Rescale
from weft.nodes.values import Conditioning, Guidance

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.sampling.run import Run, Step


@value("guidance.cfg")
@dataclass(frozen=True, eq=False, kw_only=True)
class ClassifierFree(Guidance):
    """e = e_u + scale (e_c - e_u), rows [uncond, cond].

    With a scale of 1 or less, and outside the window, e = e_c and one row.
    negative: None stands for an empty prompt. rescale: see `Rescale`.
    """

    order: ClassVar[int] = Order.BASE
    base: ClassVar[bool] = True
    counts_calls: ClassVar[bool] = False

    prompt: Conditioning
    negative: Conditioning | None = None
    scale: float = 7.5
    rescale: float = 0.0

    def expand(self) -> Sequence[Technique]:
        """With rescaling, a second part at the end of the order."""
        return (self, Rescale(amount=self.rescale)) if self.rescale > 0 and self.scale > 1 else (self,)

    def branches(self, step: Step) -> Iterable[Branch]:
        """The unconditional row where it is used, then the conditional one."""
        guides = self._guides(step.run) and self.inside(step.index, step.calls)
        both = guides or "uncond" in step.wanted
        rows = step.run.derived(self, dict[bool, tuple[Branch, ...]])
        if both not in rows:
            rows[both] = self._rows(step.run, both)
        return rows[both]

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        """Away from the unconditional prediction."""
        if not self._guides(step.run):
            return prediction
        uncond = predictions.role("uncond")
        return uncond + self.scale * (prediction - uncond)

    def _guides(self, run: Run) -> bool:
        # A model that takes the scale as an embedding was distilled to need one row only.
        return self.scale > 1 and not run.scale_embedding

    def _rows(self, run: Run, both: bool) -> tuple[Branch, ...]:
        cond = Branch("cond", "cond", self.prompt, guidance_scale=self.scale)
        if not both:
            return (cond,)
        negative = self.negative if self.negative is not None else run.empty_conditioning()
        return Branch("uncond", "uncond", negative, guidance_scale=1.0), cond


@node("cfg", category="guidance", tags=(BASE,))
def cfg(
    prompt: Conditioning,
    negative: Conditioning | None = None,
    scale: Annotated[float, Range(0.0, 100.0, usual=(1.0, 12.0))] = 7.5,
    rescale: Annotated[float, Range(0.0, 1.0)] = 0.0,
) -> Guidance:
    """Classifier-free guidance: follow the prompt, away from the negative prompt.

    This is the usual base term of `denoise.guidance`, which takes exactly one base; other guidance adds to it.

    Args:
        prompt: what the image should show.
        negative: what it should not show; without it, an empty prompt.
        scale: how strongly to follow the prompt. At 1 or less the prompt alone is evaluated, at half the cost.
        rescale: brings back the contrast that a high scale distorts; 0 is off, 0.7 is usual for v-prediction models.
    """
    return ClassifierFree(prompt=prompt, negative=negative, scale=scale, rescale=rescale)
