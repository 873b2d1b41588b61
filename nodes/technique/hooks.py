"""The hook points of the one denoise loop.

A technique says which extra evaluations of the denoiser it needs (`branches`, `second`), which attention it captures
or changes (`attention`), what it adds to the denoiser's input (`channels`, `residuals`), and a pure function that
combines predictions (`combine`). The loop (`nodes.sampling`) owns the batching, the scheduler and the order, so that
techniques never have to know of each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

from weft.nodes.technique.terms import AttentionRule, Branch, Order, Predictions, Residuals, View

if TYPE_CHECKING:
    from typing import Self

    from torch import Tensor

    from weft.nodes.sampling.run import Run, Step
    from weft.nodes.technique.layout import Rows
    from weft.nodes.values.pictures import Latents


@dataclass(frozen=True, eq=False, kw_only=True)
class Technique:
    """A wire into the denoise loop. Every hook does nothing here; a technique overrides those that it needs.

    Subclasses are frozen and hold parameters only, so that they can be cached. What belongs to a run is kept by the
    run, made at the first call, the same object after: `run.derived(self, Factory)` for what could be made anew at any
    step (rows, features of a hint), `run.state(self, Factory)` for what remembers the steps before (momentum). A run
    goes on from an earlier one only where techniques with a `state` give `snapshot` and `restore`.

    window: the part of the run in which it acts, as fractions; call i of n is inside when start <= i/n and
        (i + 1)/n <= end. Outside, no hook but `start`, `setup` and `views` is called; a base still makes its rows
        there, but does not combine them: the conditional prediction is left as it is.
    order: place in `guide`, `combine` and `after_step` (see `Order`).
    base: the one term that makes the prediction to start from (classifier-free guidance, InstructPix2Pix).
    needs: roles that it reads with `Predictions.role`; the base evaluates these even where it has no use for them.
    counts_calls: whether anything in it but its window depends on how many calls the run has; see `identity`.
    """

    order: ClassVar[int] = Order.DEFAULT
    base: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset()
    counts_calls: ClassVar[bool] = True

    window: tuple[float, float] = field(default=(0.0, 1.0))

    def __post_init__(self) -> None:
        start, end = self.window
        if not 0.0 <= start <= end <= 1.0:
            raise ValueError(f"a window needs 0 <= start <= end <= 1, not {start} to {end}")

    def inside(self, index: int, calls: int) -> bool:
        """Whether call `index` of `calls` lies in the window (ControlNet's rule in diffusers)."""
        start, end = self.window
        return start <= index / calls and (index + 1) / calls <= end

    def narrowed(self, window: tuple[float, float]) -> Self:
        """The same technique in that part of its window which lies in `window` too; an empty part is nowhere."""
        start, end = max(self.window[0], window[0]), min(self.window[1], window[1])
        wanted = (start, max(start, end))
        return self if wanted == self.window else replace(self, window=wanted)

    def identity(self, index: int, calls: int) -> tuple[Any, ...] | None:
        """All that call `index` of `calls`, which is in the window, depends on: by default every field but the window.

        Two runs share their steps as long as the identities of their techniques are equal, by content. A technique
        that acts in its own time gives less than all for the steps where less matters; None where it does nothing.
        """
        parameters = tuple(getattr(self, item.name) for item in fields(self) if item.name != "window")
        return (calls, *parameters) if self.counts_calls else parameters

    def snapshot(self, run: Run) -> Any:
        """What its `run.state` remembers after a step, as plain data and tensors; None before there is any."""
        return None

    def restore(self, step: Step, snapshot: Any) -> None:
        """Take up a `snapshot`, before the step that comes next. Its tensors are this run's own."""

    def expand(self) -> Sequence[Technique]:
        """The techniques that this one is made of: itself, unless it needs several places in the order, and none where
        its parameters switch it off. They act within its window."""
        return (self,)

    def origin(self) -> Latents | None:
        """Latents that a run with this technique is about; they give its size and number of images, as `denoise.start`
        does, and let `denoise.strength` act. None has no say."""
        return None

    def start(self, run: Run) -> Tensor | None:
        """Latents (B, C, H, W) at the first level to begin from, or None. At most one technique may have them."""
        return None

    def views(self, run: Run) -> Sequence[View]:
        """Windows, all of one size, that cover the canvas; empty for the whole at once. At most one may have them."""
        return ()

    def setup(self, run: Run) -> None:
        """Once, before the first step."""

    def guide(self, step: Step) -> Tensor | None:
        """New latents (B, C, H, W) before the forward, from a gradient through `step.predict(..., grad=True)`."""
        return None

    def branches(self, step: Step) -> Iterable[Branch]:
        """Evaluations that join this step's forward."""
        return ()

    def channels(self, step: Step, branch: Branch) -> Tensor | None:
        """Channels (1 or B, c, H, W) appended to the scaled latents of a branch, of whichever technique, or None."""
        return None

    def residuals(self, step: Step, rows: Rows) -> Residuals | None:
        """Residuals for all rows of one forward, or None."""
        return None

    def attention(self, step: Step) -> Iterable[AttentionRule]:
        """Rules for this step's forwards. Only techniques that override this make the loop replace processors."""
        return ()

    def second(self, step: Step, predictions: Predictions) -> Iterable[Branch]:
        """Evaluations that need the first round's predictions: one more forward, shared by all that ask."""
        return ()

    def combine(self, step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        """The prediction (B, C, H, W) with this technique's term. The base is given its own `cond` to start from."""
        return prediction

    @staticmethod
    def combine_together(techniques: Sequence[Any], step: Step, predictions: Predictions, prediction: Tensor) -> Tensor:
        """The prediction with the common term of all active techniques of one class, where that is no sum of terms.

        A class that overrides this is asked once, in the place of the first, in place of `combine` of each.
        techniques: they, in their order.
        """
        return prediction

    def after_step(self, step: Step, latents: Tensor) -> Tensor:
        """Latents after the scheduler's step, at the level *reached*: `step.index + 1`.

        Called after every call of the denoiser; in the middle of a two-stage step (Heun) `step.whole` is False.
        """
        return latents
