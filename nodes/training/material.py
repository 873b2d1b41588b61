"""A data set as a recipe uses it: what is learned, and latents, captions, masks and hints for some samples."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weft.engine import Context
from weft.nodes.sampling.vae import rescale
from weft.nodes.training.draws import Draws
from weft.nodes.training.encoding import encode_latents, encode_texts, unreadable
from weft.nodes.training.errors import TrainingError
from weft.nodes.training.order import Order
from weft.nodes.training.pictures import View, colour_of, size_of, views_of
from weft.nodes.training.recipe import Samples
from weft.nodes.values.model import Model
from weft.nodes.values.training import Dataset, Item, LatentCache, Picture, TextCache

RECENT_BYTES = 1 << 30
"""Most memory that masks and hints take."""


class Material:
    """What a training learns from.

    instances: what is learned, each as often as it repeats. classes: what keeps the model as it was. validation: what
    is held out. Items whose picture could not be read are in none.

    Args:
        conditions: whether the condition of each item is encoded too (a picture before an edit).
        latents, texts: what was encoded before; what they lack is encoded now.
        prompts: captions that are needed beside those of the items.
    """

    def __init__(
        self,
        model: Model,
        dataset: Dataset,
        ctx: Context,
        *,
        latents: LatentCache | None = None,
        texts: TextCache | None = None,
        conditions: bool = False,
        captions: bool = True,
    ) -> None:
        self.model, self.dataset = model, dataset
        self._cache = encode_latents(model, dataset, ctx, latents, conditions)
        bad = self._unreadable(dataset, ctx, conditions)
        there = [item for item in dataset.items if self._whole(item, conditions) and not bad & _beside(item)]
        self.instances = [item for item in there if item.role == "instance" for _ in range(item.repeats)]
        self.classes = [item for item in there if item.role == "class" for _ in range(item.repeats)]
        self.validation = [item for item in there if item.role == "validation"]
        if not self.instances:
            raise TrainingError(_nothing(dataset, self._cache))
        self.texts: TextCache | None = None
        if captions:
            self.texts = encode_texts(model, ["", *(item.caption for item in there)], ctx, texts)
        self._vae: Any = None
        self._recent: OrderedDict[str, Tensor] = OrderedDict()
        self._recent_bytes = 0
        self._class_orders: dict[Any, tuple[list[int], Order]] = {}

    def _unreadable(self, dataset: Dataset, ctx: Context, conditions: bool) -> set[str]:
        """Digests of masks, and of conditions that are not encoded, that cannot be read: with their items' names told.

        A training would meet them in one of its steps.
        """
        items = [item for item in dataset.items if self._whole(item, conditions)]
        parts = [part for item in items for part in (item.mask, None if conditions else item.condition) if part]
        bad = unreadable(parts, ctx)
        for item in items:
            for digest in sorted(bad.keys() & _beside(item)):
                ctx.log.warning("%s: %s: it is passed over", item.picture.name, bad[digest])
        return set(bad)

    def _whole(self, item: Item, conditions: bool) -> bool:
        pictures = [item.picture, *([item.condition] if conditions and item.condition is not None else [])]
        return all(
            view.key(part) in self._cache.entries for part in pictures for view in views_of(item, self.model.size)
        )

    def identity(self) -> Any:
        """What is learned from, as plain data."""
        return [[item.content() for item in part] for part in (self.instances, self.classes, self.validation)]

    def sizes(self) -> list[tuple[int, int]]:
        """The size of each instance."""
        return [size_of(item, self.model.size) for item in self.instances]

    def class_items(self, samples: Samples, batch: int) -> list[Item]:
        """An item that keeps what the model knew for each sample, of the samples' size.

        Raises:
            TrainingError: there is none of that size.
        """
        size = size_of(self.instances[samples.items[0]], self.model.size)
        if size not in self._class_orders:
            own = [k for k, item in enumerate(self.classes) if size_of(item, self.model.size) == size]
            if not own:
                raise TrainingError(
                    f"no class image is {size[0]} x {size[1]} as these pictures are: make class images of each size"
                )
            self._class_orders[size] = own, Order(samples.draws, [0] * len(own), 1, f"class order {size}")
        places, order = self._class_orders[size]
        return [self.classes[places[order.items(number)[0]]] for number in samples.numbers]

    def views(self, items: Sequence[Item], samples: Samples, purpose: str) -> list[View]:
        """How each sample's picture is cut."""
        found = []
        for item, number in zip(items, samples.numbers, strict=True):
            crop, flip = 0, False
            if item.crops > 1:
                crop = int(samples.draws.generator(f"{purpose}crop", number).integers(item.crops))
            if item.flip:
                flip = bool(samples.draws.generator(f"{purpose}flip", number).random() < 0.5)
            found.append(View(size_of(item, self.model.size), crop, flip))
        return found

    def latents(self, items: Sequence[Item], views: Sequence[View], samples: Samples, purpose: str) -> Tensor:
        """Latents as the denoiser sees them, drawn from the VAE's distribution: (n, C, h, w) float32 on the CPU."""
        pairs = [self._cache.entries[view.key(item.picture)] for item, view in zip(items, views, strict=True)]
        mean, std = (torch.stack([pair[k] for pair in pairs]) for k in (0, 1))
        drawn = samples.draws.normal(f"{purpose}posterior", samples.numbers, mean.shape[1:])
        return rescale(self._scaling, mean + std * drawn)

    def condition_latents(self, items: Sequence[Item], views: Sequence[View]) -> Tensor:
        """The means of the conditions' distributions, not scaled, as InstructPix2Pix takes them: (n, C, h, w)."""
        found = []
        for item, view in zip(items, views, strict=True):
            assert item.condition is not None
            found.append(self._cache.entries[view.key(item.condition)][0])
        return torch.stack(found)

    def hints(self, items: Sequence[Item], views: Sequence[View]) -> Tensor:
        """The conditions as pixels: (n, 3, H, W) float32 in [0, 1] on the CPU."""
        parts = []
        for item, view in zip(items, views, strict=True):
            assert item.condition is not None
            parts.append(self._pixels(item.condition, view).permute(2, 0, 1))
        return torch.stack(parts)

    def masks(self, items: Sequence[Item], views: Sequence[View], shape: Sequence[int]) -> Tensor | None:
        """How much each latent pixel counts: (n, 1, h, w) in [0, 1]; None where no item has a mask.

        shape: (h, w) of the latents.
        """
        if not any(item.mask is not None for item in items):
            return None
        parts = []
        for item, view in zip(items, views, strict=True):
            if item.mask is None:
                parts.append(torch.ones(1, *shape))
                continue
            plane = self._pixels(item.mask, view).mean(dim=2)[None, None]
            parts.append(torch.nn.functional.adaptive_avg_pool2d(plane, (shape[0], shape[1]))[0])
        return torch.stack(parts)

    def _pixels(self, picture: Picture, view: View) -> Tensor:
        """A view of a mask or a hint, (height, width, c); the last ones used are in memory, a quarter as large."""
        key = view.key(picture)
        if key not in self._recent:
            pixels = torch.from_numpy(np.round(view.of(colour_of(picture)) * 255).astype(np.uint8))
            self._recent[key] = pixels
            self._recent_bytes += pixels.nbytes
            while self._recent_bytes > RECENT_BYTES and len(self._recent) > 1:
                self._recent_bytes -= self._recent.popitem(last=False)[1].nbytes
        self._recent.move_to_end(key)
        return self._recent[key].float() / 255

    @property
    def _scaling(self) -> Any:
        """The VAE, for its configuration: how its latents are scaled."""
        if self._vae is None:
            self._vae = self.model.parts().shell("vae")
        return self._vae

    def captions(self, items: Sequence[Item], samples: Samples, purpose: str, dropout: float) -> list[str]:
        """The caption of each sample; a share of `dropout` has the empty one."""
        if dropout <= 0:
            return [item.caption for item in items]
        draws = samples.draws.uniform(f"{purpose}caption dropout", samples.numbers).tolist()
        return ["" if drawn < dropout else item.caption for item, drawn in zip(items, draws, strict=True)]


def _beside(item: Item) -> set[str]:
    """Digests of the pictures that belong to an item's."""
    return {part.digest for part in (item.mask, item.condition) if part is not None}


def _nothing(dataset: Dataset, cache: LatentCache) -> str:
    reasons = list(dict.fromkeys(cache.skipped))
    if reasons:
        return f"no picture to train on could be read: {'; '.join(reasons[:3])}"
    others = {item.role for item in dataset.items}
    return f"the data set has no picture to learn from{': all are ' + ', '.join(sorted(others)) if others else ''}"


def fixed_samples(draws: Draws, count: int, times: int) -> Samples:
    """Samples for a validation: each of `count` items `times` times, always with the same numbers."""
    numbers = tuple(range(count * times))
    return Samples(0, numbers, tuple(number % count for number in numbers), draws)
