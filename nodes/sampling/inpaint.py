"""Inpainting as techniques: blending after each step (any model), or mask channels (9-channel models)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from weft.nodes.sampling.begin import repeated
from weft.nodes.sampling.run import Run, Step
from weft.nodes.technique import Branch, Technique
from weft.nodes.values import Control, Latents, Mask, Model


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


def inpainting(
    model: Model,
    mask: Mask | None,
    masked: Latents | None,
    start: Latents | None,
    shape: tuple[int, int, int, int],
    device: torch.device,
) -> list[Technique]:
    """The technique that a mask asks for on this model, for latents of `shape`; none without a mask.

    masked: latents of the image with the masked part blanked, which models with channels for them need.
    Raises ValueError for what does not fit the model or the size.
    """
    channels = model.unet_channels == 2 * model.latent_channels + 1
    if masked is not None and not channels:
        raise ValueError(f"`masked` is for inpainting models with 9 channels; this one has {model.unet_channels}")
    if mask is None:
        if masked is not None:
            raise ValueError("`masked` needs `mask`")
        return []
    small = latent_mask(mask, shape[2], shape[3], model.scale_factor, binary=channels).to(device)
    if shape[0] % small.shape[0]:
        raise ValueError(f"{small.shape[0]} masks do not fit a batch of {shape[0]}")
    if small.shape[0] > 1:
        small = repeated(small, shape[0])
    if not channels:
        if start is None:
            raise ValueError("`mask` keeps a part of an image: link `start` to that image's latents")
        return [KeepUnmasked(mask=small)]
    if masked is None:
        raise ValueError("this inpainting model needs `masked`: link it to `encode_masked_image`")
    if masked.samples.shape[-2:] != small.shape[-2:] or shape[0] % masked.samples.shape[0]:
        raise ValueError("`masked` has another size than the image, or its count does not fit the batch")
    return [MaskChannels(mask=small, masked=repeated(masked.samples, shape[0]).to(device))]
