"""What a technique declares: the hook points of the one denoise loop.

A technique says which extra evaluations of the denoiser it needs (``branches``, ``second``), which attention it
captures or changes (``attention``), what it adds to the denoiser's input (``channels``, ``residuals``), and a pure
function that combines predictions (``combine``). The loop (``nodes.sampling``) owns batching and order.

``ctx`` is the loop's view of the present step. It is typed ``Any`` here because the loop stands above this file;
techniques annotate it with the loop's own class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from nodes.values import Conditioning


@dataclass(frozen=True, eq=False)
class Branch:
    """One evaluation of the denoiser per image, joined with all others in one forward.

    name: unique in a step; predictions are keyed by it.
    role: ``uncond`` or ``cond`` for the base term's rows, else the technique's own word.
    conditioning: text (1 or B, L, D) and what belongs to it.
    latents: own latents (B, C, H, W) in place of the loop's; None takes the loop's.
    """

    name: str
    role: str
    conditioning: Conditioning
    latents: Tensor | None = None


@dataclass(frozen=True)
class Site:
    """One attention layer: its module path, kind, place, resolution of its queries (rows, columns) and heads."""

    name: str
    kind: Literal["self", "cross"]
    place: Literal["down", "mid", "up"]
    resolution: tuple[int, int]
    heads: int


@dataclass(frozen=True, eq=False)
class AttentionRule:
    """Capture or change attention at some sites, for the rows of some branches only.

    where: which sites. op: ``capture`` probabilities, ``identity`` (value projection passes through), ``edit``
    probabilities, ``bias`` logits. branches: names of branches; empty means all.
    function: called as ``function(ctx, site, x)``; for ``capture`` its result is ignored.
    """

    where: Callable[[Site], bool]
    op: Literal["capture", "identity", "edit", "bias"]
    branches: tuple[str, ...] = ()
    function: Callable[[Any, Site, Tensor], Tensor | None] | None = None


@dataclass(frozen=True, eq=False)
class Residuals:
    """Tensors added inside the denoiser; each has one row per row of the forward. Summed over techniques."""

    down: tuple[Tensor, ...] = ()
    mid: Tensor | None = None
    intra: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class View:
    """A window of the canvas in latent pixels; ``left`` may run past the right edge when the canvas wraps."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Technique:
    """A wire into the denoise loop. Every hook is a no-op here; a technique overrides those that it needs.

    ``window`` is the part of the steps in which it acts, as fractions (start, end) of the step count. Subclasses are
    frozen and hold parameters only: what changes from step to step is kept in the loop's context.

    ``order`` sorts ``combine``: base 0, SEGA 10, PAG 20, SAG 30, rescale 90, noise regularisation 95.
    ``base`` marks the one term that makes the prediction to start from (classifier-free guidance, InstructPix2Pix).
    """

    order: ClassVar[int] = 50
    base: ClassVar[bool] = False

    window: tuple[float, float] = field(default=(0.0, 1.0))

    def start(self, ctx: Any) -> Tensor | None:
        """Latents (B, C, H, W) to begin from, or None."""
        return None

    def setup(self, ctx: Any) -> None:
        """Once, before the first step."""

    def guide(self, ctx: Any) -> Tensor | None:
        """New latents from a gradient through ``ctx.predict(..., grad=True)``, or None."""
        return None

    def branches(self, ctx: Any) -> Sequence[Branch]:
        """Evaluations that join this step's forward."""
        return ()

    def channels(self, ctx: Any, branch: Branch) -> Tensor | None:
        """Channels (B, c, H, W) appended to the scaled latents of this branch, or None."""
        return None

    def residuals(self, ctx: Any, rows: Any) -> Residuals | None:
        """Residuals for all rows of one forward, or None."""
        return None

    def attention(self, ctx: Any) -> Sequence[AttentionRule]:
        """Rules for this step's forwards."""
        return ()

    def second(self, ctx: Any, predictions: Mapping[str, Tensor]) -> Sequence[Branch]:
        """Evaluations that need the first forward's predictions: they make one more forward."""
        return ()

    def combine(self, ctx: Any, predictions: Mapping[str, Tensor], prediction: Tensor) -> Tensor:
        """The prediction (B, C, H, W) after this technique's term. Pure."""
        return prediction

    def after_step(self, ctx: Any, latents: Tensor) -> Tensor:
        """Latents after the scheduler's step, at the level reached."""
        return latents

    def views(self, ctx: Any) -> Sequence[View]:
        """Windows that cover the canvas; empty means the whole canvas at once."""
        return ()
