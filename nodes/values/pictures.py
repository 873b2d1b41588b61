"""Latents, images and masks, and the way that a denoise went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weft.engine import value

if TYPE_CHECKING:
    from torch import Tensor


@value("latents")
@dataclass(frozen=True, eq=False)
class Latents:
    """Latents as the denoiser sees them (VAE latents times the scaling factor).

    samples: (B, C, H, W) float32 on the CPU.
    """

    samples: Tensor


@value("image")
@dataclass(frozen=True, eq=False)
class Image:
    """Images. pixels: (B, H, W, 3) float32 in [0, 1] on the CPU."""

    pixels: Tensor


@value("mask")
@dataclass(frozen=True, eq=False)
class Mask:
    """Where to change: 1 = change here, 0 = keep. pixels: (B, H, W) float32 in [0, 1] on the CPU."""

    pixels: Tensor


@value("trajectory")
@dataclass(frozen=True, eq=False)
class Trajectory:
    """The way a denoise went.

    scheduler: its name. seeds: one per image. timesteps: one per step taken.
    sigmas: noise level (sigma / alpha) at each step's start, and the level reached at the end: one more than steps.
    latents: the start latents, then those after each step, (B, C, H, W) float32 on the CPU.
    """

    scheduler: str
    seeds: tuple[int, ...]
    timesteps: tuple[float, ...]
    sigmas: tuple[float, ...] = ()
    latents: tuple[Tensor, ...] = ()
