"""Tiny data sets of pictures with hints, tiny models to train nets on, and a run that can be cancelled."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.torch import load_file, save_file

from tests.tiny import tiny_sd1, tiny_sd2, tiny_sdxl
from weft.engine import Cancelled, Context
from weft.nodes import load_model
from weft.nodes.training.pictures import digest_of
from weft.nodes.values import Model
from weft.nodes.values.training import Dataset, Item, Picture, Role

CAPTIONS = ("a red circle", "a blue square on white", "a green star")
BUILDERS: dict[str, Callable[[Path], Path]] = {
    "sd1": tiny_sd1,
    "sd1_four": lambda folder: tiny_sd1(folder, levels=4),
    "sd2": tiny_sd2,
    "sdxl": tiny_sdxl,
    "sd1_inpaint": lambda folder: tiny_sd1(folder, unet_in=9),
}


def tiny_model(root: Path, name: str) -> Model:
    """One of `BUILDERS`, with its attention calmed down: else rounding grows over a backward."""
    folder = root / name
    if not folder.exists():
        BUILDERS[name](folder)
        path = folder / "unet" / "diffusion_pytorch_model.safetensors"
        weights = load_file(path)
        for part in weights:
            if part.endswith(("to_q.weight", "to_k.weight")):
                weights[part] *= 0.2
        save_file(weights, path, metadata={"format": "pt"})
    return load_model(str(folder), dtype="float32", device="cpu")


def tiny_picture(seed: int, wide: int = 32, high: int = 32, name: str = "") -> Picture:
    """Noise as a PNG."""
    pixels = np.random.default_rng(seed).integers(0, 256, (high, wide, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "png")
    return Picture(name or f"picture-{seed}.png", digest_of(data.getvalue()), data=data.getvalue())


def pixels_of(picture: Picture) -> np.ndarray:
    """Its pixels (h, w, 3), float32 in [0, 1]."""
    return np.asarray(Image.open(io.BytesIO(picture.data)), np.float32) / np.float32(255)


def hinted_item(number: int, role: Role = "instance", side: int = 32, **more: Any) -> Item:
    """A picture with a caption and a hint, all of a number."""
    hint = tiny_picture(1000 + number, side, side, f"hint-{number}.png")
    caption = CAPTIONS[number % len(CAPTIONS)]
    return Item(tiny_picture(number, side, side), caption, condition=hint, role=role, size=(side, side), **more)


def tiny_hints(count: int = 3, side: int = 32) -> Dataset:
    """Instances with hints."""
    return Dataset(tuple(hinted_item(number, side=side) for number in range(count)))


def without_hint(dataset: Dataset, *places: int) -> Dataset:
    """Some of its items without their condition."""
    items = [
        dataclasses.replace(item, condition=None) if place in places else item
        for place, item in enumerate(dataset.items)
    ]
    return Dataset(tuple(items))


class Stopped(Context):
    """A run whose folders outlive it, cancelled at a check within a step.

    step: after so many of `of` steps. check: at which check for a cancel from there on.
    """

    def __init__(self, folder: Path, of: int, step: int = -1, check: int = 1) -> None:
        super().__init__()
        self.folder, self.of, self.at, self.left, self.done = folder, of, step, check, 0
        self.reports: list[tuple[str, Any]] = []

    @contextmanager
    def shared_workspace(self, key: str) -> Iterator[Path]:
        """A folder for a key."""
        path = self.folder / key
        path.mkdir(parents=True, exist_ok=True)
        yield path

    def progress(self, step: int, total: int, message: str = "") -> None:
        """Steps of the training are counted."""
        if total == self.of and not message.startswith("encode"):
            self.done = step

    def check_cancelled(self) -> None:
        """Once the step has come."""
        if self.done == self.at:
            self.left -= 1
            if self.left < 0:
                raise Cancelled("the run was cancelled")

    def report(self, kind: str, data: Any = None) -> None:
        """Kept."""
        self.reports.append((kind, data))
