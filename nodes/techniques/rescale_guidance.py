"""Rescaled guidance (arXiv 2305.08891, section 3.4). No rows, no forwards; it comes after every other term."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from weft.engine import Range, node, value
from weft.nodes.technique import Order, Predictions, Technique
from weft.nodes.values import Guidance

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.sampling.run import Step


@value("guidance.rescale")
@dataclass(frozen=True, eq=False, kw_only=True)
class Rescale(Guidance):
    """Bring the guided prediction back to the spread of the conditional one.

    amount: 0 to 1, how far.
    """

    order: ClassVar[int] = Order.RESCALE
    needs: ClassVar[frozenset[str]] = frozenset({"cond"})
    counts_calls: ClassVar[bool] = False

    amount: float

    def expand(self) -> Sequence[Technique]:
        """Nothing at an amount of 0."""
        return (self,) if self.amount else ()

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        """Mix of the rescaled and the plain prediction."""
        dims = tuple(range(1, prediction.ndim))
        wanted = predictions.role("cond").std(dim=dims, keepdim=True)
        rescaled = prediction * (wanted / prediction.std(dim=dims, keepdim=True))
        return self.amount * rescaled + (1 - self.amount) * prediction


@node("rescale_guidance", category="guidance")
def rescale_guidance(amount: Annotated[float, Range(0.0, 1.0)] = 0.7) -> Guidance:
    """Bring back the contrast that strong guidance distorts (arXiv 2305.08891).

    It acts last, on the sum of every other term. `cfg.rescale` is the same thing in one node: wire one of the two.

    Args:
        amount: how far to bring the spread of the values back to that of the prompt's own prediction; 0 is off.
    """
    return Rescale(amount=amount)
