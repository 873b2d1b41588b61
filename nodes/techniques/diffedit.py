"""DiffEdit (arXiv 2210.11427): edit what two prompts disagree about, keep the rest from the image's inversion.

Cost: none beyond the run's own; the inversion before it has its own calls (`invert`), and so has the mask
(`diffedit_mask`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weft.engine import node, value
from weft.nodes.checks import same_size, starts_from
from weft.nodes.techniques.invert import FromInversion
from weft.nodes.values import Control, Mask, Trajectory

if TYPE_CHECKING:
    from torch import Tensor

    from weft.nodes.sampling.run import Run, Step


@value("control.diffedit")
@dataclass(frozen=True, eq=False, kw_only=True)
class DiffEdit(FromInversion):
    """After each step x = m x + (1 - m) z, where z is the inversion at the level reached, and at last the image.

    diffusers blends with the level that the step began at, one too early; its last step then keeps some noise.

    mask: 1 = change here.
    """

    mask: Mask

    def setup(self, run: Run) -> None:
        """The mask at latent size, checked before the first step."""
        if self.window[0] < self.window[1]:
            run.derived(self, lambda: self._small(run))

    def after_step(self, step: Step, latents: Tensor) -> Tensor:
        """m x + (1 - m) z."""
        run = step.run
        mask = run.derived(self, lambda: self._small(run))
        return latents * mask + self.at(run, step.index + 1) * (1 - mask)

    def _small(self, run: Run) -> Tensor:
        from weft.nodes.sampling.inpaint import latent_mask

        mask = latent_mask(self.mask, run.shape[2], run.shape[3], run.scale_factor, binary=False)
        if run.batch % mask.shape[0]:
            raise ValueError(f"{mask.shape[0]} masks do not fit a batch of {run.batch}")
        return mask.repeat(run.batch // mask.shape[0], 1, 1, 1).to(run.device)


@node("diffedit", category="control", tags=(starts_from("trajectory"), same_size("mask", or_latents=True)))
def diffedit(trajectory: Trajectory, mask: Mask) -> Control:
    """Draw a part of an image anew and keep the rest, on the image's own inversion (DiffEdit, arXiv 2210.11427).

    The run begins with the inverted image, so that what is drawn anew keeps its layout; outside the mask each step is
    held to the inversion. `denoise` needs no `start`; give it the steps and strength of the inversion (0.8 is usual)
    and the ddim scheduler. Other schedulers work too.

    Args:
        trajectory: of `invert`, with a prompt that describes the image.
        mask: where to change, 1, and where to keep, 0; of the image's size. `diffedit_mask` finds one.
    """
    return DiffEdit(trajectory=trajectory, mask=mask)
