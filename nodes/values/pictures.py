"""Latents, images and masks, and the way that a denoise went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from weft.engine import value
from weft.nodes.values.reprs import short_repr

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    import numpy as np
    import PIL.Image
    from torch import Tensor


@value("latents")
@dataclass(frozen=True, eq=False)
class Latents:
    """Latents as the denoiser sees them (VAE latents times the scaling factor).

    samples: (B, C, H, W) float32 on the CPU.
    """

    samples: Tensor

    __repr__ = short_repr


@value("image")
@dataclass(frozen=True, eq=False)
class Image:
    """Images. pixels: (B, H, W, 3) float32 in [0, 1] on the CPU.

    A notebook shows them, a batch as a grid.
    """

    pixels: Tensor

    __repr__ = short_repr

    def pil(self, index: int | None = None) -> PIL.Image.Image:
        """One image as a Pillow image of 8 bits.

        Args:
            index: which one of a batch, from 0; may be left out where there is only one.

        Raises:
            ValueError: the batch holds several and no index was given, or the pixels hold NaN or infinity.
            IndexError: the batch has no such image.
        """
        from weft.nodes.values.pixels import pil_image

        return pil_image(self.pixels, index)

    def pils(self) -> list[PIL.Image.Image]:
        """Every image of the batch, as `pil` gives it."""
        return [self.pil(index) for index in range(len(self.pixels))]

    def numpy(self) -> np.ndarray:
        """A copy of the pixels: (B, H, W, 3) float32 in [0, 1]."""
        return self.pixels.detach().cpu().numpy().copy()

    def save(self, path: str | PathLike[str], index: int | None = None, *, quality: int = 90) -> Path:
        """Write one image to a file, in place of what is there, and return its path. The file holds no metadata.

        It appears whole or not at all.

        Args:
            path: ends in .png, .jpg, .jpeg or .webp, which says the format. Its folder has to exist; ~ is your home.
            index: which one of a batch, as in `pil`.
            quality: of JPEG and WebP, 1 to 100. A WebP file of quality 100 has no loss.

        Raises:
            ValueError: another suffix, a quality out of range, or as in `pil`.
            IndexError: the batch has no such image.
            SaveError: an OSError; the file cannot be written.
        """
        from pathlib import Path

        from weft.nodes.images.encoding import encode, format_of
        from weft.nodes.images.saving import replace_file

        path = Path(path).expanduser()
        format = format_of(path)
        replace_file(encode(self.pil(index), format, quality), path)
        return path

    def _repr_png_(self) -> bytes | None:
        from weft.nodes.values.pixels import sheet_png

        return sheet_png(self.pixels)


@value("mask")
@dataclass(frozen=True, eq=False)
class Mask:
    """Where to change: 1 = change here, 0 = keep. pixels: (B, H, W) float32 in [0, 1] on the CPU."""

    pixels: Tensor

    __repr__ = short_repr

    def _repr_png_(self) -> bytes | None:
        from weft.nodes.values.pixels import sheet_png

        return sheet_png(self.pixels)


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

    __repr__ = short_repr
