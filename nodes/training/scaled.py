"""Pictures that each sample shows smaller on an empty canvas, or from nearer, and says so (arXiv 2212.04488, B).

Where a sample's picture lies is drawn by the sample's number, so that it is the same whenever that sample is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.nodes.images.scaling import resize_planes
from weft.nodes.models.parts import Parts
from weft.nodes.sampling.vae import posterior, rescale
from weft.nodes.training.draws import Draws
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.pictures import Pixels, Size, View
from weft.nodes.training.recipe import Samples
from weft.nodes.training.sentences import WordMaterial
from weft.nodes.values.training import Item

SMALLER = 0.66
"""The share of samples that are shown smaller; the others are shown from nearer."""
SMALLEST, NEAR, NEAREST = 1 / 3, 1.2, 1.4
FAR = 0.6
"""Below which part of its size a picture is called far away."""
FAR_WORDS, NEAR_WORDS = ("a far away ", "very small "), ("zoomed in ", "close up ")
CANVAS = 0.5
"""Mid-grey, which is 0 to the VAE."""


@dataclass(frozen=True)
class Placement:
    """Where a picture lies. share: its size in that of the canvas; above 1 only a part of it is seen.

    across, down: in [0, 1), how far it is from the left and the top of the room that there is.
    words: what its caption begins with.
    """

    share: float
    across: float
    down: float
    words: str = ""

    @classmethod
    def drawn(cls, draws: Draws, number: int) -> Placement:
        """Of a sample."""
        generator = draws.generator("placement", number)
        smaller = generator.random() < SMALLER
        share = float(generator.uniform(*((SMALLEST, 1.0) if smaller else (NEAR, NEAREST))))
        across, down = (float(part) for part in generator.random(2))
        listed = FAR_WORDS if share < FAR else NEAR_WORDS if share > 1 else ("",)
        return cls(share, across, down, listed[int(generator.integers(len(listed)))])

    def box(self, size: Size) -> tuple[int, int, int, int]:
        """Where a smaller picture lies on a canvas of a size: left, top, and one after right and bottom, in pixels."""
        wide, high = (max(1, round(side * self.share)) for side in size)
        left, top = int(self.across * (size[0] - wide + 1)), int(self.down * (size[1] - high + 1))
        return left, top, left + wide, top + high

    def of(self, pixels: Pixels, empty: float = CANVAS) -> Pixels:
        """Pixels (H, W, c) in [0, 1] as they are shown: the same shape."""
        high, wide = pixels.shape[:2]
        planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)
        if self.share > 1:
            across, down = wide / self.share, high / self.share
            left, top = self.across * (wide - across), self.down * (high - down)
            part = (left, top, min(left + across, wide), min(top + down, high))
            return np.clip(resize_planes(planes, wide, high, "bilinear", part).transpose(1, 2, 0), 0, 1)
        left, top, right, bottom = self.box((wide, high))
        canvas = np.full_like(pixels, empty, dtype=np.float32)
        shown = resize_planes(planes, right - left, bottom - top, "bilinear")
        canvas[top:bottom, left:right] = np.clip(shown.transpose(1, 2, 0), 0, 1)
        return canvas

    def region(self, size: Size, shape: Sequence[int]) -> Tensor:
        """Which latent pixels show the picture alone, (1, h, w): those within it, but for one at each edge.

        size: of the canvas in pixels. shape: (h, w).
        """
        if self.share > 1:
            return torch.ones(1, *shape)
        left, top, right, bottom = self.box(size)
        rows = _within(top * shape[0] / size[1], bottom * shape[0] / size[1], shape[0])
        columns = _within(left * shape[1] / size[0], right * shape[1] / size[0], shape[1])
        region = torch.zeros(1, *shape)
        region[:, rows, columns] = 1
        return region


def _within(first: float, last: float, length: int) -> slice:
    """From one after the first to one before the last; where nothing is left, what lies in the middle."""
    begin, end = int(first) + 1, int(last) - 1
    if begin < end:
        return slice(begin, end)
    middle = min(int((first + last) / 2), length - 1)
    return slice(middle, middle + 1)


@dataclass(frozen=True)
class PlacedView(View):
    """A picture cut and scaled, and then placed."""

    placement: Placement | None = None


class ScaledMaterial(WordMaterial):
    """Material whose instances are placed anew in each sample: their latents are encoded then, not before."""

    _live: Parts | None = None

    def identity(self) -> Any:
        """What is learned from, and that it is placed."""
        return [super().identity(), "scaled"]

    def views(self, items: Sequence[Item], samples: Samples, purpose: str) -> list[View]:
        """How each sample's picture is cut, and where it lies."""
        found = super().views(items, samples, purpose)
        if purpose:
            return found
        return [
            PlacedView(view.size, view.crop, view.flip, Placement.drawn(samples.draws, number))
            for view, number in zip(found, samples.numbers, strict=True)
        ]

    def latents(self, items: Sequence[Item], views: Sequence[View], samples: Samples, purpose: str) -> Tensor:
        """Latents of the pictures as they lie, drawn from the VAE's distribution."""
        if purpose:
            return super().latents(items, views, samples, purpose)
        pairs = [self._encoded(item, view) for item, view in zip(items, views, strict=True)]
        mean, std = (torch.stack([pair[k] for pair in pairs]) for k in (0, 1))
        drawn = samples.draws.normal(f"{purpose}posterior", samples.numbers, mean.shape[1:])
        return rescale(self._scaling, mean + std * drawn)

    def _encoded(self, item: Item, view: View) -> tuple[Tensor, Tensor]:
        assert isinstance(view, PlacedView)
        assert view.placement is not None
        if self._live is None:
            self._live = self.model.parts()
        plain = View(view.size, view.crop, view.flip)
        pixels = view.placement.of(self._pixels(item.picture, plain).numpy())
        # One at a time: what a sample becomes must not depend on its batch.
        with torch.autocast(self._live.device.type, enabled=False):
            found = posterior(self._live.vae, torch.from_numpy(np.ascontiguousarray(pixels))[None])
        if found is None:
            raise TrainingError("this VAE gives latents without a distribution: train with the model's own VAE")
        return found[0][0].cpu(), found[1][0].cpu()

    def masks(self, items: Sequence[Item], views: Sequence[View], shape: Sequence[int]) -> Tensor | None:
        """How much each latent pixel counts: nothing beside the picture, and within it what its own mask says."""
        placed = [view.placement if isinstance(view, PlacedView) else None for view in views]
        if not any(placed):
            return super().masks(items, views, shape)
        plain = [View(view.size, view.crop, view.flip) for view in views]
        parts = []
        for item, view, placement in zip(items, plain, placed, strict=True):
            region = torch.ones(1, *shape) if placement is None else placement.region(view.size, shape)
            if item.mask is not None:
                plane = self._pixels(item.mask, view).mean(dim=2, keepdim=True).numpy()
                shown = torch.from_numpy(plane if placement is None else placement.of(plane, 0.0))
                own = torch.nn.functional.adaptive_avg_pool2d(shown.permute(2, 0, 1), (shape[0], shape[1]))
                region = region * own
            parts.append(region)
        return torch.stack(parts)

    def captions(self, items: Sequence[Item], samples: Samples, purpose: str, dropout: float) -> list[str]:
        """What is said of each sample, with whether it is far or near before it."""
        said = super().captions(items, samples, purpose, dropout)
        if purpose:
            return said
        words = [Placement.drawn(samples.draws, number).words for number in samples.numbers]
        return [own + caption if caption else "" for own, caption in zip(words, said, strict=True)]
