"""Inpainting as techniques: blending after each step (any model), or mask channels (9-channel models)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from weft.nodes.sampling.run import Run, Step
from weft.nodes.technique import Branch
from weft.nodes.values import Control, Mask


@dataclass(frozen=True, eq=False, kw_only=True)
class KeepUnmasked(Control):
    """After each step the kept part is the start latents with noise at the level reached.

    mask: (1 or B, 1, H, W), 1 = change here.
    """

    mask: Tensor

    def after_step(self, step: Step, latents: Tensor) -> Tensor:
        """m x + (1 - m) z_t."""
        run = step.run
        if run.clean is None:
            raise ValueError("inpainting keeps the part outside the mask: link `start` to the image's latents")
        kept = run.schedule.renoise(run.clean, run.noise, step.index + 1)
        return (1 - self.mask) * kept + self.mask * latents


@dataclass(frozen=True, eq=False, kw_only=True)
class MaskChannels(Control):
    """For models that were trained with them: five more channels, the mask and the masked image's latents.

    mask: (1 or B, 1, H, W), 0 or 1. masked: (1 or B, C, H, W), latents of the image with the masked part blanked.
    """

    mask: Tensor
    masked: Tensor

    def channels(self, step: Step, branch: Branch) -> Tensor:
        """[mask, masked image], for every branch."""
        return step.run.derived(self, lambda: self._joined(step.run))

    def _joined(self, run: Run) -> Tensor:
        count = max(self.mask.shape[0], self.masked.shape[0])
        parts = (part.expand(count, -1, -1, -1) for part in (self.mask, self.masked))
        return torch.cat(list(parts), dim=1).to(run.device)


def latent_mask(mask: Mask, height: int, width: int, scale: int, *, binary: bool) -> Tensor:
    """A mask at latent size, (B, 1, height, width).

    mask: at pixel size (height*scale x width*scale, sampled at the nearest pixel, as diffusers does) or latent size.
    binary: round to 0 and 1; otherwise values between mix in proportion (diffusers always rounds).
    Raises ValueError for any other size.
    """
    pixels = mask.pixels[:, None].float()
    given, full = tuple(pixels.shape[-2:]), (height * scale, width * scale)
    if given not in (full, (height, width)):
        raise ValueError(
            f"the mask is {given[1]} x {given[0]} and the image {full[1]} x {full[0]}: "
            "make them equal, for instance with resize_mask"
        )
    if binary:
        pixels = (pixels >= 0.5).float()
    return functional.interpolate(pixels, size=(height, width))
