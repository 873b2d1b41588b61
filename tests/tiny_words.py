"""A tiny data set of pictures as bytes, for trainings of words, and what such a training drew for a step."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from tests.word_reference import Drawn
from weft.nodes.training.draws import Draws
from weft.nodes.training.order import Order
from weft.nodes.training.pictures import digest_of
from weft.nodes.training.recipe import Samples
from weft.nodes.values.training import Dataset, Item, Picture, Role


def tiny_picture(seed: int, side: int = 32) -> Picture:
    """Noise as a PNG."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "png")
    return Picture(f"picture-{seed}.png", digest_of(data.getvalue()), data=data.getvalue())


def tiny_items(
    captions: Sequence[str], role: Role = "instance", concept: int = 0, first: int = 0, side: int = 32
) -> list[Item]:
    """An item for each caption."""
    return [
        Item(tiny_picture(first + number), caption, role=role, concept=concept, size=(side, side))
        for number, caption in enumerate(captions)
    ]


def tiny_words_data(captions: Sequence[str] = ("a photo of <new>", "<new> on white", "the red <new>")) -> Dataset:
    """Instances with these captions."""
    return Dataset(tuple(tiny_items(captions)))


def drawn_of(recipe: Any, batch: Any) -> Drawn:
    """What a recipe drew for a batch, for the reference."""
    mask = None if batch.mask is None else batch.mask.cpu()
    return Drawn(batch.clean, batch.noise, batch.times, recipe.captions(batch), mask)


def batches_of(recipe: Any, steps: int, batch: int, seed: int = 0) -> Iterator[Samples]:
    """The samples of each step of a training."""
    draws = Draws(seed)
    order = Order(draws, recipe.sizes(), batch)
    for step in range(steps):
        numbers = tuple(range(step * batch, (step + 1) * batch))
        yield Samples(step, numbers, tuple(order.items(step)), draws)


def gradients(recipe: Any, loss: Tensor) -> dict[str, Tensor]:
    """Of a loss, to all that a recipe learns."""
    parameters = {name: p for group in recipe.groups().values() for name, p in group.items()}
    found = torch.autograd.grad(loss, list(parameters.values()))
    return dict(zip(parameters, found, strict=True))


def calm(folder: Path) -> Path:
    """A model whose attention is less sharp: the tiny ones make much of how sums are rounded."""
    from safetensors.torch import load_file, save_file

    for path in folder.glob("*/*.safetensors"):
        weights = load_file(path)
        for name in weights:
            if name.endswith(("to_q.weight", "to_k.weight", "q_proj.weight", "k_proj.weight")):
                weights[name] = weights[name] * 0.2
        save_file(weights, path, metadata={"format": "pt"})
    return folder
